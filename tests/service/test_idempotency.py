"""Exactly once, over Flask's own client: keys, `at`, and what is stored of answers."""

import threading

import numpy as np
import pytest

from service.engine.rows import Row
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Lifetimes, Retention
from tests.assembly import build_engine
from tests.fakes import counting_model
from tests.problems import assert_problem, assert_problem_body
from tests.service import keyed_requests
from tests.service.keyed_requests import KEY, PATH, row, step_of

send = pytest.fixture(keyed_requests.send)


def test_repeat_gets_the_same_bytes_and_advances_nothing(send, client, clock):
    body = {"threshold": 0.2, "top": 2}
    send(row("green"), key=None)
    first = send(row("red", "green"), **body)
    clock.advance(5)

    second = send(row("red", "green"), **body)

    assert second.data == first.data
    assert first.headers.get("Idempotency-Replayed") is None
    assert second.headers["Idempotency-Replayed"] == "true"
    assert step_of(client) == 3


@pytest.mark.parametrize("body", [{"return": "all"}, {"return": "last"}])
@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_every_form_of_answer_is_repeated_to_the_byte(send, body, verb):
    first = send(row("red", "green", "red"), verb=verb, **body)

    second = send(row("red", "green", "red"), verb=verb, **body)

    assert second.data == first.data
    assert second.headers["Idempotency-Replayed"] == "true"


def test_answer_can_be_repeated_after_other_requests(send, client):
    first = send(row("red"))
    for k in range(7):
        send(row("green"), key=f"other-{k}")

    assert send(row("red")).data == first.data
    assert step_of(client) == 8


def test_answers_are_bounded_and_the_oldest_is_applied_again(send, client):
    send(row("red"))
    for k in range(8):
        send(row("green"), key=f"other-{k}")

    response = send(row("red"))

    assert response.headers.get("Idempotency-Replayed") is None
    assert step_of(client) == 10


def test_step_beside_the_key_guards_where_the_answer_has_left(send, client):
    send(row("red", at=0))
    for k in range(8):
        send(row("green"), key=f"other-{k}")

    assert_problem(send(row("red", at=0)), 409, "step_conflict")
    assert step_of(client) == 9


@pytest.mark.parametrize(
    "changed",
    [
        {"instances": [row("green")]},
        {"instances": [row("red", at=0)]},
        {"instances": [row("red")], "top": 1},
        {"instances": [row("red", session="t"), row("red")]},
    ],
    ids=["events", "step", "options", "rows"],
)
def test_same_key_with_another_body_is_refused(send, client, changed):
    send(row("red"))

    response = client.post(PATH, json=changed, headers={"Idempotency-Key": KEY})

    if response.status_code == 200:
        body = response.get_json()["predictions"][1]
        assert_problem_body(body, 422, "idempotency_mismatch")
    else:
        assert_problem(response, 422, "idempotency_mismatch")
    assert step_of(client) == 1


def test_same_key_for_another_call_is_refused(send):
    send(row("red"))

    assert_problem(send(row("red"), verb="explain"), 422, "idempotency_mismatch")
    named = send(row("red"), path="/v1/models/counting/versions/1:predict")
    assert_problem(named, 422, "idempotency_mismatch")


def test_keys_of_different_sessions_have_nothing_in_common(send, client):
    send(row("red"))

    assert send(row("green", session="t")).status_code == 200
    assert step_of(client, "t") == 1


def test_repeat_of_a_request_applied_in_part_applies_the_rest(send, client, services):
    rows = [row("red"), row("green"), row("red", session="t")]
    save, commits = services.engine.sessions.save_encoded, []

    def fail_before_the_second_turn(writes):
        commits.append(writes)
        if len(commits) == 2:
            raise KeyError("a defect")
        return save(writes)

    services.engine.sessions.save_encoded = fail_before_the_second_turn
    first, second, third = send(*rows).get_json()["predictions"]
    assert (first["step"], second["code"], third["step"]) == (1, "internal", 1)
    services.engine.sessions.save_encoded = save

    response = send(*rows)

    steps = [answer["step"] for answer in response.get_json()["predictions"]]
    assert steps == [1, 2, 1]
    assert response.headers.get("Idempotency-Replayed") is None
    assert (step_of(client), step_of(client, "t")) == (2, 1)
    again = send(*rows)
    assert again.data == response.data
    assert again.headers["Idempotency-Replayed"] == "true"


def test_ending_a_session_can_be_repeated(send, client):
    send(row("red"), key="first")
    first = send(row("green", end=True))

    second = send(row("green", end=True))

    assert second.data == first.data
    assert second.get_json()["predictions"][0]["ended"] is True
    assert_problem(send(row("red"), key="new"), 410, "session_gone")


def test_expired_session_still_repeats_its_answer(send, clock):
    first = send(row("red"))
    clock.advance(100)

    assert send(row("red")).data == first.data
    assert_problem(send(row("red"), key="new"), 410, "session_gone")


def test_restarting_can_be_repeated(send, client, clock):
    ended = send(row("red", end=True), key="end")
    first = send(row("red", start=True))

    second = send(row("red", start=True))

    assert second.data == first.data
    assert step_of(client) == 1
    assert send(row("red", end=True), key="end").data == ended.data


def test_deleted_session_has_forgotten_its_answers(send, client):
    send(row("red"))
    client.delete("/v1/models/counting/sessions/s")

    assert_problem(send(row("red")), 410, "session_gone")


def test_stored_answer_has_a_lifetime(send, client, clock):
    send(row("red", ttl_seconds=200_000))
    clock.advance(86_399)
    assert send(row("red", ttl_seconds=200_000)).headers["Idempotency-Replayed"]
    clock.advance(1)

    response = send(row("red", ttl_seconds=200_000))

    assert response.headers.get("Idempotency-Replayed") is None
    assert step_of(client) == 2


def test_failed_request_can_be_repeated_and_is_tried_again(send, client):
    assert_problem(send(row("poison")), 500, "non_finite")

    assert_problem(send(row("poison")), 500, "non_finite")
    assert send(row("red")).status_code == 200


def test_answer_too_long_to_keep_is_refused_before_it_is_applied(
    engine, clock, client, services, send
):
    small = Retention(answers=Retention().answers._replace(num_bytes=200))
    lifetimes = Lifetimes(100, 50)
    services.engine.__init__(
        engine.sessions, TokenCipher([b"k" * 32]), lifetimes, clock, small
    )

    refused = send(row(*["red"] * 20), **{"return": "all"})

    body = assert_problem(refused, 400, "answer_too_large")
    assert (body["max_answers"], body["max_bytes"]) == (8, 200)
    assert client.get("/v1/models/counting/sessions/s").status_code == 404
    assert send(row(*["red"] * 20)).status_code == 200


def test_more_rows_of_a_session_than_answers_are_kept_are_not_applied(send, client):
    rows = [row("red") for _ in range(9)]

    first, second = send(*rows), send(*rows)

    assert first.data == second.data
    assert_problem_body(first.get_json()["predictions"][8], 400, "answer_too_large")
    assert step_of(client) == 8


def test_repeat_while_the_first_runs_is_answered_so(send, client, model):
    early = []
    other = threading.Thread(
        target=lambda: early.append(send(row("red"), key="another"))
    )

    def repeat():
        model.runtime.before_return = lambda: None
        early.append(send(row("red"), row("red", session="t")))
        other.start()

    model.runtime.before_return = repeat

    first = send(row("red"), row("red", session="t"))
    other.join()

    body = assert_problem(early[0], 409, "request_in_progress")
    assert len(body["rows"]) == 2
    assert early[1].status_code == 200
    assert first.status_code == 200
    assert send(row("red"), row("red", session="t")).data == first.data


def test_key_is_free_again_after_a_failure(send, model):
    run = model.runtime.run

    def crash(*_):
        raise KeyError("a defect")

    model.runtime.run = crash
    assert send(row("red")).status_code == 500
    model.runtime.run = run

    assert send(row("red")).status_code == 200


def test_loser_between_workers_answers_what_the_winner_stored(engine, model, clock):
    other_worker = build_engine(clock, sessions=engine.sessions)
    keyed = Row(np.array([0], "int32"), session="s", key="k", fingerprint=b"f" * 16)
    winners = []

    def be_overtaken():
        model.runtime.before_return = lambda: None
        winners.extend(other_worker.advance(counting_model(), [keyed], tenant=""))

    model.runtime.before_return = be_overtaken

    (loser,) = engine.advance(model, [keyed], tenant="")

    assert (winners[0].step, winners[0].is_replayed) == (1, False)
    assert (loser.step, loser.is_replayed) == (1, True)
    assert loser.outputs["probabilities"].tolist() == [[1.0, 0.0, 0.0]]


def test_many_repeats_at_once_are_applied_once(send, client):
    barrier, statuses = threading.Barrier(8), []

    def post():
        barrier.wait()
        statuses.append(send(row("red", "green")).status_code)

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert step_of(client) == 2


def test_rows_without_a_session_are_computed_again(send):
    first = send(["red", "green"], {"sequence": ["red"], "memory": None})

    second = send(["red", "green"], {"sequence": ["red"], "memory": None})

    assert second.headers.get("Idempotency-Replayed") is None
    one, other = (r.get_json()["predictions"] for r in (first, second))
    assert one[0] == other[0]
    assert one[1]["probabilities"] == other[1]["probabilities"]


def test_bad_key_is_refused(send):
    assert_problem(send(row("red"), key="a b"), 400, "invalid_request")


@pytest.mark.parametrize("given", [{}, {"sequence_id": 0}])
def test_repeated_start_of_a_sequence_gets_the_id_it_was_given(client, given):
    row = {"sequence": ["red"], "sequence_control_input": 1, **given}
    body = {"instances": [row, row]}

    answers = [
        client.post(PATH, json=body, headers={"Idempotency-Key": key})
        for key in ('"k"', '"k"', '"other"')
    ]

    ids = [[p["sequence_id"] for p in a.get_json()["predictions"]] for a in answers]
    assert answers[0].data == answers[1].data
    assert len({*ids[0], *ids[2]}) == 4
