"""Every error of the service: provoked by a real request, documented, one shape.

A new class in `service.errors` needs a line in `PROVOKED`.
"""

from __future__ import annotations

import pytest

from service.api.problems import RETRY_AFTER_SECONDS, status_of
from service.errors import CarryoverError, Conflict, Gone, StoreFull, StoreUnavailable
from tests.problems import assert_problem
from tests.servers import ROOT
from tests.service.provocations import (
    PREDICT,
    World,
    ask_for_too_many_answers,
    change,
    corrupt,
    crash,
    expire,
    expire_token,
    fail_with,
    forecast,
    go_on_with_no_sequence,
    hold_back,
    load_damaged,
    never_fit,
    overload,
    repeat,
    repeat_early,
    replace_network,
    reuse_key,
    run_late,
    send_a_key_of_another_scope,
    send_an_old_token,
    send_to_another_model,
    send_too_many,
    send_too_many_at_once,
    send_without_a_key,
)

# Classes that only group others: nothing raises them.
GROUPS = (Conflict, Gone)


@pytest.fixture
def world(clock, model, tmp_path):
    return World(clock, model, tmp_path)


MEMORY = {"network": "ab" * 16, "step": 1, "memory": {"short_term_0": [1, 0, 0]}}
PROVOKED = {
    "invalid_memory": change("/memory", **(MEMORY | {"memory": {}})),
    "token_foreign": send_to_another_model,
    "token_replayed": send_an_old_token,
    "plain_memory_refused": lambda w: w.rows({"sequence": ["red"], "memory": MEMORY}),
    "unauthorized": send_without_a_key,
    "rate_limited": send_too_many,
    "too_many_at_once": send_too_many_at_once,
    "forbidden": send_a_key_of_another_scope,
    "snapshot_unavailable": change(":rewind", to_step=0),
    "precondition_failed": change(":touch", headers={"If-Match": '"x"'}),
    "precondition_required": change("/memory", **MEMORY),
    "internal": crash,
    "invalid_request": lambda w: w.send(b"[]"),
    "invalid_json": lambda w: w.send(b"{"),
    "unknown_field": lambda w: w.rows(["red"], tpo=1),
    "body_too_large": lambda w: w.send(b" " * 20_001),
    "too_many_rows": lambda w: w.rows(*[["red"]] * 21),
    "sequence_too_long": lambda w: w.rows(["red"] * 51),
    "too_many_events": lambda w: w.rows(["red"] * 11, verb="explain"),
    "empty_sequence": lambda w: w.rows([]),
    "unknown_event": lambda w: w.rows(["blue"]),
    "invalid_event": lambda w: w.rows([7]),
    "non_finite_input": lambda w: w.send(b'{"instances": [[NaN]]}'),
    "answer_too_large": ask_for_too_many_answers,
    "cannot_forecast": forecast,
    "idempotency_mismatch": reuse_key,
    "request_in_progress": repeat_early,
    "token_invalid": lambda w: w.rows({"sequence": ["red"], "memory": "x"}),
    "unknown_label": lambda w: w.get("/v1/models/counting/labels/nope"),
    "malformed_request": lambda w: w.get("/v1/models/counting:fly"),
    "sequence_not_started": go_on_with_no_sequence,
    "model_not_loaded": load_damaged,
    "not_found": lambda w: w.get("/nowhere"),
    "model_not_found": lambda w: w.get("/v1/models/nope"),
    "version_not_found": lambda w: w.get("/v1/models/counting/versions/9"),
    "report_not_found": lambda w: w.get("/v1/models/counting/report"),
    "session_not_found": lambda w: w.get("/v1/models/counting/sessions/nobody"),
    "method_not_allowed": lambda w: w.get(PREDICT),
    "not_served": lambda w: w.get("/v1/models/counting:classify", "POST"),
    "session_gone": expire,
    "token_expired": expire_token,
    "step_conflict": repeat({"at": 0}),
    "session_live": repeat({"start": True}),
    "wrong_network": replace_network,
    "session_contended": fail_with("lose"),
    "earlier_row_failed": hold_back,
    "non_finite": lambda w: w.rows(["poison"]),
    "corrupt_record": corrupt,
    "overloaded": overload,
    "request_too_large": never_fit,
    "deadline_exceeded": run_late,
    "store_full": fail_with(StoreFull("the store is full.")),
    "store_unavailable": fail_with(StoreUnavailable("the disk is gone.")),
}


def walk(cls=CarryoverError):
    """Yield the tree of errors but for its groups."""
    if cls not in GROUPS:
        yield cls
    for child in cls.__subclasses__():
        yield from walk(child)


CLASSES = {cls.code: cls for cls in walk()}


def test_every_error_has_a_code_of_its_own_and_a_request_that_provokes_it():
    assert len(CLASSES) == len(list(walk()))
    assert PROVOKED.keys() == CLASSES.keys()


@pytest.mark.parametrize("code", CLASSES)
def test_every_error_is_reached_and_has_the_one_shape(world, code, monkeypatch):
    monkeypatch.setattr("service.engine.settlement.MAX_CONTENTION_SECONDS", 0.02)

    response = PROVOKED[code](world)

    status = status_of(CLASSES[code]("x"))
    assert_problem(response, status, code)
    assert ("Retry-After" in response.headers) == (CLASSES[code] in RETRY_AFTER_SECONDS)


def describe_errors():
    """Write the table of errors of docs/reference/errors.md."""
    lines = ["| code | status | when | `Retry-After` |", "|---|---|---|---|"]
    for code, cls in CLASSES.items():
        meaning = cls.__doc__.splitlines()[0]
        if cls is CarryoverError:  # stands for what nobody foresaw
            meaning = "A defect of the service; the log has it under the request's id."
        seconds = RETRY_AFTER_SECONDS.get(cls)
        wait = f"{seconds} s" if seconds else ""
        lines.append(f"| `{code}` | {status_of(cls('x'))} | {meaning} | {wait} |")
    return "\n".join(lines)


def test_reference_has_every_error_with_its_status_and_meaning():
    page = ROOT / "docs" / "reference" / "errors.md"

    assert page.read_text().endswith("\n" + describe_errors() + "\n")
