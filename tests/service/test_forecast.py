"""Forecasts, against a network with paths that can be listed by hand."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tests import assembly
from tests.fakes import counting_model
from tests.problems import assert_problem, assert_problem_body
from tests.service import markov
from tests.service.markov import (
    CHAIN,
    EVENTS,
    TOLERANCE,
    best_path,
    list_paths,
    markov_model,
    only,
)

client = pytest.fixture(markov.client)
ask = pytest.fixture(markov.ask)


@pytest.mark.parametrize("history", list(product(range(3), repeat=2)))
def test_most_probable_path_is_the_best_of_all(ask, history):
    probability, path, probabilities = best_path(list(history), 5)

    answer = only(ask([EVENTS[k] for k in history], horizon=5, beams=81))

    assert answer["path"]["events"] == [EVENTS[k] for k in path]
    np.testing.assert_allclose(
        answer["path"]["probabilities"], probabilities, atol=TOLERANCE
    )
    got = answer["path"]["log_probability"]
    assert got == pytest.approx(np.log(probability), abs=1e-5)


def test_one_beam_takes_the_most_probable_event_each_time(ask):
    answer = only(ask(["wake", "eat"], horizon=4, beams=1))

    whole = [0, 1]
    for _ in range(4):
        whole.append(int(CHAIN[whole[-2], whole[-1]].argmax()))
    assert answer["path"]["events"] == [EVENTS[k] for k in whole[2:]]


def test_samples_have_the_frequencies_of_the_network(ask):
    answer = only(ask(["wake", "eat"], horizon=2, samples=4000, seed=1))

    drawn = [tuple(EVENTS.index(e) for e in s["events"]) for s in answer["samples"]]
    for path, probabilities in list_paths([0, 1], 2):
        share = drawn.count(path) / len(drawn)
        spread = np.sqrt(probabilities.prod() / len(drawn)) + 1e-9
        assert abs(share - probabilities.prod()) < 5 * spread, path


def test_samples_show_the_probability_of_each_of_their_events(ask):
    answer = only(ask(["wake", "eat"], horizon=3, samples=20, seed=2))

    exact = {path: probs for path, probs in list_paths([0, 1], 3)}
    for sample in answer["samples"]:
        probabilities = exact[tuple(EVENTS.index(e) for e in sample["events"])]
        np.testing.assert_allclose(
            sample["probabilities"], probabilities, atol=TOLERANCE
        )


def test_same_seed_draws_the_same_samples_whatever_the_other_rows(ask):
    row, other = ["wake"], ["sleep", "eat"]
    options = {"horizon": 6, "samples": 5, "seed": 7}

    alone = ask(row, **options).get_json()["predictions"][0]

    assert ask(row, other, **options).get_json()["predictions"][0] == alone
    assert ask(row, **{**options, "seed": 8}).get_json()["predictions"][0] != alone


def test_answer_names_a_seed_that_draws_its_samples_again(ask):
    body = ask(["wake"], horizon=5, samples=3).get_json()

    again = ask(["wake"], horizon=5, samples=3, seed=body["seed"]).get_json()

    assert again == body


def test_session_is_continued_and_stays_where_it_was(ask, client):
    ask({"sequence": ["wake", "eat"], "session": "s"}, verb="predict")
    before = client.get("/v1/models/days/sessions/s").get_json()

    answer = only(ask({"session": "s"}, horizon=3, beams=9))

    _, path, _ = best_path([0, 1], 3)
    assert answer["path"]["events"] == [EVENTS[k] for k in path]
    assert (answer["step"], answer["session"]) == (2, "s")
    assert client.get("/v1/models/days/sessions/s").get_json() == before


def test_events_of_a_row_are_supposed_to_come_first(ask):
    ask({"sequence": ["wake"], "session": "s"}, verb="predict")

    supposed = only(ask({"sequence": ["eat"], "session": "s"}, horizon=3))

    bare = only(ask(["wake", "eat"], horizon=3))
    assert supposed["path"] == bare["path"]
    assert supposed["step"] == 2


def test_memory_of_a_client_is_continued(ask):
    sent = ask({"sequence": ["wake", "eat"], "memory": None}, verb="predict")
    memory = sent.get_json()["predictions"][0]["memory"]

    answer = only(ask({"memory": memory}, horizon=3))

    assert answer["path"] == only(ask(["wake", "eat"], horizon=3))["path"]
    assert "memory" not in answer


def test_rows_are_independent(ask):
    ask({"sequence": ["wake"], "session": "s"}, verb="predict")

    response = ask(["wake", "eat"], ["blue"], {"session": "nope"}, horizon=2)

    good, bad, unknown = response.get_json()["predictions"]
    assert good == only(ask(["wake", "eat"], horizon=2))
    assert_problem_body(bad, 400, "unknown_event")
    assert_problem_body(unknown, 404, "session_not_found")


@pytest.mark.parametrize(
    ("row", "options", "status", "code"),
    [
        ({"session": "s"}, {}, 400, "invalid_request"),
        ({"session": "s"}, {"horizon": 0}, 400, "invalid_request"),
        ({"session": "s"}, {"horizon": 1, "samples": 0}, 400, "invalid_request"),
        ({"session": "s"}, {"horizon": 1, "seed": 3}, 400, "invalid_request"),
        (["wake"], {"horizon": 1, "samples": 2, "beams": 2}, 400, "invalid_request"),
        (["wake"], {"horizon": 1000, "samples": 101}, 400, "too_many_events"),
        (["wake"], {"horizon": 1, "top": 2}, 400, "unknown_field"),
        ({"session": "s", "end": True}, {"horizon": 1}, 400, "unknown_field"),
        ({"session": "s", "at": 4}, {"horizon": 1}, 409, "step_conflict"),
        ({"session": "s", "memory": "x"}, {"horizon": 1}, 400, "invalid_request"),
        ({"session": ""}, {"horizon": 1}, 400, "invalid_request"),
        ({"memory": "nonsense"}, {"horizon": 1}, 400, "token_invalid"),
        ({"memory": None}, {"horizon": 1}, 400, "empty_sequence"),
        ([], {"horizon": 1}, 400, "empty_sequence"),
        (5, {"horizon": 1}, 400, "invalid_request"),
    ],
)
def test_what_cannot_be_forecast_is_refused(ask, row, options, status, code):
    ask({"sequence": ["wake"], "session": "s"}, verb="predict")

    assert_problem(ask(row, **options), status, code)


def test_gone_session_is_gone(ask):
    ask({"sequence": ["wake"], "session": "s", "end": True}, verb="predict")

    assert_problem(ask({"session": "s"}, horizon=1), 410, "session_gone")


def test_last_row_repeated_as_a_supposition_is_a_conflict(ask):
    row = {"sequence": ["wake"], "session": "s", "at": 0}
    ask(row, verb="predict")

    assert_problem(ask(row, horizon=1), 409, "step_conflict")


def test_model_without_events_as_output_says_so(ask):
    body = assert_problem(
        ask(["red"], model="counting", horizon=1), 400, "cannot_forecast"
    )

    assert "nothing to feed back" in body["detail"]


def test_numbers_have_the_digits_of_a_float32(ask):
    text = ask(["wake"], horizon=4, samples=2, seed=1).get_data(as_text=True)

    numbers = re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)
    assert len(numbers) == 2 * (4 + 1)
    assert [str(np.float32(x)) for x in numbers] == numbers


def test_network_that_does_not_remember_what_it_expects_needs_an_event(
    engine, clock, model
):
    manifest = markov_model().manifest
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    counting = counting_model()
    fields |= {
        "input": counting.manifest.input,
        "memory": counting.manifest.memory,
        "output": {**manifest.output, "labels": counting.manifest.labels},
    }
    served = replace(counting, manifest=type(manifest)(**fields))
    client = assembly.serve([served], engine=engine)
    row = {"sequence": ["red", "green"], "session": "s"}
    client.post("/v1/models/days:predict", json={"instances": [row]})

    alone, supposed = (
        client.post("/v1/models/days:forecast", json={"instances": [r], "horizon": 2})
        for r in ({"session": "s"}, {"sequence": ["red"], "session": "s"})
    )

    assert_problem(alone, 400, "empty_sequence")
    assert supposed.get_json()["predictions"][0]["path"]["events"] == ["red", "red"]
