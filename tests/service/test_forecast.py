"""Forecasts, against a network with paths that can be listed by hand."""

import json
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from service.api.v1 import forecast as v1_forecast
from service.common import loop
from service.engine.decoding import DecodingPlan
from service.engine.forecast import forecast
from service.engine.job import Call
from service.engine.rows import Row
from service.errors import CarryoverError, DeadlineExceeded, TooManyEvents
from service.registry.backends.base import Plan as CallPlan
from service.registry.catalog import Catalog, Model
from service.registry.encoding.events import build_encoder
from service.sessions.version_policy import Policies, Retention
from tests import assembly
from tests.assembly import build_engine
from tests.fakes import counting_model
from tests.problems import assert_problem, assert_problem_body
from tests.service.test_large_bodies import HastyClock

EVENTS = ("wake", "eat", "sleep")
# P(next | event before, event): what comes depends on more than the last event, so a
# forecast that loses the memory is wrong. The last row: no event before.
CHAIN = np.random.default_rng(5).dirichlet([0.6] * 3, (4, 3)).astype("float32")
TOLERANCE = 1e-6  # float32 probabilities
PLAN = DecodingPlan(3, None, 0, 16)


class MarkovRuntime:
    """A network of second order: it remembers the last event and what it expects."""

    name = "markov"

    def plan(self, signature, remaining):
        return CallPlan(len(remaining), min(remaining))

    def run(self, signature, tensors):
        sequence = tensors["sequence"]
        last = tensors["short_term_0"].copy()
        expected = tensors["expected"].copy()
        ahead = np.zeros((*sequence.shape, 3), "float32")
        for row, length in enumerate(tensors["length"]):
            for t in range(length):
                before = last[row].argmax() if last[row].any() else 3
                ahead[row, t] = expected[row] = CHAIN[before, sequence[row, t]]
                last[row] = np.eye(3)[sequence[row, t]]
        return {"probabilities": ahead, "short_term_0": last, "expected": expected}


def markov_model(version=1, **changes):
    manifest = counting_model().manifest
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    fields |= {
        "name": "days",
        "version": version,
        "task": "next_event",
        "input": {"kind": "event", "vocabulary": list(EVENTS)},
        "output": {"kind": "next_event", "name": "probabilities", "labels": EVENTS},
        "memory": {"short_term_0": [3], "expected": [3]},
        **changes,
    }
    encoder = build_encoder(fields["input"], max_events=50)
    return Model(type(manifest)(**fields), MarkovRuntime(), encoder)


def list_paths(history, horizon):
    """Every path after a history, with the probability of each event."""
    for path in product(range(3), repeat=horizon):
        whole, probabilities = [3, *history], []
        for event in path:
            probabilities.append(CHAIN[whole[-2], whole[-1]][event])
            whole.append(event)
        yield path, np.array(probabilities, "float64")


def best_path(history, horizon):
    paths = [
        (probs.prod(), path, probs) for path, probs in list_paths(history, horizon)
    ]
    return max(paths, key=lambda entry: entry[0])


@pytest.fixture
def client(engine, clock):
    return assembly.serve(
        [markov_model(), counting_model()],
        settings={"CARRYOVER_MAX_FORECAST_EVENTS": "100000"},
        clock=clock,
        sessions=engine.sessions,
    )


@pytest.fixture
def ask(client):
    """POST rows to `:forecast`, or another call of the model."""

    def send(*instances, verb="forecast", model="days", **body):
        body = {"instances": list(instances), **body}
        return client.post(f"/v1/models/{model}:{verb}", json=body)

    return send


def only(response):
    assert response.status_code == 200, response.get_json()
    (answer,) = response.get_json()["predictions"]
    return answer


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


def test_pinned_session_is_forecast_by_its_own_version(ask, engine, clock):
    ask({"sequence": ["wake", "eat"], "session": "s"}, verb="predict")
    old, new = markov_model(), markov_model(2, network="cd" * 32)
    client = assembly.serve([old, new], clock=clock, sessions=engine.sessions)
    body = {"instances": [{"session": "s"}], "horizon": 1}

    answer = client.post("/v1/models/days:forecast", json=body).get_json()

    assert answer["predictions"][0]["model_version"] == "1"
    named = client.post("/v1/models/days/versions/2:forecast", json=body)
    assert_problem(named, 409, "wrong_network")


@pytest.fixture
def serve_both(engine, clock):
    """Serve version 1 and a version 2 with the events in another order."""

    def serve(policy):
        names = list(reversed(EVENTS))
        output = {**markov_model().manifest.output, "labels": names}
        schema = {"kind": "event", "vocabulary": names}
        new = markov_model(2, network="cd" * 32, input=schema, output=output)
        client = assembly.serve(
            [markov_model(), new],
            clock=clock,
            sessions=engine.sessions,
            retention=Retention(policies=Policies(policy)),
        )

        def send(row, verb):
            horizon = {"horizon": 3} if verb == "forecast" else {}
            body = {"instances": [row], **horizon}
            return client.post(f"/v1/models/days:{verb}", json=body)

        return send

    return serve


def test_pinned_session_of_another_vocabulary_is_forecast_without_events(
    ask, serve_both
):
    ask({"sequence": ["wake", "eat"], "session": "s"}, verb="predict")

    answer = only(serve_both("pin")({"session": "s"}, "forecast"))

    assert answer["model_version"] == "1"
    assert answer["path"] == only(ask(["wake", "eat"], horizon=3))["path"]


@pytest.mark.parametrize("at", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("policy", ["pin", "reset", "refuse", "replay"])
@pytest.mark.parametrize("is_held", [False, True], ids=["session", "token"])
def test_forecast_judges_a_row_as_a_prediction_does(
    ask, serve_both, policy, at, is_held
):
    held = {"memory": None} if is_held else {"session": "s"}
    first = only(ask({"sequence": ["wake", "eat"], **held}, verb="predict"))
    row = {"sequence": ["eat"], **({"memory": first["memory"]} if is_held else held)}
    row |= {} if at is None else {"at": at}

    ahead = serve_both(policy)(row, "forecast")
    done = serve_both(policy)(row, "predict")

    assert ahead.status_code == done.status_code
    if done.status_code != 200:
        assert ahead.get_json()["code"] == done.get_json()["code"]
        return
    said = ("step", "session", "migrated_from", "reset")
    shown = [{k: only(one).get(k) for k in said} for one in (ahead, done)]
    assert shown[0] == shown[1]
    assert only(ahead)["model_version"] == done.get_json()["model_version"]


def test_memory_that_a_reset_drops_is_not_forecast(ask, serve_both):
    ask({"sequence": ["wake", "eat"], "session": "s"}, verb="predict")

    response = serve_both("reset")({"session": "s"}, "forecast")

    body = assert_problem(response, 400, "empty_sequence")
    assert "reset" in body["detail"]


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


def test_a_defect_of_the_store_fails_only_rows_of_sessions(ask, engine):
    def fail(keys):
        raise RuntimeError("a secret")

    engine.sessions.load = fail

    answer = ask({"session": "s"}, ["wake"], horizon=2)

    failed, bare = answer.get_json()["predictions"]
    assert (failed["code"], bare["step"]) == ("internal", 1)
    assert b"secret" not in answer.data


def test_a_defect_of_one_version_fails_only_its_rows(engine, clock):
    bad, good = markov_model(), markov_model(version=2, network="cd" * 32)
    engine.advance(bad, [Row(np.array([0], "int32"), session="s")], tenant="")
    catalog = Catalog([bad, good])
    engine = build_engine(clock, sessions=engine.sessions, catalog=catalog)

    def fail(signature, tensors):
        raise RuntimeError("a secret")

    bad.runtime.run = fail
    rows = [
        Row(np.zeros(0, "int32"), session="s"),
        Row(np.array([0], "int32"), events=["wake"]),
    ]

    failed, fine = forecast(engine, Call(good, "", "advance"), rows, PLAN)

    assert type(failed) is CarryoverError
    assert fine.step == 1


def test_a_forecast_past_its_deadline_is_given_up(engine):
    rows = [Row(np.array([0], "int32"))]

    with pytest.raises(DeadlineExceeded):
        forecast(engine, Call(markov_model(), "", "advance"), rows, PLAN, deadline=0)


def test_a_forecast_has_the_timeout_of_requests(ask, client):
    extensions = client.application.extensions
    services = extensions["carryover"]
    assert ask(["wake"], horizon=2).status_code == 200
    settings = replace(services.settings, request_timeout_seconds=1e-9)
    extensions["carryover"] = replace(services, settings=settings)

    assert_problem(ask(["wake"], horizon=2), 504, "deadline_exceeded")


def test_reading_a_forecast_ends_when_its_time_is_over(ask, monkeypatch):
    monkeypatch.setattr(loop, "LARGE_BYTES", 0)
    monkeypatch.setattr(loop, "time", HastyClock())

    problem = assert_problem(
        ask(["wake"], ["eat"], horizon=2), 504, "deadline_exceeded"
    )

    assert "had not been read" in problem["detail"]


def test_given_events_count_against_the_limit():
    def parse(num_given):
        rows = [["wake"] * num_given, ["wake"]]
        body = json.dumps({"instances": rows, "horizon": 4, "samples": 2})
        return v1_forecast.parse_body(
            body.encode(), markov_model(), max_rows=2, max_events=20
        )

    assert len(parse(3).rows) == 2
    with pytest.raises(TooManyEvents, match="with 5 given events, are 21 events"):
        parse(4)


def test_a_forecast_reads_all_sessions_in_one_call(engine):
    model, calls = markov_model(), []
    engine.advance(
        model,
        [Row(np.array([0], "int32"), session=f"s{k}") for k in range(9)],
        tenant="",
    )
    load = engine.sessions.load
    engine.sessions.load = lambda keys: calls.append(len(keys)) or load(keys)
    rows = [Row(np.zeros(0, "int32"), session=f"s{k}") for k in range(9)]

    found = forecast(engine, Call(model, "", "advance"), rows, PLAN)

    assert [one.step for one in found] == [1] * 9
    assert calls == [9]
