"""Forecasts of sessions that an earlier version made."""

import pytest

from service.sessions.version_policy import Policies, Retention
from tests import assembly
from tests.problems import assert_problem
from tests.service import markov
from tests.service.markov import EVENTS, markov_model, only

client = pytest.fixture(markov.client)
ask = pytest.fixture(markov.ask)


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
@pytest.mark.parametrize("is_sealed", [False, True], ids=["session", "token"])
def test_forecast_judges_a_row_as_a_prediction_does(
    ask, serve_both, policy, at, is_sealed
):
    start = {"memory": None} if is_sealed else {"session": "s"}
    first = only(ask({"sequence": ["wake", "eat"], **start}, verb="predict"))
    row = {"sequence": ["eat"], **({"memory": first["memory"]} if is_sealed else start)}
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
