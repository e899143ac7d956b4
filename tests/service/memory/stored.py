"""Sessions put into a store, as the tests of their life need them."""

from __future__ import annotations

from service.sessions.lifecycle import Sessions
from service.sessions.record import Session, SessionKey
from tests.fakes import FakeClock

KEY = SessionKey("acme", "nature", "ticket-42")
OTHER = SessionKey("acme", "nature", "ticket-43")
IDLE_SECONDS = 60.0


def session_at(clock: FakeClock, step: int = 1) -> Session:
    now = clock()
    tensors = bytes(4 * step)
    expires_at = now + IDLE_SECONDS
    return Session(step, 1, bytes(16), now, now, expires_at, IDLE_SECONDS, tensors)


def store_session(
    sessions: Sessions, clock: FakeClock, key: SessionKey = KEY
) -> Session:
    session = session_at(clock)
    [found] = sessions.load([key.encode()])
    assert sessions.save([(key.encode(), found, session)]) == [True]
    return session
