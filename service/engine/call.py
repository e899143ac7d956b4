"""What the rows of a request share on their way through the engine."""

from __future__ import annotations

from functools import lru_cache

from service.registry.backends.base import Signature
from service.registry.catalog import Model
from service.sessions.record import SessionKey, check_key
from service.stores.base import MAX_KEY_BYTES


class Timings:
    """Where a request's time went in the engine, in seconds; its caller reads it.

    Attributes:
        queue: Of the row that waited longest, until the tick that took it in last: a
            row that lost a race is taken in again.
        fetch: Reading memories, in ticks that took a row of it in.
        network: Calls of networks in those ticks.
        commit: Storing memories in those ticks.
    """

    __slots__ = ("commit", "fetch", "network", "queue")

    def __init__(self) -> None:
        self.queue = self.fetch = self.network = self.commit = 0.0


class Call:
    """What all rows of a request share.

    Args:
        model: The network.
        tenant: Whom sessions and tokens belong to.
        signature: `explain` for the gates too.
        is_version_named: Whether the client named the model's version.
        timings: Where its times are measured, if anybody asks.
    """

    __slots__ = (
        "_begin_of_key",
        "is_version_named",
        "model",
        "signature",
        "tenant",
        "timings",
    )

    def __init__(
        self,
        model: Model,
        tenant: str,
        signature: Signature,
        is_version_named: bool = False,
        timings: Timings | None = None,
    ) -> None:
        self.model = model
        self.tenant = tenant
        self.signature = signature
        self.is_version_named = is_version_named
        self.timings = timings
        self._begin_of_key = begin_key(tenant, model.manifest.name)

    def key(self, session: str) -> bytes:
        """Name a session among all tenants and models, as the store does.

        Raises:
            InvalidRequest: No store has such a key.
        """
        key = self._begin_of_key + session.encode()
        return (
            key if len(key) <= MAX_KEY_BYTES and key.count(0) == 2 else check_key(key)
        )


@lru_cache(maxsize=1024)
def begin_key(tenant: str, model: str) -> bytes:
    """Return what the keys of a tenant's sessions of a model begin with."""
    return SessionKey(tenant, model, "").encode()
