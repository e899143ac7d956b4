from __future__ import annotations

import pytest

from service.engine.job import Call
from service.errors import InvalidRequest
from service.sessions.lifecycle import Sessions
from service.sessions.preconditions import StoredSession
from service.sessions.record import MAX_SESSION_BYTES, SessionKey, check_session_id
from service.stores.base import MAX_KEY_BYTES
from tests.fakes import FakeClock, counting_model
from tests.service.memory.stored import KEY, session_at, store_session


def test_sessions_of_other_tenants_and_models_are_others(
    sessions: Sessions, clock: FakeClock
) -> None:
    keys = [KEY, replace_part(tenant="umbrella"), replace_part(model="roommate")]
    for step, key in enumerate(keys, start=1):
        record = session_at(clock).replace(step=step)
        sessions.save([(key.encode(), StoredSession(0, None), record)])

    assert [sessions.get(key).step for key in keys] == [1, 2, 3]


def replace_part(**part: str) -> SessionKey:
    return KEY._replace(**part)


def test_key_is_its_three_parts_parted_by_zero() -> None:
    assert SessionKey("", "modèle", "x y").encode() == "\0modèle\0x y".encode()


@pytest.mark.parametrize(
    "session",
    ["a\0b", "x" * MAX_KEY_BYTES, "é" * 200, "\ud800"],
    ids=["zero byte", "too long", "too long in bytes", "half a surrogate pair"],
)
def test_id_that_cannot_be_a_key_is_refused(session: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Choose another( session)? id"):
        replace_part(session=session).encode()


def test_longest_id_is_taken(sessions: Sessions, clock: FakeClock) -> None:
    key = replace_part(session="x" * (MAX_KEY_BYTES - len("acme\0nature\0")))

    session = store_session(sessions, clock, key)

    assert sessions.get(key) == session


@pytest.mark.parametrize(
    "session",
    ["a", "é" * (MAX_SESSION_BYTES // 2), "x" * MAX_SESSION_BYTES, "a/b c:\U0001f600"],
    ids=["shortest", "longest", "longest in ASCII", "odd but usable"],
)
def test_usable_id_passes_the_check(session: str) -> None:
    check_session_id(session)


@pytest.mark.parametrize(
    ("session", "size"),
    [("", 0), ("x" * 201, 201), ("é" * 101, 202)],
    ids=["empty", "too long", "too long in bytes"],
)
def test_id_of_wrong_length_is_answered_with_its_length(
    session: str, size: int
) -> None:
    sentence = f"has {size} bytes; expected 1 to 200 bytes of UTF-8"
    with pytest.raises(InvalidRequest, match=sentence):
        check_session_id(session)


@pytest.mark.parametrize("character", ["\0", "\n", "\x1f", "\x7f", "\ud800"], ids=ascii)
def test_id_with_an_unusable_character_is_answered_with_it(character: str) -> None:
    with pytest.raises(InvalidRequest, match=r"without control characters") as refusal:
        check_session_id("x" * 300 + character)

    assert ascii(character) in str(refusal.value)


def test_rows_name_their_sessions_as_everybody_does() -> None:
    call = Call(counting_model(), "acme", "advance")

    assert call.key("x y") == SessionKey("acme", "counting", "x y").encode()
    with pytest.raises(InvalidRequest, match="Choose another session id"):
        call.key("x" * MAX_KEY_BYTES)
