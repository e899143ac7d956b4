"""From a log file to a served next event: `fit --data`, and what is answered."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import time

import numpy as np
import pytest

from models.export import FORMS
from service.registry.catalog import load_model
from tests.assembly import serve
from training.__main__ import main
from training.config import load_config

pytestmark = pytest.mark.tensorflow

EVENTS = ("open", "work", "wait", "closed")


def write_log(path, cases=60):
    """Write tickets: opened, worked on or waiting now and then, closed."""
    rng = np.random.default_rng(0)
    rows = ["ticket,what,when"]
    for case in range(cases):
        middle = rng.choice(["work", "wait"], rng.integers(0, 4))
        for k, event in enumerate(["open", *middle, "closed"]):
            rows.append(f"{case},{event},{case * 100 + k}")
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train, then publish what counting does as well: the folder, what was printed."""
    folder = tmp_path_factory.mktemp("fit")
    write_log(folder / "log.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.programs.FORMS", (FORMS[0], FORMS[-1]))
        few = ("--set", "training.epochs=3", "--set", "network.units=[8]")
        refused, forced = (run(folder, *few, *option) for option in ((), ("--force",)))
    assert (refused[0], forced[0]) == (3, 0)
    return folder, forced[1], refused


def run(folder, *options):
    """Train; return the exit status, what was printed, and what went wrong."""
    printed, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(wrong):
        status = main(
            [
                *("fit", "--data", str(folder / "log.csv"), "--name", "tickets"),
                *("--case", "ticket", "--event", "what", "--time", "when"),
                *("--artifacts", str(folder / "artifacts")),
                *("--runs", str(folder / "runs")),
                *options,
            ]
        )
    return status, printed.getvalue(), wrong.getvalue()


def test_the_equivalent_configuration_is_printed_and_kept(trained):
    folder, printed, _ = trained

    assert "# The equivalent configuration, kept with the run:" in printed
    assert 'case = "ticket"' in printed
    (kept,) = folder.glob("runs/tickets/*/config.toml")
    config = load_config(kept)
    assert config.data.event == "what"
    assert config.training.epochs == 3
    assert config.network.units == (8,)
    assert "| right next events, ends " in printed  # the name continues below


def test_no_better_than_counting_is_not_published_but_by_force(trained):
    folder, forced, (_, printed, wrong) = trained

    verdict = next(line for line in printed.splitlines() if line.startswith("counting"))
    assert re.match(r"counting does (better|as well): \d\.\d+ nats per event", verdict)
    assert "version" not in printed
    assert wrong == (
        f"error: nothing was published: {verdict}. Bring more data or change the "
        "configuration; or give --force to publish it all the same, without training "
        "again.\n"
    )
    # What was trained already is not trained again.
    assert "resuming after epoch 3" in forced
    assert "epoch 3/3" in printed
    assert "epoch 3/3" not in forced
    assert verdict in forced
    assert not list(folder.glob("runs/*/*/*.npz"))


def test_the_verdict_is_first_in_every_report(trained):
    folder, forced, _ = trained
    reports = folder / "artifacts/tickets/1/assets.extra/carryover"
    report = (reports / "evaluation.md").read_text().splitlines()
    metrics = json.loads((reports / "metrics.json").read_text())

    assert report[0].startswith("counting does ")
    assert report[0] in forced.splitlines()
    assert [*metrics] == ["verdict", "is_worth_it", "metrics"]
    assert metrics["verdict"] == report[0]
    assert metrics["is_worth_it"] is False
    first = metrics["metrics"][0]
    assert (first["name"], first["unit"]) == ("surprise per event", "nats")
    assert first["value"] > min(first["baselines"].values()) - first["margin"]


def test_the_next_event_is_served_with_surprise_end_and_forecast(trained):
    folder, *_ = trained
    settings = {"CARRYOVER_MODELS": str(folder / "artifacts")}
    model = load_model(folder / "artifacts" / "tickets" / "1", 50)
    client = serve([model], settings=settings, clock=time.time)

    def post(verb, **body):
        return client.post(f"/v1/models/tickets:{verb}", json=body).get_json()

    first = post("predict", instances=[{"sequence": ["open"], "session": "t"}])
    second = post(
        "predict", instances=[{"sequence": ["work", "new"], "session": "t"}], top=2
    )
    ahead = post("forecast", instances=[{"session": "t"}], horizon=20)

    labels = first["labels"]
    assert set(labels) == {*EVENTS, "[unknown]", "[end]"}
    expected = first["predictions"][0]["probabilities"]
    surprise = second["predictions"][0]["surprise"]
    assert surprise[0] == pytest.approx(-math.log(expected[labels.index("work")]), 1e-4)
    assert first["predictions"][0]["surprise"] == [None]
    assert second["warnings"][0].startswith("instances[0]: sequence[1] is 'new'")
    assert len(second["predictions"][0]["top"]) == 2
    assert ahead["predictions"][0]["path"]["events"][-1] == "[end]"
