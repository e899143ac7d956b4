"""The service's parts, joined for tests in this process: the one place that joins them.

A service in a process of its own is `tests.servers.Server`.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.api.context import Services
from service.app import create_app
from service.engine.engine import DEFAULT_RETENTION, NO_CATALOG, Engine
from service.registry.catalog import Catalog
from service.sessions.lifecycle import Sessions
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Lifetimes
from service.settings import read_settings
from service.stores.in_process import InProcessStore
from tests.fakes import FakeClock
from tests.keys import NO_KEYS

SECRET = b"k" * 32
LIFETIMES = Lifetimes(100, 50)
TOMBSTONE_SECONDS = 1000


def build_sessions(store=None, clock=None, tombstone_seconds=TOMBSTONE_SECONDS):
    """Build sessions over a store, or over an empty one in this process."""
    store = InProcessStore() if store is None else store
    clock = clock or FakeClock()
    return Sessions(store, clock=clock, tombstone_seconds=tombstone_seconds)


def build_engine(
    clock=None,
    *,
    sessions=None,
    store=None,
    seal=None,
    lifetimes=LIFETIMES,
    retention=DEFAULT_RETENTION,
    catalog=NO_CATALOG,
    **options,
):
    """Build an engine over sessions, over a store, or over an empty store.

    Args:
        clock: A clock that stands still where none is given.
        sessions: Those of another engine, as another worker has them.
        store: What new sessions are stored in, without `sessions`.
        seal: A cipher; otherwise one of `SECRET` without options.
        lifetimes: Default lifetimes.
        retention: What sessions keep in addition to their memory.
        catalog: The served models.
        **options: Further ones of the engine.
    """
    clock = clock or FakeClock()
    sessions = sessions or build_sessions(store, clock)
    seal = seal or TokenCipher([SECRET])
    return Engine(sessions, seal, lifetimes, clock, retention, catalog, **options)


def build_services(models, *, settings=None, engine=None, clock=None, **options):
    """Build what the application works with.

    Args:
        models: The served models, or a catalog of them.
        settings: Settings, or some by their names in the environment.
        engine: An engine; otherwise one of these models.
        clock: The clock of a new engine.
        **options: Parts of the services, such as `tenants`; others are for the engine.
    """
    catalog = models if isinstance(models, Catalog) else Catalog(models)
    if settings is None or isinstance(settings, Mapping):
        settings = read_settings(settings or {})
    names = Services.__dataclass_fields__.keys() & options.keys()
    parts = {"tenants": NO_KEYS, **{name: options.pop(name) for name in names}}
    if engine is None:
        engine = build_engine(clock, catalog=catalog, **options)
    elif options:
        raise TypeError(f"an engine is given, so these have no use: {[*options]}")
    return Services(settings, catalog, engine, **parts)


def build_app(models, **options):
    """Build the application over models; options are those of `build_services`."""
    return create_app(build_services(models, **options))


def serve(models, **options):
    """Return a client of an application over models."""
    return build_app(models, **options).test_client()
