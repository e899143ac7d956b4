from __future__ import annotations

from collections.abc import Callable

import pytest

from service.errors import CarryoverError, StoreFull, StoreUnavailable
from service.memory.in_process import InProcessStore
from service.memory.sessions import Sessions
from service.memory.sweeper import INTERVAL_SECONDS, Sweeper
from tests.fakes import FakeClock
from tests.service.memory.conftest import TOMBSTONE_SECONDS
from tests.service.memory.stored import store_session


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
    """Return a `wait` that does not wait, and stops the sweeper after so many times."""
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
    sessions = Sessions(store, clock=clock, tombstone_seconds=TOMBSTONE_SECONDS)
    store_session(sessions, clock)
    clock.advance(1e9)

    Sweeper(sessions, wait_times(2)).run()

    assert f"sweep failed, next in a while: {error}" in caplog.text
    assert store.count() == 0


def test_stopped_sweeper_ends(sessions: Sessions) -> None:
    sweeper = Sweeper(sessions)
    sweeper.start()

    sweeper.stop()

    assert not sweeper.is_alive()
