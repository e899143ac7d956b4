"""A request's body, whole or not at all, and how many bytes a worker reads at a time.

A weighted semaphore of the bytes of large bodies. Of one that does not fit only the
start is read, so the network slows its client down (back-pressure) and memory stays
bounded however many come. Next is the tenant with the fewest bytes under way, then
whoever waited longest; a tenant leaves some to others. While others wait, a body that
comes slowly is ended. Small bodies do not take part.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.api.problems import TOO_LARGE
from service.common.loop import LARGE_BYTES, make_brief_lock
from service.errors import BodyTooLarge, InvalidRequest, Overloaded

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


DEFAULT_BYTES = 16 * 2**20
DEFAULT_SECONDS = 15.0
# So long a body may take to come while others wait, and how often they look.
SLOW_SECONDS = 5.0
LOOK_SECONDS = 0.5
CLAIM = "carryover.body_claim"


class Claim:
    """A part of the budget that one request has, or waits for.

    Args:
        tenant: Of the request.
        num_bytes: Its size.
        stop: Ends the reading of its body; None where the body is here.
    """

    __slots__ = ("began", "granted", "num_bytes", "stop", "tenant")

    def __init__(
        self, tenant: str, num_bytes: int, stop: Callable[[], None] | None
    ) -> None:
        self.began = 0.0
        self.stop = stop
        self.tenant = tenant
        self.num_bytes = num_bytes
        self.granted = threading.Event()


class BodyBudget:
    """Limits the bytes of large bodies.

    Args:
        max_bytes: Maximum over all bodies; a longer one claims all of it.
        timeout_seconds: Maximum time that a request waits for its part.
        tenant_bytes: Maximum of one tenant; None for all.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        max_bytes: int = DEFAULT_BYTES,
        timeout_seconds: float = DEFAULT_SECONDS,
        tenant_bytes: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_bytes = max_bytes
        self._clock = clock
        self.tenant_bytes = max_bytes if tenant_bytes is None else tenant_bytes
        self.timeout_seconds = timeout_seconds
        self._lock = make_brief_lock()
        self._granted = Counter[str]()  # bytes by tenant
        self._waiting: list[Claim] = []
        self._coming: list[Claim] = []  # granted, and their bodies are not here yet

    @property
    def num_waiting(self) -> int:
        """The number of requests that wait for their part."""
        return len(self._waiting)

    @property
    def num_bytes(self) -> int:
        """The number of bytes that are granted."""
        return self._granted.total()

    def claim(
        self, tenant: str, num_bytes: int, stop: Callable[[], None] | None = None
    ) -> Claim:
        """Claim a part, and wait for it.

        Args:
            tenant: Of the request.
            num_bytes: How much it needs.
            stop: Ends the reading of its body; `settle` says that the body is here.

        Returns:
            The part, to be released at the end of the request.

        Raises:
            Overloaded: It was not free in time; nothing was read.
        """
        claim = Claim(tenant, min(num_bytes, self.max_bytes), stop)
        with self._lock:
            self._waiting.append(claim)
            self._grant()
        is_granted = False
        try:
            is_granted = self._wait(claim)
        finally:
            if not is_granted:
                self.release(claim)
        if not is_granted:
            raise Overloaded(
                f"the body of {num_bytes} bytes waited {self.timeout_seconds:g} s for "
                "other large ones and was not read whole. Nothing was applied; send it "
                "again in a second, or fewer events at a time.",
            )
        return claim

    def release(self, claim: Claim) -> None:
        """Give a part back, or stop waiting for it."""
        with self._lock:
            if claim.granted.is_set():
                if claim in self._coming:
                    self._coming.remove(claim)
                self._granted[claim.tenant] -= claim.num_bytes
                if not self._granted[claim.tenant]:
                    del self._granted[claim.tenant]
            else:
                self._waiting.remove(claim)
            self._grant()

    def settle(self, claim: Claim, num_bytes: int) -> None:
        """Note that a body is here, and give back what its part has over its size."""
        with self._lock:
            if claim in self._coming:
                self._coming.remove(claim)
            excess = max(claim.num_bytes - num_bytes, 0)
            claim.num_bytes -= excess
            self._granted[claim.tenant] -= excess
            self._grant()

    def _wait(self, claim: Claim) -> bool:
        """Wait for a part, and return whether it is granted."""
        until = self._clock() + self.timeout_seconds
        while (left := until - self._clock()) > 0:
            if claim.granted.wait(min(left, LOOK_SECONDS)):
                return True
            self.end_slow()
        return claim.granted.is_set()

    def end_slow(self) -> None:
        """End the slowest body of the tenant with the most bytes under way, if any."""
        with self._lock:
            since = self._clock() - SLOW_SECONDS
            slow = [claim for claim in self._coming if claim.began <= since]
            if not slow:
                return
            # Of equals the first, which began first.
            slowest = max(slow, key=lambda one: self._granted[one.tenant])
            self._coming.remove(slowest)
        if slowest.stop is not None:
            slowest.stop()

    def _list_next(self) -> list[Claim]:
        """List the first waiting claim of each tenant that is within its part."""
        first: dict[str, Claim] = {}
        for claim in self._waiting:
            first.setdefault(claim.tenant, claim)
        granted = self._granted
        return [
            claim
            for tenant, claim in first.items()
            if not granted[tenant]
            or granted[tenant] + claim.num_bytes <= self.tenant_bytes
        ]

    def _grant(self) -> None:
        """Grant what fits; the next in order waits for its size, so none starves."""
        while waiting := self._list_next():
            claim = min(waiting, key=lambda one: self._granted[one.tenant])
            if self.num_bytes + claim.num_bytes > self.max_bytes:
                return
            self._waiting.remove(claim)
            self._granted[claim.tenant] += claim.num_bytes
            claim.began = self._clock()
            if claim.stop is not None:
                self._coming.append(claim)
            claim.granted.set()


def read_body(
    environ: WSGIEnvironment, max_bytes: int, budget: BodyBudget, tenant: str
) -> bytes:
    """Read the body of a request; a large one when the budget has room for it.

    Args:
        environ: The request; `release_body` gives its room back.
        max_bytes: Longest body accepted.
        budget: Of the bytes of large bodies.
        tenant: Of the request.

    Raises:
        BodyTooLarge: It is longer than the service accepts.
        InvalidRequest: It ended before its announced length, or cannot be read.
        Overloaded: There was no room for it in time.
    """
    text = environ.get("CONTENT_LENGTH") or ""
    if text.isdecimal() and "HTTP_TRANSFER_ENCODING" not in environ:
        announced: int | None = int(text)
    else:
        announced = read_length(environ)
    if announced is not None and announced > max_bytes:
        raise BodyTooLarge(TOO_LARGE.format(limit=max_bytes), max_body_bytes=max_bytes)
    if announced is None and not environ.get("wsgi.input_terminated"):
        return b""  # neither a length nor chunks: there is no body
    # One more than is accepted distinguishes a longer body from one that just fits.
    end = max_bytes + 1 if announced is None else announced
    data = read(environ, min(end, LARGE_BYTES + 1))
    if LARGE_BYTES < len(data) <= max_bytes:
        # Only now: who announces much and sends nothing takes no room.
        stop = getattr(environ["wsgi.input"], "stop", None)
        reserve(environ, budget, tenant, min(end, max_bytes), stop)
        data += read(environ, end - len(data))
        reserve(environ, budget, tenant, min(len(data), max_bytes))
    if len(data) > max_bytes:
        raise BodyTooLarge(TOO_LARGE.format(limit=max_bytes), max_body_bytes=max_bytes)
    if announced is not None and len(data) != announced:
        raise InvalidRequest(
            f"the body ended after {len(data)} of {announced} bytes; nothing was "
            "applied. Send it again."
        )
    return data


def read(environ: WSGIEnvironment, num_bytes: int) -> bytes:
    """Read up to `num_bytes`.

    Raises:
        InvalidRequest: They cannot be read.
    """
    try:
        data: bytes = environ["wsgi.input"].read(num_bytes)
    except (OSError, ValueError) as error:  # a lost connection, a broken chunk
        raise InvalidRequest(
            f"the body cannot be read: {error}; nothing was applied. Send it again."
        ) from error
    return data


def reserve(
    environ: WSGIEnvironment,
    budget: BodyBudget,
    tenant: str,
    num_bytes: int,
    stop: Callable[[], None] | None = None,
) -> None:
    """Change the room reserved for a request's body to a number of bytes.

    Args:
        environ: The request.
        budget: Of the bytes of large bodies.
        tenant: Of the request.
        num_bytes: How much.
        stop: Ends the reading of the body, if it is not here yet.

    Raises:
        Overloaded: There was not enough room in time.
    """
    claimed = environ.get(CLAIM)
    if claimed is not None and claimed[1].num_bytes >= num_bytes:
        budget.settle(claimed[1], num_bytes)
        return
    # Two that keep what they have would wait for each other.
    release_body(environ)
    environ[CLAIM] = budget, budget.claim(tenant, num_bytes, stop)


def release_body(environ: WSGIEnvironment) -> None:
    """Give the room of a request's body back, if it has any."""
    claimed = environ.pop(CLAIM, None)
    if claimed is not None:
        budget, claim = claimed
        budget.release(claim)


def read_length(environ: WSGIEnvironment) -> int | None:
    """Return the announced length of the body; None where it comes in chunks.

    Raises:
        InvalidRequest: It is not a whole number.
    """
    text = environ.get("CONTENT_LENGTH") or ""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() or not text:
        return None
    if not text.isdecimal():
        raise InvalidRequest(
            f"Content-Length is {text[:40]!r}; expected a whole number of bytes."
        )
    return int(text)
