"""Body budget: how many bytes of large bodies a worker reads and works on at a time.

A weighted semaphore. A large body that does not fit waits unread, so the network slows
its client down (back-pressure) and memory stays bounded however many come. Next is the
tenant with the fewest bytes under way, then whoever waited longest. Small bodies do not
take part.
"""

from __future__ import annotations

import threading
from collections import Counter

from service.errors import Overloaded
from service.loop import make_brief_lock

DEFAULT_BYTES = 16 * 2**20
DEFAULT_SECONDS = 15.0


class Claim:
    """A part of the budget that one request has, or waits for.

    Args:
        tenant: Whose request it is.
        num_bytes: Its size.
    """

    __slots__ = ("granted", "num_bytes", "tenant")

    def __init__(self, tenant: str, num_bytes: int) -> None:
        self.tenant = tenant
        self.num_bytes = num_bytes
        self.granted = threading.Event()


class BodyBudget:
    """Limits the bytes of large bodies.

    Args:
        max_bytes: Maximum over all bodies; a longer one claims all of it.
        timeout_seconds: Maximum time that a request waits for its part.
    """

    def __init__(
        self, max_bytes: int = DEFAULT_BYTES, timeout_seconds: float = DEFAULT_SECONDS
    ) -> None:
        self.max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._lock = make_brief_lock()
        self._granted = Counter[str]()  # bytes by tenant
        self._waiting: list[Claim] = []

    @property
    def num_bytes(self) -> int:
        """How many bytes are granted."""
        return self._granted.total()

    def claim(self, tenant: str, num_bytes: int) -> Claim:
        """Claim a part, and wait for it.

        Returns:
            The part, to be released at the end of the request.

        Raises:
            Overloaded: It was not free in time; nothing was read.
        """
        claim = Claim(tenant, min(num_bytes, self.max_bytes))
        with self._lock:
            self._waiting.append(claim)
            self._grant()
        is_granted = False
        try:
            is_granted = claim.granted.wait(self._timeout_seconds)
        finally:
            if not is_granted:
                self.release(claim)
        if not is_granted:
            raise Overloaded(
                f"the body of {num_bytes} bytes waited {self._timeout_seconds:g} s for "
                "other large ones and was not read. Nothing was applied; send it again "
                "in a second, or fewer events at a time.",
            )
        return claim

    def release(self, claim: Claim) -> None:
        """Give a part back, or stop waiting for it."""
        with self._lock:
            if claim.granted.is_set():
                self._granted[claim.tenant] -= claim.num_bytes
                if not self._granted[claim.tenant]:
                    del self._granted[claim.tenant]
            else:
                self._waiting.remove(claim)
            self._grant()

    def shrink(self, claim: Claim, num_bytes: int) -> None:
        """Give back what a granted part has over a size."""
        with self._lock:
            excess = max(claim.num_bytes - num_bytes, 0)
            claim.num_bytes -= excess
            self._granted[claim.tenant] -= excess
            self._grant()

    def _grant(self) -> None:
        """Grant what fits; the next in order waits for its size, so none starves."""
        while self._waiting:
            claim = min(self._waiting, key=lambda one: self._granted[one.tenant])
            if self.num_bytes + claim.num_bytes > self.max_bytes:
                return
            self._waiting.remove(claim)
            self._granted[claim.tenant] += claim.num_bytes
            claim.granted.set()
