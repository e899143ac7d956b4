"""Forecasts that fail, and their limits in time and number."""

import json
from dataclasses import replace

import numpy as np
import pytest

from service.api.v1 import forecast as v1_forecast
from service.common import loop
from service.engine.forecast import forecast
from service.engine.job import Call
from service.engine.rows import Row
from service.errors import CarryoverError, DeadlineExceeded, TooManyEvents
from service.registry.catalog import Catalog
from tests.assembly import build_engine
from tests.problems import assert_problem
from tests.service import markov
from tests.service.markov import PLAN, markov_model
from tests.service.test_large_bodies import HastyClock

client = pytest.fixture(markov.client)
ask = pytest.fixture(markov.ask)


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
