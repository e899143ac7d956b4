"""Limits of a tenant: requests in a window of time, and requests at once.

A window begins with its first request. Requests are counted in this worker, or in a
Redis that all workers and replicas share; where that one does not answer, nothing is
refused. Without a limit there is no limiter, and a request costs nothing here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from service.common.text import redact
from service.errors import RateLimited, TooManyAtOnce
from service.settings import Settings
from service.telemetry.engine_metrics import UNCOUNTED_REQUESTS
from service.telemetry.tallies import find_counter

# In a request's WSGI environment.
ENTERED = "carryover.entered"
STORE_SECONDS = 0.5
# A store that failed is not asked for this long, so that no request waits for it.
RETRY_SECONDS = 5.0
log = logging.getLogger(__name__)


class Entered(NamedTuple):
    """A request that was counted, and what its answer says of its tenant's limit.

    Attributes:
        tenant: Of the request, if it was admitted.
        headers: Of its answer.
    """

    tenant: str | None
    headers: dict[str, str]


class Window(NamedTuple):
    """A tenant's window of time, after a request was counted.

    Attributes:
        limit: How many requests may come in it.
        number: How many have come.
        seconds: Until it ends.
    """

    limit: int
    number: int
    seconds: int

    def describe(self) -> dict[str, str]:
        """Return the headers that say how much is left."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self.number)),
            "RateLimit-Reset": str(self.seconds),
        }


class Windows:
    """Counts of requests by tenant, in windows of time.

    Args:
        rate: Of a tenant without one of its own, such as `100/minute`; empty for none.
        rates: By tenant.
        store: `memory://` or a Redis.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self,
        rate: str,
        rates: Mapping[str, str],
        store: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Imported where a limit is set, and nowhere else.
        from limits import errors, parse
        from limits.storage import storage_from_string

        self._usual = parse(rate) if rate else None
        self._items = {tenant: parse(text) for tenant, text in rates.items()}
        self._failure = errors.StorageError
        options: dict[str, Any] = {}
        if not store.startswith("memory:"):
            options = {
                "socket_timeout": STORE_SECONDS,
                "socket_connect_timeout": STORE_SECONDS,
            }
        self._store: Any = storage_from_string(store, wrap_exceptions=True, **options)
        self._name = redact(store)
        self._clock = clock
        self._asked_from = 0.0

    def count(self, tenant: str) -> Window | None:
        """Count a request of a tenant.

        Returns:
            Its window; None where it has no limit, or the store does not answer.
        """
        item = self._items.get(tenant, self._usual)
        if item is None:
            return None
        if self._clock() < self._asked_from:
            find_counter(UNCOUNTED_REQUESTS).number += 1
            return None
        key = item.key_for(tenant)
        try:
            number = self._store.incr(key, item.get_expiry())
            ends_at = self._store.get_expiry(key)
        except self._failure as error:
            self._asked_from = self._clock() + RETRY_SECONDS
            find_counter(UNCOUNTED_REQUESTS).number += 1
            log.warning(
                "requests are not limited for %.0f s: %s does not count them: %s",
                RETRY_SECONDS,
                self._name,
                error,
            )
            return None
        return Window(item.amount, number, max(1, round(ends_at - time.time())))


class Limiter:
    """Admits requests of tenants.

    Args:
        windows: Counts them in time; None for no such limit.
        at_once: How many of a tenant's may be under way in this process; 0: any number.
    """

    def __init__(self, windows: Windows | None, at_once: int) -> None:
        self._windows = windows
        self._at_once = at_once
        self._under_way: dict[str, int] = {}

    def begin(self, environ: dict[str, Any], tenant: str) -> None:
        """Admit a request; end it by `finish`, which may be called in any case.

        Raises:
            RateLimited: Its tenant has sent too many.
            TooManyAtOnce: Too many of its tenant's are under way.
        """
        number = self._under_way.get(tenant, 0)
        if self._at_once and number >= self._at_once:
            raise TooManyAtOnce(
                f"{number} requests of the tenant are under way in this worker; "
                f"expected at most {self._at_once} at once. Nothing was applied; send "
                "the request again when one is answered."
            )
        window = self._windows.count(tenant) if self._windows else None
        if window is not None and window.number > window.limit:
            environ[ENTERED] = Entered(None, window.describe())
            raise RateLimited(
                f"the tenant has sent {window.number} requests in this window of time; "
                f"expected at most {window.limit}. Nothing was applied; send the "
                f"request again in {window.seconds} s.",
                retry_after_seconds=window.seconds,
            )
        headers = window.describe() if window else {}
        # The count may have waited for the store.
        self._under_way[tenant] = self._under_way.get(tenant, 0) + 1
        environ[ENTERED] = Entered(tenant, headers)

    def finish(self, environ: dict[str, Any]) -> dict[str, str]:
        """End a request, if it was admitted, and return headers for its answer."""
        entered: Entered | None = environ.pop(ENTERED, None)
        if entered is None:
            return {}
        tenant = entered.tenant
        if tenant is not None:
            self._under_way[tenant] -= 1
            if not self._under_way[tenant]:
                del self._under_way[tenant]
        return entered.headers


def open_limiter(settings: Settings) -> Limiter | None:
    """Open the limiter that the settings ask for; None where they set no limit.

    Raises:
        ValueError: The store of its counts cannot be used.
    """
    windows = None
    if settings.rate_limit or settings.rate_limits:
        windows = Windows(
            settings.rate_limit, settings.rate_limits, settings.rate_store
        )
    if windows is None and not settings.concurrency_limit:
        return None
    return Limiter(windows, settings.concurrency_limit)
