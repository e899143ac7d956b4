"""Waiting for a condition, with a patience that no slow and busy machine uses up.

Waiting longer costs nothing where the condition comes true.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

TIMEOUT_SECONDS = 120.0
POLL_SECONDS = 0.02
T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    show: Callable[[], object] = str,
    every: float = POLL_SECONDS,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> T:
    """Ask again and again until an answer is true, and return it.

    Args:
        condition: What is asked.
        show: Returns what a failure shows, such as a log.
        every: Seconds between two questions; more of what costs a service time.
        timeout_seconds: Seconds after which it gives up.

    Raises:
        AssertionError: It was not true in that time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_seconds:.0f} s: {show()}")
        time.sleep(every)
    return found
