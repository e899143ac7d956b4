from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.sessions.lifecycle import Sessions
from service.stores.base import UNLIMITED, Capacity, Store
from service.stores.schemes import open_store
from tests.assembly import build_sessions
from tests.fakes import FakeClock

TOMBSTONE_SECONDS = 600.0
# Redis 6.2 is the oldest supported; the cluster has three nodes; rediss has TLS.
SERVERS = [
    pytest.param(name, marks=pytest.mark.redis)
    for name in ("redis", "valkey", "cluster", "rediss")
]
# Addresses of the stores that need no server, empty ones below a folder.
LOCAL = {"memory": "memory://", "lmdb": "lmdb://{folder}/store"}
STORES = [*LOCAL, *SERVERS]


@pytest.fixture(scope="session")
def server_url(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], str]]:
    """Start a server of a kind at its first use; return its URL."""
    # Only here: whoever leaves these tests out needs neither the servers nor a client.
    from tests.redis_servers import running, running_cluster, running_encrypted

    urls: dict[str, str] = {}
    with ExitStack() as started:

        def start(kind: str) -> str:
            if kind not in urls and kind == "cluster":
                urls[kind] = started.enter_context(running_cluster("valkey"))
            elif kind not in urls and kind == "rediss":
                folder = tmp_path_factory.mktemp("tls")
                urls[kind] = started.enter_context(running_encrypted("valkey", folder))
            elif kind not in urls:
                urls[kind] = started.enter_context(running(kind)).url
            return urls[kind]

        yield start


@pytest.fixture
def open_kind(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[str, Capacity], Store]]:
    """Open an empty store of a kind."""
    with ExitStack() as opened:

        def open_one(kind: str, capacity: Capacity) -> Store:
            if kind in LOCAL:
                url = LOCAL[kind].format(folder=tmp_path)
            else:
                url = request.getfixturevalue("server_url")(kind)
                # A name of its own for each test, instead of emptying the server.
                url += f"{'&' if '?' in url else '?'}prefix={tmp_path.name}"
            store = open_store(url, capacity)
            opened.callback(store.close)
            return store

        yield open_one


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest, open_kind: Callable[[str, Capacity], Store]
) -> Store:
    """Every store in turn; what passes for one must pass for all."""
    return open_kind(request.param, UNLIMITED)


@pytest.fixture(params=STORES)
def open_limited(
    request: pytest.FixtureRequest, open_kind: Callable[[str, Capacity], Store]
) -> Callable[[Capacity], Store]:
    """Open a store of some capacity; each kind in turn."""
    return lambda capacity: open_kind(request.param, capacity)


@pytest.fixture
def clock() -> FakeClock:
    # In 2096: a Redis server drops what is past by its own clock.
    return FakeClock(4_000_000_000.0)


@pytest.fixture
def sessions(store: Store, clock: FakeClock) -> Sessions:
    return build_sessions(store, clock, TOMBSTONE_SECONDS)
