"""KServe's and OpenVINO's Python clients and Triton's load generator, unchanged.

`tests/end_to_end/test_tritonclient.py` is about Triton's client.
"""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.clients.environments import perf_analyzer, python_clients, run

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

DRIVERS = Path(__file__).with_name("drivers")
MODEL = "nature"
EVENTS = ["squirrel", "bear", "tree", "blurry"]
CONCURRENCY = 4
# As their conversion from the JSON's shortest digits to binary leaves it.
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def service(servers, bundled):
    return servers(bundled, "litert")


@pytest.fixture(scope="module")
def whole(service):
    """Probabilities of the same events in one row."""
    answer = service.predict(MODEL, EVENTS).json()
    return answer["predictions"][0]


def drive(name, *arguments):
    """Run a driver in the clients' environment; return what it reports."""
    python = python_clients() / "bin" / "python"
    return json.loads(run(python, DRIVERS / f"{name}.py", *arguments))


def test_kserve_drives_a_session_over_v1_and_v2(service, whole):
    v1, v2 = drive("with_kserve", service.url, MODEL)

    for result in (v1, v2):
        assert result["live"] is result["ready"] is True
        assert result["steps"] == [1, 3, 4]
        np.testing.assert_allclose(result["probabilities"], whole, atol=TOLERANCE)
    assert v1["layers"] > 0


def test_ovmsclient_drives_a_sequence_by_the_default_version(service, whole):
    result = drive("with_ovmsclient", service.url.removeprefix("http://"), MODEL)

    assert result["states"] == ["AVAILABLE"]
    assert result["spec"] == MODEL
    assert result["steps"] == [[1], [3], [4]]
    np.testing.assert_allclose(result["probabilities"], whole, atol=TOLERANCE)
    alone = service.predict(MODEL, ["bear"], ["squirrel"]).json()["predictions"]
    assert result["rows"] == alone


def fetch_statistics(service):
    path = f"{service.url}/v2/models/{MODEL}/stats"
    (counted,) = requests.get(path, timeout=60).json()["model_stats"]
    return counted["inference_stats"]


def test_perf_analyzer_measures_sequences(service, tmp_path):
    program, path = perf_analyzer()
    streams = [EVENTS, EVENTS[:2], EVENTS[1:]]
    data = [
        [{"sequence": {"content": [event], "shape": [1]}} for event in events]
        for events in streams
    ]
    (tmp_path / "data.json").write_text(json.dumps({"data": data}))
    before = fetch_statistics(service)

    shown = run(
        program,
        *("-m", MODEL, "-i", "http", "-u", service.url.removeprefix("http://")),
        *("--input-data", tmp_path / "data.json"),
        *("--concurrency-range", CONCURRENCY),
        # One window is enough: it is the protocol that is tested, not the speed.
        *("--measurement-interval", 500, "-s", 999, "-r", 3),
        *("-f", tmp_path / "measured.csv"),
        env={**os.environ, **path},
    )

    after = fetch_statistics(service)
    counts = {name: after[name]["count"] - before[name]["count"] for name in after}
    assert counts["success"] == counts["queue"] > 3 * CONCURRENCY
    assert counts["fail"] == 0
    assert after["queue"]["ns"] > before["queue"]["ns"]
    assert "Sequence count" in shown
    with (tmp_path / "measured.csv").open() as file:
        (measured,) = csv.DictReader(file)
    assert float(measured["Server Queue"]) > 0
