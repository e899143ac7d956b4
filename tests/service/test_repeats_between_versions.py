"""Repeats while a version with other numbers for the same names arrives.

Random requests of every dialect, repeats, and requests that only look like one once a
vocabulary has encoded them, against a few lines of plain Python: a request is known by
what its client sent, each is applied once, and each repeat gets its first answer.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.service.repeats_machine import FORMS, RepeatsMachine, Sent

EXAMPLES = int(os.environ.get("EXAMPLES", "12"))  # as in memory/test_stateful.py


@pytest.mark.parametrize("kind", ["event", "record"])
@pytest.mark.parametrize("policy", ["pin", "replay", "reset", "refuse"])
def test_each_request_is_applied_once_whatever_version_encodes_it(policy, kind):
    run_state_machine_as_test(
        lambda: RepeatsMachine(policy, kind),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            derandomize="EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("form", FORMS)
def test_row_that_resets_its_session_is_applied_once(form):
    machine = RepeatsMachine("reset", "event")
    machine.newest = 2
    events = (0,) if form == "v2 numbers" else ("wait",)
    request = Sent("1", form, events, 1, None)

    machine.check(request)
    machine.check(request)

    assert machine.lives["1"].step == 1


@pytest.mark.parametrize("form", FORMS[:3])
@pytest.mark.parametrize("key", [None, "k"])
def test_other_names_of_the_same_numbers_are_no_repeat(form, key):
    machine = RepeatsMachine("pin", "event")
    request = Sent("1", form, ("open",), 1, None if form == "stream" else key)
    machine.check(request)
    machine.newest = 2

    machine.check(replace(request, events=("wait",)))  # as version 1 numbers `open`
    machine.check(request)

    assert machine.lives["1"].step == 2


@pytest.mark.parametrize("policy", ["pin", "reset"])
@pytest.mark.parametrize("kind", ["event", "record"])
def test_last_use_of_a_token_can_be_repeated_by_another_version(policy, kind):
    machine = RepeatsMachine(policy, kind)
    _, _, token, _ = machine.use_token(None, [], ["open"])
    if policy == "reset":
        machine.newest = 2
    first = machine.send_token(token, ["close"])
    machine.newest = 2

    again = machine.send_token(token, ["close"])
    other = machine.send_token(token, list(machine.translate(["close"])))

    (old,), (new,) = (one.get_json()["predictions"] for one in (first, again))
    assert (new["step"], new["probabilities"]) == (old["step"], old["probabilities"])
    assert other.get_json()["code"] == "token_replayed"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", [None, "k"])
def test_answer_that_a_former_release_stored_is_found(form, key, monkeypatch):
    """Both digests of former releases were made of encoded events."""
    machine = RepeatsMachine("pin", "event")
    events = (2,) if form == "v2 numbers" else ("wait",)
    request = Sent("1", form, events, 1, None if form == "stream" else key)
    with monkeypatch.context() as former:
        for module in ("service.engine.repeats", "service.api.v2.parse"):
            former.setattr(
                f"{module}.digest_events", lambda row, inputs: row.sequence.tobytes()
            )
        machine.check(request)

    machine.check(request)

    assert machine.lives["1"].step == 2
