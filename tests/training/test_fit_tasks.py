"""Several tasks and further fields from a log file to answers, in one training."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from models.export import FORMS
from service.registry.catalog import load_model
from tests.assembly import serve
from training.__main__ import main

pytestmark = pytest.mark.tensorflow

# The probabilities of the same events, whole and in parts.
TOLERANCE = 1e-5


def write_log(path):
    rng = np.random.default_rng(0)
    rows = ["ticket,what,when,cost,team,outcome"]
    for case in range(40):
        is_bad, at = rng.random() < 0.5, case * 10_000
        for event in ("open", "fail" if is_bad else "work", "closed"):
            cost = "" if rng.random() < 0.1 else f"{rng.normal(9, 2):.2f}"
            team = rng.choice(["red", "blue"])
            rows.append(f"{case},{event},{at},{cost},{team},{['good', 'bad'][is_bad]}")
            at += int(rng.integers(60, 600))
    path.write_text("\n".join(rows) + "\n")


def event(what, minute, **fields):
    when = f"1970-01-09T10:{minute:02d}:00"
    return {"what": what, "when": when, "cost": 8.5, "team": "red", **fields}


def train(folder):
    status = main(
        [
            *("fit", "--data", str(folder / "log.csv"), "--name", "tickets", "--force"),
            *("--case", "ticket", "--event", "what", "--time", "when"),
            *("--label", "outcome", "--numbers", "cost", "--categories", "team"),
            *("--task", "remaining,next,label"),
            *("--artifacts", str(folder / "artifacts"), "--runs", str(folder / "runs")),
            *("--set", "training.epochs=2", "network.units=[4]", "data.missing=mean"),
            *("--set", "calibration.temperature=true"),
        ]
    )
    assert status == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Train one network of three tasks; return where it is."""
    folder = tmp_path_factory.mktemp("tasks")
    write_log(folder / "log.csv")
    with pytest.MonkeyPatch.context() as patch:
        # One row at a time, and explained: the other programs are tested elsewhere.
        patch.setattr("training.programs.FORMS", (FORMS[0], FORMS[-1]))
        train(folder)
    return folder


@pytest.fixture(scope="module")
def client(folder):
    """Serve the network."""
    settings = {"CARRYOVER_MODELS": str(folder / "artifacts")}
    model = load_model(folder / "artifacts" / "tickets" / "1", 50)
    return serve([model], settings=settings, clock=time.time)


def post(client, verb, **body):
    return client.post(f"/v1/models/tickets:{verb}", json=body).get_json()


def test_every_task_answers_at_every_event_with_memory(client):
    events = [event("open", 0), event("work", 5), event("closed", 9)]

    (whole,) = post(client, "predict", instances=[events])["predictions"]
    for part in events:
        body = post(client, "predict", instances=[{"sequence": [part], "session": "t"}])
    (last,) = body["predictions"]

    known = {"open", "work", "fail", "closed", "[unknown]", "[end]"}
    assert set(body["labels"]) == known
    assert body["quantiles"] == [0.1, 0.5, 0.9]
    assert np.sum(last["label_probabilities"]) == pytest.approx(1)
    low, middle, high = last["remaining_seconds"]
    assert 0 <= low <= middle <= high
    assert last["surprise"][0] > 0
    for name in ("probabilities", "label_probabilities", "remaining_seconds"):
        np.testing.assert_allclose(last[name], whole[name], rtol=10 * TOLERANCE)


def test_unknown_names_and_missing_numbers_are_taken(client):
    left_out = event("open", 0)
    del left_out["cost"]
    rows = [
        [event("open", 0, cost=None)],
        [left_out],
        [event("open", 0, team="green")],
    ]

    answer = post(client, "predict", instances=rows)

    null, left, _ = answer["predictions"]
    assert null == left
    assert answer["warnings"] == [
        "instances[2]: sequence[0].team is 'green', which training has not seen; it "
        "was taken as '[unknown]'."
    ]


def test_wrong_field_and_forecast_are_refused_in_one_sentence(client):
    extra = post(client, "predict", instances=[[event("open", 0, size=1)]])
    ahead = post(client, "forecast", instances=[[event("open", 0)]], horizon=2)

    (problem,) = extra.get("predictions", [extra])
    assert "cost may be left out" in problem["detail"]
    assert "no whole record to feed back" in json.dumps(ahead)


def test_each_classifier_has_its_temperature_and_the_error_before_it(folder):
    (path,) = folder.glob("artifacts/tickets/1/**/metrics.json")
    by_name = {m["name"]: m for m in json.loads(path.read_text())["metrics"]}
    page = path.with_name("report.html").read_text()

    temperatures = [name for name in by_name if name.startswith("temperature of")]
    assert len(temperatures) == 2
    assert all(by_name[name]["value"] != 1 for name in temperatures)
    errors = [m for name, m in by_name.items() if "expected calibration" in name]
    assert len(errors) == 2
    assert all(m["value"] != m["baselines"]["as trained"] for m in errors)
    assert all(name in page for name in [*temperatures, "as trained"])
