"""Each metric of engine, sessions and store counts what it says, once."""

from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from service.errors import StoreUnavailable
from service.registry.catalog import Catalog
from service.sessions.record import SessionKey
from service.telemetry import engine_metrics, tallies
from tests.fakes import counting_model
from tests.service.test_operations_document import Metric


def read(client):
    text = client.get("/metrics").get_data(as_text=True)
    return {
        (sample.name.removeprefix("carryover_"), *sorted(sample.labels.values())): (
            sample.value
        )
        for family in parse(text)
        for sample in family.samples
    }


@pytest.fixture
def changed(client):
    """Ask which metrics have changed since the test began, or since last asked."""
    before = read(client)

    def ask():
        nonlocal before
        after = read(client)
        found = {
            name: value - before.get(name, 0)
            for name, value in after.items()
            if value != before.get(name, 0)
        }
        before = after
        return {
            name: value
            for name, value in found.items()
            if not name[0].endswith(("_created", "_bucket", "_sum"))
        }

    return ask


def session(*events, **more):
    return {"session": "s", "sequence": list(events), **more}


def test_a_started_and_ended_session_is_counted(predict, changed):
    predict(session("red", "green"))

    counted = changed()
    assert counted["sessions_started_total", "counting"] == 1
    assert counted["events_total", "1", "counting"] == 2
    assert counted["batch_size_count", "advance", "counting"] == 1
    assert counted["network_seconds_count", "advance", "counting"] == 1
    assert counted["queue_seconds_count",] == 1
    assert counted["store_seconds_count", "fetch"] == 1
    assert counted["store_seconds_count", "commit"] == 1
    assert counted["stored_sessions",] == 1
    assert not any("problems" in name for name, *_ in counted)

    predict(session("red", end=True))

    counted = changed()
    assert counted["sessions_ended_total", "counting"] == 1
    assert ("sessions_started_total", "counting") not in counted


def test_rows_without_a_session_start_none(predict, changed):
    predict(["red"], ["green"])

    counted = changed()
    assert counted["events_total", "1", "counting"] == 2
    assert not any("sessions" in name for name, *_ in counted)


def test_deleted_forked_and_forgotten_sessions_are_counted(
    predict, client, changed, clock, services
):
    predict(session("red"))
    changed()
    client.post("/v1/models/counting/sessions/s:fork", json={"to": "t"})
    client.delete("/v1/models/counting/sessions/s")

    counted = changed()
    assert counted["sessions_started_total", "counting"] == 1
    assert counted["sessions_ended_total", "counting"] == 1

    clock.advance(5000)
    services.engine.sessions.sweep(10)

    counted = changed()
    assert counted["sessions_forgotten_total",] == 2
    assert counted["store_seconds_count", "forget"] == 1
    assert counted["stored_sessions",] == -2


def test_repeats_are_counted_and_not_applied_again(client, changed):
    call = "/v1/models/counting:predict"
    for _ in range(2):
        body = {"instances": [session("red")]}
        client.post(call, json=body, headers={"Idempotency-Key": "k"})

    counted = changed()
    assert counted["replayed_rows_total", "counting"] == 1
    assert counted["events_total", "1", "counting"] == 1


def test_refused_rows_are_counted_by_their_codes(predict, changed, clock):
    predict(session("red"))
    predict({"session": "s", "sequence": ["red"], "at": 9})  # elsewhere: 409
    clock.advance(200)
    predict(session("red"))  # gone: 410
    predict({"sequence": ["red"], "memory": "x"}, ["unknown"], ["red"])

    counted = changed()
    problems = {
        (set(name[1:]) - {"counting"}).pop(): value
        for name, value in counted.items()
        if name[0] == "row_problems_total"
    }
    assert problems == {
        "step_conflict": 1,
        "session_gone": 1,
        "token_invalid": 1,
        "unknown_event": 1,
    }


def test_lost_races_are_counted(predict, model, services, changed):
    key = SessionKey("", "counting", "s")
    predict(session("red"))
    changed()

    def advance_elsewhere():
        model.runtime.before_return = lambda: None
        services.engine.sessions.change(key, lambda found, now: found.record)

    model.runtime.before_return = advance_elsewhere
    predict(session("red"))

    counted = changed()
    assert counted["lost_races_total", "counting"] == 1
    assert counted["events_total", "1", "counting"] == 1


def test_store_that_fails_is_counted_and_the_metrics_are_shown(
    predict, session_store, monkeypatch, changed, client
):
    def fail(*_):
        raise StoreUnavailable("no store.")

    for name in ("fetch", "count"):
        monkeypatch.setattr(session_store, name, fail)
    predict(session("red"))

    assert client.get("/metrics").status_code == 200
    counted = changed()
    assert counted["store_errors_total", "fetch"] == 1


def test_surprise_is_that_of_the_newest_event(predict, model, changed, client):
    run, surprise = model.runtime.run, [5.5, 0.3]

    def run_with_surprise(signature, tensors):
        results = run(signature, tensors)
        length = tensors["sequence"].shape[1]
        results["surprise"] = np.full((1, length), surprise.pop(0), "float32")
        return results

    model.runtime.run = run_with_surprise
    predict(session("red"))  # of its first event nothing was expected
    changed()
    predict(session("green"))

    assert changed()["surprise_count", "1", "counting"] == 1
    assert tallies.find_version_tally("counting", 1).surprise.total > 0


def test_rows_that_advance_as_columns_are_counted_too(predict, model, changed):
    run = model.runtime.run

    def run_with_surprise(signature, tensors):
        shape = tensors["sequence"].shape
        return run(signature, tensors) | {"surprise": np.full(shape, 0.5, "float32")}

    model.runtime.run = run_with_surprise
    rows = [{"session": f"s{k}", "sequence": ["red"]} for k in range(8)]
    predict(*rows)
    changed()
    calls = model.runtime.calls

    predict(*rows)

    counted = changed()
    assert model.runtime.calls == calls + 1
    assert counted["events_total", "1", "counting"] == 8
    assert counted["surprise_count", "1", "counting"] == 8
    assert counted["queue_seconds_count",] == 8
    assert counted["batch_size_count", "advance", "counting"] == 1
    assert counted["network_seconds_count", "advance", "counting"] == 1
    assert ("sessions_started_total", "counting") not in counted


def test_served_versions_are_shown_with_their_runtimes(client, changed):
    catalog = Catalog([])
    catalog.replace("shown", [counting_model(1), counting_model(2)])

    assert changed()["model_info", "1", "counting", "shown"] == 1

    catalog.replace("shown", [counting_model(2)])

    counted = changed()
    assert counted["model_info", "1", "counting", "shown"] == -1
    assert ("model_info", "2", "counting", "shown") not in counted


def test_each_metric_has_a_test():
    here = Path(__file__).read_text()
    others = "".join(
        Path(__file__).with_name(f"test_{name}.py").read_text()
        for name in ("capture", "counted_sessions", "limiter", "tracing")
    )
    made = {
        name: next(iter(metric.describe())).name.removeprefix("carryover_")
        for name, metric in vars(engine_metrics).items()
        if isinstance(metric, Metric)
    }

    assert made
    for constant, name in made.items():
        assert f'"{name}' in here or constant in others or name in others
