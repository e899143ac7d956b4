"""From a log file to a served next event: `fit --data`, and what is answered."""

from __future__ import annotations

import contextlib
import io
import math
import time

import numpy as np
import pytest

from service.api.services import Services
from service.app import create_app
from service.engine.engine import Engine
from service.registry.catalog import Catalog, load_model
from service.sessions.lifecycle import Sessions
from service.sessions.retention import Lifetimes
from service.sessions.tokens.cipher import TokenCipher
from service.settings import read_settings
from service.stores.in_process import InProcessStore
from tests.keys import NO_KEYS
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
    """Train from the command line; return the folder and what was printed."""
    folder = tmp_path_factory.mktemp("fit")
    write_log(folder / "log.csv")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = main(
            [
                *("fit", "--data", str(folder / "log.csv"), "--name", "tickets"),
                *("--case", "ticket", "--event", "what", "--time", "when"),
                *("--artifacts", str(folder / "artifacts")),
                *("--runs", str(folder / "runs")),
                *("--set", "training.epochs=3", "--set", "network.units=[8]"),
            ]
        )
    assert status == 0
    return folder, printed.getvalue()


def test_the_equivalent_configuration_is_printed_and_kept(trained):
    folder, printed = trained

    assert "# The equivalent configuration, kept with the run:" in printed
    assert 'case = "ticket"' in printed
    (kept,) = folder.glob("runs/tickets/*/config.toml")
    config = load_config(kept)
    assert config.data.event == "what"
    assert config.training.epochs == 3
    assert config.network.units == (8,)
    assert "right next events, ends left out (share)" in printed


def test_the_next_event_is_served_with_surprise_end_and_forecast(trained):
    folder, _ = trained
    settings = read_settings({"CARRYOVER_MODELS": str(folder / "artifacts")})
    model = load_model(folder / "artifacts" / "tickets" / "1", 50)
    catalog = Catalog([model])
    sessions = Sessions(InProcessStore(), clock=time.time, tombstone_seconds=1000)
    engine = Engine(
        sessions,
        TokenCipher([b"k" * 32]),
        Lifetimes(100, 50),
        time.time,
        catalog=catalog,
    )
    client = create_app(
        Services(settings, catalog, engine, tenants=NO_KEYS)
    ).test_client()

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
