"""Exactly once by the step: rows that say `at` and no key."""

import pytest

from service.sessions.record import SessionKey
from tests.problems import assert_problem
from tests.service import keyed_requests
from tests.service.keyed_requests import PATH, row, step_of

send = pytest.fixture(keyed_requests.send)


def test_repeat_with_the_same_step_gets_the_same_bytes(send, client, clock):
    send(row("red"), key=None)
    first = send(row("green", at=1), key=None)
    clock.advance(5)

    second = send(row("green", at=1), key=None)

    assert second.data == first.data
    assert second.headers["Idempotency-Replayed"] == "true"
    assert step_of(client) == 2


def test_step_of_a_former_life_is_a_conflict_in_the_next(send, client):
    send(row("red"), key=None)
    send(row("green", at=1, end=True), key=None)
    send(row("green", "green", start=True), key=None)

    repeated = send(row("green", at=1, end=True), key=None)

    assert_problem(repeated, 409, "step_conflict")
    assert step_of(client) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"instances": [row("red", at=1)]},
        {"instances": [row("green", at=1, ttl_seconds=5)]},
        {"instances": [row("green", at=1)], "return": "all"},
    ],
    ids=["events", "lifetime", "return"],
)
def test_another_row_at_the_same_step_is_a_conflict(send, client, other):
    send(row("red"), key=None)
    send(row("green", at=1), key=None)

    body = assert_problem(client.post(PATH, json=other), 409, "step_conflict")

    assert (body["step"], body["expected"]) == (2, 1)


def test_only_the_last_row_with_a_step_is_kept(send):
    send(row("red", at=0), key=None)
    send(row("red", at=1), key=None)

    assert_problem(send(row("red", at=0), key=None), 409, "step_conflict")


def test_ending_row_with_a_step_can_be_repeated(send):
    send(row("red"), key=None)
    first = send(row("green", at=1, end=True), key=None)

    assert send(row("green", at=1, end=True), key=None).data == first.data
    assert_problem(send(row("red", at=1), key=None), 410, "session_gone")


def test_rows_that_say_neither_store_no_answer(send, engine):
    send(row("red"), key=None)

    assert engine.sessions.get(SessionKey("", "counting", "s")).answers == b""
