"""Answers while sessions migrate to a new version."""

import json

import pytest

from tests.assembly import build_app
from tests.problems import assert_problem, assert_problem_body
from tests.service import migrations
from tests.service.migrations import NEW, WIDER, build_model

old = pytest.fixture(migrations.old)
new = pytest.fixture(migrations.new)
serve = pytest.fixture(migrations.serve)


@pytest.fixture
def visit(serve, old):
    """POST to a service with given versions and policy, over the same sessions."""

    def post(*models, rows, policy="pin", version=None, headers=None, **body):
        app = build_app(models, engine=serve(*models, policy=policy))
        at = f"/versions/{version}" if version else ""
        return app.test_client().post(
            f"/v1/models/counting{at}:predict",
            json={"instances": rows, **body},
            headers=headers or {},
        )

    return post


RED_ROW = {"sequence": ["red"], "session": "s"}


def test_answer_names_the_version_that_advanced_its_rows(visit, old, new):
    visit(old, rows=[RED_ROW])

    pinned = visit(old, new, rows=[RED_ROW]).get_json()
    mixed = visit(old, new, rows=[RED_ROW, {**RED_ROW, "session": "new"}]).get_json()

    assert pinned["model_version"] == "1"
    assert "model_version" not in pinned["predictions"][0]
    assert mixed["model_version"] == "2"
    assert mixed["predictions"][0]["model_version"] == "1"
    assert "model_version" not in mixed["predictions"][1]


def test_answer_names_where_its_memory_came_from(visit, old, new):
    visit(old, rows=[RED_ROW], policy="replay")

    first = visit(new, rows=[RED_ROW], policy="replay").get_json()["predictions"][0]
    second = visit(new, rows=[RED_ROW], policy="replay").get_json()["predictions"][0]

    assert (first["migrated_from"], first["step"]) == ("1", 2)
    assert "migrated_from" not in second
    assert "reset" not in first


def test_answer_says_that_a_session_was_reset(visit, old, new):
    visit(old, rows=[RED_ROW])

    answer = visit(new, rows=[RED_ROW], policy="reset").get_json()["predictions"][0]

    assert (answer["migrated_from"], answer["reset"], answer["step"]) == ("1", True, 1)


def test_address_that_names_a_version_is_bound_to_it(visit, old, new):
    visit(old, rows=[RED_ROW])

    refused = visit(old, new, rows=[RED_ROW], version=2)
    served = visit(old, new, rows=[RED_ROW], version=1)

    assert_problem(refused, 409, "wrong_network")
    assert served.get_json()["model_version"] == "1"


def test_pinned_session_reads_events_by_its_own_vocabulary(visit, old):
    wider = build_model(2, NEW, WIDER)
    visit(old, rows=[RED_ROW])

    pinned = visit(old, wider, rows=[RED_ROW], top=1).get_json()
    unknown = visit(old, wider, rows=[{"sequence": ["blue"], "session": "s"}])

    assert pinned["predictions"][0]["probabilities"] == [1.0, 0.0, 0.0]
    assert pinned["labels"] == ["red", "green", "poison"]
    assert pinned["predictions"][0]["top"][0]["label"] == "red"
    assert_problem(unknown, 400, "unknown_event")


def test_rows_of_other_labels_name_them(visit, old):
    wider = build_model(2, NEW, WIDER)
    visit(old, rows=[RED_ROW])

    body = visit(old, wider, rows=[RED_ROW, {**RED_ROW, "session": "new"}]).get_json()

    assert body["labels"] == list(WIDER)
    assert body["predictions"][0]["labels"] == ["red", "green", "poison"]


def test_repeat_is_the_same_to_the_byte_after_a_new_version_came(visit, old, new):
    headers = {"Idempotency-Key": '"k"'}
    first = visit(old, rows=[RED_ROW], headers=headers)

    second = visit(old, new, rows=[RED_ROW], headers=headers, policy="reset")
    third = visit(new, rows=[RED_ROW], headers=headers, policy="reset")

    assert third.data == second.data == first.data
    assert third.headers["Idempotency-Replayed"] == "true"


def test_migrating_answer_can_be_repeated(visit, old, new):
    headers = {"Idempotency-Key": '"k"'}
    visit(old, rows=[RED_ROW])
    first = visit(new, rows=[RED_ROW], headers=headers, policy="reset")

    second = visit(new, rows=[RED_ROW], headers=headers, policy="reset")

    assert second.data == first.data
    assert json.loads(first.data)["predictions"][0]["migrated_from"] == "1"


def test_one_refused_session_spoils_no_other(visit, old, new):
    visit(old, rows=[RED_ROW])

    body = visit(new, rows=[RED_ROW, {**RED_ROW, "session": "new"}]).get_json()

    assert_problem_body(body["predictions"][0], 409, "wrong_network")
    assert body["predictions"][1]["step"] == 1
