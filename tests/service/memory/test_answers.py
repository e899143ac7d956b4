"""The answers a session keeps."""

import pytest

from service.sessions.sections import (
    ANSWER_HEADER,
    NO_NAME,
    AnswerBounds,
    StoredAnswer,
    append_answer,
    iterate_answers,
    prune,
)

BOUNDS = AnswerBounds(answers=3, num_bytes=1000, seconds=100.0)
NEVER = float("-inf")
A, B, C, D = (letter * 16 for letter in (b"A", b"B", b"C", b"D"))


def answer(name=A, *, position=0, stored_at=1000.0, size=10):
    return StoredAnswer(name, b"f" * 16, position, 4, 5, stored_at, b"x" * size)


def fill(*answers, bounds=BOUNDS):
    section = b""
    for one in answers:
        section = append_answer(section, one, bounds, NEVER)
    return section


def names(section, since=0.0):
    return [one.name for one in iterate_answers(section, since)]


def test_answers_come_back_as_they_were():
    answers = [answer(A), answer(B, position=7, size=0)]

    assert list(iterate_answers(fill(*answers), 0.0)) == answers


def test_the_oldest_leave_when_there_are_too_many():
    assert names(fill(answer(A), answer(B), answer(C), answer(D))) == [B, C, D]


def test_the_oldest_leave_when_they_are_too_long():
    assert names(fill(answer(A, size=300), answer(B, size=300), answer(C, size=300)))[
        0
    ] == (B)


def test_an_answer_longer_than_all_may_be_has_no_room():
    size = BOUNDS.num_bytes - ANSWER_HEADER.size

    assert (
        append_answer(fill(answer(A)), answer(B, size=size), BOUNDS, NEVER) is not None
    )
    assert (
        append_answer(fill(answer(A)), answer(B, size=size + 1), BOUNDS, NEVER) is None
    )


def test_answers_of_one_key_are_never_parted():
    three = [answer(A, position=k) for k in range(3)]

    assert append_answer(fill(*three), answer(A, position=3), BOUNDS, NEVER) is None
    assert names(fill(*three, answer(B))) == [B]


def test_an_answer_without_key_replaces_the_one_before():
    section = fill(answer(NO_NAME), answer(A), answer(NO_NAME, position=1))

    assert names(section) == [A, NO_NAME]


@pytest.mark.parametrize(("age", "kept"), [(99.5, [A]), (100.0, [])])
def test_answers_are_dropped_at_the_end_of_their_lifetime(age, kept):
    section = fill(answer(A, stored_at=1000.0))
    since = 1000.0 + age - BOUNDS.seconds

    assert names(section, since) == kept
    assert names(prune(section, since)) == kept
    later = answer(B, stored_at=1000.0 + age)
    assert names(append_answer(section, later, BOUNDS, since)) == [*kept, B]
