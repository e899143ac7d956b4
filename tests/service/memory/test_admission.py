"""Every combination of what was found and what a row says."""

from __future__ import annotations

import pytest

from service.errors import (
    CarryoverError,
    CorruptRecord,
    SessionGone,
    SessionLive,
    StepConflict,
    WrongNetwork,
)
from service.sessions.preconditions import StoredSession, check_preconditions
from service.sessions.record import Session, Tombstone

LIVE = Session(5, 1, bytes(16), 0.0, 0.0, 100.0, 60.0, b"")
NEVER_SEEN = StoredSession(0, None)
FOUND_LIVE = StoredSession(5, LIVE)
FOUND_GONE = StoredSession(6, Tombstone("expired", 5, 1_700_000_000.5))
FOUND_CORRUPT = StoredSession(7, CorruptRecord("damaged"))


@pytest.mark.parametrize(
    ("found", "start", "at", "session"),
    [
        (NEVER_SEEN, False, None, None),
        (NEVER_SEEN, False, 0, None),
        (NEVER_SEEN, True, None, None),
        (NEVER_SEEN, True, 0, None),
        (FOUND_LIVE, False, None, LIVE),
        (FOUND_LIVE, False, 5, LIVE),
        (FOUND_GONE, True, None, None),
        (FOUND_GONE, True, 0, None),
        (FOUND_CORRUPT, True, None, None),
        (FOUND_CORRUPT, True, 0, None),
    ],
)
def test_row_that_fits_is_admitted(
    found: StoredSession, start: bool, at: int | None, session: Session | None
) -> None:
    assert check_preconditions(found, network=bytes(16), start=start, at=at) is session


@pytest.mark.parametrize(
    ("found", "start", "at", "error", "members"),
    [
        (NEVER_SEEN, False, 3, StepConflict, {"step": 0, "expected": 3}),
        (NEVER_SEEN, True, 3, StepConflict, {"step": 0, "expected": 3}),
        (FOUND_LIVE, False, 0, StepConflict, {"step": 5, "expected": 0}),
        (FOUND_LIVE, False, 4, StepConflict, {"step": 5, "expected": 4}),
        (FOUND_LIVE, False, 6, StepConflict, {"step": 5, "expected": 6}),
        (FOUND_LIVE, True, None, SessionLive, {"step": 5}),
        (FOUND_LIVE, True, 0, SessionLive, {"step": 5}),
        (FOUND_GONE, True, 5, StepConflict, {"step": 0, "expected": 5}),
        (FOUND_CORRUPT, False, None, CorruptRecord, {}),
        (FOUND_CORRUPT, False, 5, CorruptRecord, {}),
        (FOUND_CORRUPT, True, 5, StepConflict, {"step": 0, "expected": 5}),
    ],
)
def test_row_that_does_not_fit_is_refused_with_the_facts(
    found: StoredSession,
    start: bool,
    at: int | None,
    error: type[CarryoverError],
    members: dict[str, object],
) -> None:
    with pytest.raises(error) as caught:
        check_preconditions(found, network=bytes(16), start=start, at=at)

    assert caught.value.members == members


@pytest.mark.parametrize("at", [None, 0, 5])
def test_gone_session_says_when_at_which_step_and_how_to_begin(at: int | None) -> None:
    with pytest.raises(SessionGone) as caught:
        check_preconditions(FOUND_GONE, network=bytes(16), start=False, at=at)

    assert caught.value.detail == (
        "the session expired at 2023-11-14T22:13:20.500Z, at step 5. "
        'Send "start": true to begin it again.'
    )
    assert caught.value.members == {
        "reason": "expired",
        "step": 5,
        "at": "2023-11-14T22:13:20.500Z",
    }


def test_memory_of_other_weights_is_refused() -> None:
    with pytest.raises(WrongNetwork, match="made by other weights") as caught:
        check_preconditions(
            StoredSession(3, LIVE), network=b"x" * 16, start=False, at=None
        )

    assert caught.value.members == {"step": 5, "model_version": "1"}


def test_session_of_other_weights_restarts_at_step_zero() -> None:
    found = StoredSession(3, LIVE)

    assert check_preconditions(found, network=b"x" * 16, start=True, at=None) is None
    assert check_preconditions(found, network=b"x" * 16, start=True, at=0) is None
    with pytest.raises(StepConflict):
        check_preconditions(found, network=b"x" * 16, start=True, at=7)
