"""Rows past their deadline: given up whole, and right when they are sent again."""

import time

import pytest

from service.registry.backends.base import Plan
from tests.problems import assert_problem, assert_problem_body

PATH = "/v1/models/counting:predict"
HEADERS = {"Idempotency-Key": '"k"'}
# Longer than any request may take.
LATE_SECONDS = 3600.0


@pytest.fixture
def late(monkeypatch):
    """Let the time be over at once, as the engine's queues see it; or not, again."""

    class Late:
        seconds = 0.0

        def monotonic(self):
            return time.monotonic() + self.seconds

    clock = Late()
    monkeypatch.setattr("service.engine.execution.time", clock)
    return clock


@pytest.fixture
def send(client):
    """POST rows under one idempotency key."""

    def post(*rows, headers=HEADERS):
        body = {"instances": list(rows)}
        return client.post(PATH, json=body, headers=headers)

    return post


@pytest.fixture
def stepwise(model):
    """Have the network advance one timestep a call."""
    model.runtime.plan = lambda _, remaining: Plan(len(remaining), 1)
    return model.runtime


def row(*events, session="s"):
    return {"sequence": list(events), "session": session}


def step_of(client, session="s"):
    return client.get(f"/v1/models/counting/sessions/{session}").get_json()["step"]


def test_row_given_up_in_its_middle_is_right_when_repeated(
    send, client, stepwise, late
):
    send(row("green"), headers={})
    stepwise.before_return = lambda: setattr(late, "seconds", LATE_SECONDS)

    refused = send(row("red", "red", "green"))
    stepwise.before_return = lambda: None
    found, late.seconds = step_of(client), 0.0
    response = send(row("red", "red", "green"))

    assert_problem(refused, 504, "deadline_exceeded")
    assert found == 1
    assert "Idempotency-Replayed" not in response.headers
    answer = response.get_json()["predictions"][0]
    assert answer["probabilities"] == pytest.approx([0.5, 0.5, 0])
    assert step_of(client) == answer["step"] == 4
    assert send(row("red", "red", "green")).data == response.data


def test_row_done_when_its_time_is_over_is_stored_and_answered(
    send, client, model, late
):
    model.runtime.before_return = lambda: setattr(late, "seconds", LATE_SECONDS)

    response = send(row("red", "green"))

    assert response.get_json()["predictions"][0]["step"] == 2
    assert step_of(client) == 2


def test_repeat_applies_only_the_rows_that_were_given_up(send, client, stepwise, late):
    stepwise.before_return = lambda: setattr(late, "seconds", LATE_SECONDS)
    rows = [row("red"), row("green", "green", session="t")]

    first = send(*rows)
    stepwise.before_return = lambda: None
    late.seconds = 0.0
    second = send(*rows)

    done, given_up = first.get_json()["predictions"]
    assert done["step"] == 1
    assert_problem_body(given_up, 504, "deadline_exceeded")
    assert second.get_json()["predictions"][0] == done
    assert [step_of(client, name) for name in ("s", "t")] == [1, 2]
