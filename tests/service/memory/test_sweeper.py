from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import CarryoverError, StoreFull, StoreUnavailable
from service.sessions.clock_guard import SETTLE_SECONDS, ClockGuard
from service.sessions.lifecycle import Sessions
from service.sessions.sweeper import (
    INTERVAL_SECONDS,
    RECORDS_PER_TRANSACTION,
    Sweeper,
)
from service.stores.base import Store
from service.stores.in_process import InProcessStore
from tests.assembly import build_sessions
from tests.fakes import FakeClock
from tests.service.memory.conftest import TOMBSTONE_SECONDS
from tests.service.memory.stored import KEY, store_session
from tests.service.memory.test_clock_guard import DAY_SECONDS, advance


class FailingStore(InProcessStore):
    """Fails at the first attempt to forget."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._errors = [error]

    def forget(self, now: float, limit: int) -> int:
        if self._errors:
            raise self._errors.pop()
        return super().forget(now, limit)


def wait_times(times: int) -> Callable[[float], bool]:
    """Return a `wait` that does not wait; it stops the sweeper after some times."""
    answers = iter([False] * times + [True])

    def wait(seconds: float) -> bool:
        assert seconds == INTERVAL_SECONDS
        return next(answers)

    return wait


@pytest.mark.parametrize(
    "error",
    [StoreFull("full"), StoreUnavailable("broken"), OSError("gone")],
    ids=lambda error: type(error).__name__,
)
def test_failed_sweep_is_tried_again(
    error: CarryoverError | OSError,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FailingStore(error)
    sessions = build_sessions(store, clock, TOMBSTONE_SECONDS)
    store_session(sessions, clock)
    clock.advance(1e9)

    Sweeper(sessions, lambda: True, wait_times(2)).run()

    assert f"sweep failed, next in a while: {error}" in caplog.text
    assert store.count() == 0


def test_stopped_sweeper_ends(sessions: Sessions) -> None:
    sweeper = Sweeper(sessions, lambda: True)
    sweeper.start()

    sweeper.stop()

    assert not sweeper.is_alive()


def test_live_session_outlives_a_clock_that_is_ahead(
    sessions: Sessions, store: Store, clock: FakeClock, tmp_path: Path
) -> None:
    uptime = FakeClock(1_000.0)
    guard = ClockGuard(tmp_path / "clock.json", wall=clock, uptime=uptime, boot="1")
    advance(guard, clock, uptime, SETTLE_SECONDS)
    session = store_session(sessions, clock)

    clock.advance(9 * DAY_SECONDS)
    Sweeper(sessions, guard.is_trusted, wait_times(1)).run()
    assert store.count() == 1
    clock.advance(-9 * DAY_SECONDS)

    assert sessions.get(KEY) == session
    advance(guard, clock, uptime, 2 * TOMBSTONE_SECONDS)
    Sweeper(sessions, guard.is_trusted, wait_times(1)).run()
    assert store.count() == 0


def test_sweep_ends_when_the_clock_jumps_amid_it(
    sessions: Sessions, store: Store, clock: FakeClock
) -> None:
    for i in range(2 * RECORDS_PER_TRANSACTION):
        store_session(sessions, clock, KEY._replace(session=f"{i}"))
    clock.advance(1e9)
    answers = iter([True, False])

    Sweeper(sessions, lambda: next(answers), wait_times(1)).run()

    assert store.count() == RECORDS_PER_TRANSACTION
