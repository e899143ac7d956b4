"""Cooperative scheduling: yield to other requests, to sockets, and from blocking calls.

Under gevent one thread serves all requests of a worker, and a request gives way only
where it says so; under threads there is nothing to say. The rest of the service calls
these functions and does not know which of the two serves it.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

from service.errors import DeadlineExceeded

# A person who watches does not notice; a worker at full load has hundreds of requests.
DELAY_SECONDS = 0.2


T = TypeVar("T")
_count_clients: Callable[[], int] | None = None
# gevent's, of the thread that serves; known once anything was offloaded.
_hub: Any = None
# Long works under gevent, the running one first, and what wakes each.
_long_work: deque[tuple[Breaks, threading.Event]] = deque()

# gevent's highest priority: an idle watcher of it runs after one look at the sockets,
# whatever they bring.
IDLE_PRIORITY = 2
# Seconds that a request may work at a stretch.
SLICE_SECONDS = 0.002
# Bytes of JSON that are decoded in about a millisecond.
LARGE_BYTES = 65_536
# Bytes of one list that are decoded in a quarter of what may stop the loop.
LONG_LIST_BYTES = 2**20
NO_BREAKS = nullcontext()


@cache
def is_gevent() -> bool:
    """Return whether this process serves its requests with gevent."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def make_brief_lock() -> threading.Lock:
    """Make a lock for what never gives way while it holds it.

    No request of the same thread can then be waiting for it, so it need only keep
    threads apart, and the system's own lock does, in a tenth of gevent's time.
    """
    if not is_gevent():
        return threading.Lock()
    make: Callable[[], threading.Lock] = sys.modules["gevent.monkey"].get_original(
        "threading", "Lock"
    )
    return make()


def watch_clients(count: Callable[[], int]) -> None:
    """Learn from a server how many clients this process has."""
    global _count_clients
    _count_clients = count


def give_way() -> None:
    """Let the requests that are ready continue until each waits for something.

    Costs a turn of the event loop's queue, some microseconds, and does not wait for
    the network. What was readable in this turn of the loop has been parsed and queued
    when it returns. An only client has nobody to give way to.
    """
    if is_gevent() and (_count_clients is None or _count_clients() > 1):
        sys.modules["gevent"].sleep(0)


def look_up() -> None:
    """Let the event loop look at its sockets once, without waiting for them."""
    if is_gevent():
        sys.modules["gevent"].idle(IDLE_PRIORITY)


class Breaks:
    """Breaks in long work of one request, at which other requests continue.

    Use it as a context manager; whatever is called within it may take a break. Work
    that lasts longer than a slice continues in turns with all other such work: one
    slice of one request in a turn of the event loop, however many large requests have
    arrived. Within other breaks it takes part in those.

    Args:
        seconds: Of the first slice.
        timeout_seconds: From which on a break raises `DeadlineExceeded`.
    """

    __slots__ = ("_began", "_outer", "_timeout_seconds", "_until")

    def __init__(
        self, seconds: float = SLICE_SECONDS, timeout_seconds: float = math.inf
    ) -> None:
        self._began = time.monotonic()
        self._until = self._began + seconds
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Breaks:
        """Begin a slice."""
        is_outermost = _breaks.get() is None
        self._outer = _breaks.set(self) if is_outermost else None
        return self

    def __exit__(self, *_: object) -> None:
        """Let the next long work continue."""
        if self._outer is not None:
            _breaks.reset(self._outer)
            self._leave()

    def take(self) -> None:
        """Let others continue if this slice of time is used up.

        Raises:
            DeadlineExceeded: The time for the whole of the work is used up.
        """
        if time.monotonic() > self._until:
            if is_gevent():
                self._await_turn()
            now = time.monotonic()
            if now - self._began > self._timeout_seconds:
                raise reading_deadline_error(now - self._began)
            self._until = now + SLICE_SECONDS

    def _await_turn(self) -> None:
        """Let others continue, and return at the turn of this work."""
        self._leave()
        turn = threading.Event()
        _long_work.append((self, turn))
        if len(_long_work) > 1:
            turn.wait()
        # Only now: another's slice may have ended in this turn of the loop.
        look_up()

    def _leave(self) -> None:
        """Leave the queue, as a killed request does from any place in it."""
        for k, (breaks, _) in enumerate(_long_work):
            if breaks is self:
                del _long_work[k]
                if k == 0 and _long_work:
                    _long_work[0][1].set()
                return


# Of the request that works here.
_breaks: ContextVar[Breaks | None] = ContextVar("breaks", default=None)


def take_break() -> None:
    """Let others continue if this is long work and its slice of time is used up."""
    breaks = _breaks.get()
    if breaks is not None:
        breaks.take()


def long_work(
    num_bytes: int, timeout_seconds: float = math.inf
) -> AbstractContextManager[object]:
    """Return breaks for work on `num_bytes`; small work takes none.

    Many large requests may have come at once: the first break comes before the work.

    Args:
        num_bytes: How much is worked on.
        timeout_seconds: From which on a break raises `DeadlineExceeded`.
    """
    return Breaks(0, timeout_seconds) if num_bytes > LARGE_BYTES else NO_BREAKS


def reading_deadline_error(seconds: float) -> DeadlineExceeded:
    """Return the error of a request that was not read in time."""
    return DeadlineExceeded(
        f"the request had not been read after {seconds:.1f} s and was given up; "
        "nothing was applied. Send fewer events at a time."
    )


def offload(work: Callable[..., T], *arguments: object) -> T:
    """Run what blocks for long where it holds up no other request, and wait for it.

    On gevent's thread pool under gevent; right here under threads, those of the pool
    too.

    Raises:
        Exception: The work raised it.
    """
    if not is_gevent() or is_foreign():
        return work(*arguments)
    global _hub
    _hub = sys.modules["gevent"].get_hub()
    pool = _hub.threadpool
    results: list[T] = []
    error: Exception | None = pool.apply(_try, (work, arguments, results))
    if error is not None:
        raise error
    return results[0]


def is_foreign() -> bool:
    """Return whether this is another thread than the process's first."""
    return threading.get_native_id() != os.getpid()


def start_on_loop(start: Callable[[], None]) -> None:
    """Start something that the event loop is to run, also from what was offloaded.

    A thread of the pool has an event loop of its own, which nobody runs: a timer that
    is started there never fires.
    """
    if is_gevent() and is_foreign():
        _hub.loop.run_callback_threadsafe(sys.modules["gevent"].spawn, start)
    else:
        start()


def _try(
    work: Callable[..., T], arguments: tuple[object, ...], results: list[T]
) -> Exception | None:
    """Return what a work raises; gevent prints whatever is raised in its pool."""
    try:
        results.append(work(*arguments))
    except Exception as error:
        return error
    return None


class Debouncer:
    """Runs work a moment after the first trigger, once for all triggers until then.

    Args:
        work: What to run, on a thread of its own.

    Attributes:
        is_scheduled: Whether it will run; whoever triggers often looks here first.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.is_scheduled = False

    def trigger(self) -> None:
        """Schedule the work, unless it is scheduled."""
        if not self.is_scheduled:
            self.is_scheduled = True
            timer = threading.Timer(DELAY_SECONDS, self._run)
            timer.daemon = True
            start_on_loop(timer.start)

    def _run(self) -> None:
        # Before the work: a trigger during it schedules the next run.
        self.is_scheduled = False
        self._work()
