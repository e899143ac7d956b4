"""A wall clock that jumps is not trusted, across restarts and boots too."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.sessions.clock_guard import (
    SETTLE_SECONDS,
    TOLERANCE_SECONDS,
    ClockGuard,
    read_boot_id,
    read_uptime,
)
from service.sessions.sweeper import INTERVAL_SECONDS
from tests.fakes import FakeClock

DAY_SECONDS = 86_400.0


@pytest.fixture
def wall() -> FakeClock:
    return FakeClock()


@pytest.fixture
def uptime() -> FakeClock:
    return FakeClock(500.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "clock.json"


@pytest.fixture
def guard(path: Path, wall: FakeClock, uptime: FakeClock) -> ClockGuard:
    """A guard that has come to trust its clock."""
    guard = ClockGuard(path, wall=wall, uptime=uptime, boot="first")
    assert not guard.is_trusted()
    assert advance(guard, wall, uptime, SETTLE_SECONDS)
    return guard


def advance(
    guard: ClockGuard, wall: FakeClock, uptime: FakeClock, seconds: float
) -> bool:
    """Let both clocks advance, and the guard look as often as the sweeper does."""
    trusted = guard.is_trusted()
    for _ in range(int(seconds // INTERVAL_SECONDS)):
        wall.advance(INTERVAL_SECONDS)
        uptime.advance(INTERVAL_SECONDS)
        trusted = guard.is_trusted()
    return trusted


@pytest.mark.parametrize("jump", [9 * DAY_SECONDS, -9 * DAY_SECONDS, 60.0, -60.0])
def test_jump_is_not_trusted_and_its_end_is(
    guard: ClockGuard, wall: FakeClock, uptime: FakeClock, jump: float
) -> None:
    wall.advance(jump)
    assert not advance(guard, wall, uptime, 36.0)
    wall.advance(-jump)

    assert guard.is_trusted()


@pytest.mark.parametrize("jump", [9 * DAY_SECONDS, -9 * DAY_SECONDS])
def test_clock_that_was_set_right_is_trusted_after_an_hour(
    guard: ClockGuard, wall: FakeClock, uptime: FakeClock, jump: float
) -> None:
    wall.advance(jump)

    assert not advance(guard, wall, uptime, SETTLE_SECONDS - INTERVAL_SECONDS)
    assert advance(guard, wall, uptime, INTERVAL_SECONDS)


def test_clock_that_keeps_jumping_is_never_trusted(
    guard: ClockGuard, wall: FakeClock, uptime: FakeClock
) -> None:
    for _ in range(20):
        wall.advance(DAY_SECONDS)
        assert not advance(guard, wall, uptime, SETTLE_SECONDS / 2)


def test_slow_drift_is_followed(
    guard: ClockGuard, wall: FakeClock, uptime: FakeClock
) -> None:
    for _ in range(100):
        wall.advance(TOLERANCE_SECONDS / 2)
        assert guard.is_trusted()


@pytest.mark.parametrize("jump", [9 * DAY_SECONDS, -9 * DAY_SECONDS])
@pytest.mark.usefixtures("guard")
def test_worker_started_during_a_jump_knows_it(
    path: Path, wall: FakeClock, uptime: FakeClock, jump: float
) -> None:
    wall.advance(jump)
    successor = ClockGuard(path, wall=wall, uptime=uptime, boot="first")
    assert not successor.is_trusted()
    wall.advance(-jump)

    assert successor.is_trusted()


@pytest.mark.usefixtures("guard")
def test_service_started_after_days_on_the_same_boot_trusts_its_clock(
    path: Path, wall: FakeClock, uptime: FakeClock
) -> None:
    wall.advance(9 * DAY_SECONDS)
    uptime.advance(9 * DAY_SECONDS)

    assert ClockGuard(path, wall=wall, uptime=uptime, boot="first").is_trusted()


@pytest.mark.parametrize(
    ("ahead", "is_trusted"),
    [(60.0, True), (9 * DAY_SECONDS, False), (-60.0, False)],
    ids=["a minute on", "days on", "before the last reading"],
)
@pytest.mark.usefixtures("guard")
def test_clock_after_a_boot_is_compared_with_the_last_reading(
    path: Path, wall: FakeClock, ahead: float, is_trusted: bool
) -> None:
    wall.advance(ahead)
    uptime = FakeClock(3.0)

    guard = ClockGuard(path, wall=wall, uptime=uptime, boot="second")

    assert guard.is_trusted() is is_trusted
    assert advance(guard, wall, uptime, SETTLE_SECONDS)


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"a": 1}', '["x", 1, ""]', "\0"])
def test_damaged_reading_is_as_none(
    path: Path, wall: FakeClock, uptime: FakeClock, content: str
) -> None:
    path.parent.mkdir()
    path.write_text(content)

    guard = ClockGuard(path, wall=wall, uptime=uptime, boot="first")

    assert not guard.is_trusted()
    assert advance(guard, wall, uptime, SETTLE_SECONDS)


def test_reading_that_cannot_be_written_stops_nothing(
    tmp_path: Path, wall: FakeClock, uptime: FakeClock
) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "clock.json"
    guard = ClockGuard(path, wall=wall, uptime=uptime, boot="first")

    assert not guard.is_trusted()
    assert advance(guard, wall, uptime, SETTLE_SECONDS)


def test_this_machine_has_both_clocks() -> None:
    assert read_uptime() > 0
    assert len(read_boot_id()) == 36


def restart_often(
    path: Path, wall: FakeClock, uptime: FakeClock, jump: float = 0.0
) -> bool:
    """Start a service six times, each of them for a sixth of the time to settle."""
    is_trusted = False
    for _ in range(6):
        guard = ClockGuard(path, wall=wall, uptime=uptime, boot="first")
        is_trusted = advance(guard, wall, uptime, SETTLE_SECONDS / 6)
        wall.advance(jump)
    return is_trusted


def test_service_that_is_restarted_often_comes_to_trust_its_clock(
    path: Path, wall: FakeClock, uptime: FakeClock
) -> None:
    assert restart_often(path, wall, uptime)


def test_clock_that_jumps_between_restarts_is_not_trusted(
    path: Path, wall: FakeClock, uptime: FakeClock
) -> None:
    assert not restart_often(path, wall, uptime, jump=DAY_SECONDS)


def test_course_that_was_left_does_not_count_later(
    guard: ClockGuard, path: Path, wall: FakeClock, uptime: FakeClock
) -> None:
    wall.advance(DAY_SECONDS)
    assert not guard.is_trusted()
    wall.advance(-DAY_SECONDS)
    assert advance(guard, wall, uptime, SETTLE_SECONDS)
    wall.advance(DAY_SECONDS)

    assert not ClockGuard(path, wall=wall, uptime=uptime, boot="first").is_trusted()


def test_first_start_does_not_say_that_the_clock_jumped(
    path: Path, wall: FakeClock, uptime: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    ClockGuard(path, wall=wall, uptime=uptime, boot="first").is_trusted()

    [record] = caplog.records
    assert record.levelname == "INFO"
    assert "no trusted reading" in record.message
