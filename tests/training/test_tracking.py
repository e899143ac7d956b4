"""Logging to MLflow: a real client and a store of files, no server and no network."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

pytest.importorskip(
    "mlflow", reason="mlflow is not installed: pip install -r requirements-mlflow.txt"
)

from mlflow.tracking import MlflowClient  # noqa: E402

from models.export import FORMS  # noqa: E402
from training.__main__ import main  # noqa: E402
from training.tracking import log_training, make_point, open_tracker  # noqa: E402


def write_log(path):
    rng = np.random.default_rng(0)
    rows = ["ticket,what"]
    for case in range(40):
        middle = rng.choice(["work", "wait"], rng.integers(0, 4))
        rows += [f"{case},{event}" for event in ["open", *middle, "closed"]]
    path.write_text("\n".join(rows) + "\n")


def fit(folder, *options):
    """Train; return the exit status, what was printed, and what went wrong."""
    printed, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(wrong):
        status = main(
            [
                *("fit", "--data", str(folder / "log.csv"), "--name", "tickets"),
                *("--case", "ticket", "--event", "what"),
                *("--artifacts", str(folder / "artifacts")),
                *("--runs", str(folder / "runs")),
                *("--set", "training.epochs=2", "network.units=[4]"),
                *options,
            ]
        )
    return status, printed.getvalue(), wrong.getvalue()


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Train what is refused, then publish it by force: the folder, what was printed."""
    folder = tmp_path_factory.mktemp("mlflow")
    write_log(folder / "log.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.programs.FORMS", (FORMS[0], FORMS[-1]))
        patch.setenv("MLFLOW_TRACKING_URI", (folder / "mlruns").as_uri())
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        refused, forced = (fit(folder, *option) for option in ((), ("--force",)))
        assert (refused[0], forced[0]) == (3, 0)
        yield folder, forced[1]


def find_runs(folder):
    """The runs of the experiment, the first one first."""
    client = MlflowClient(tracking_uri=(folder / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("tickets")
    runs = client.search_runs([experiment.experiment_id])
    return client, sorted(runs, key=lambda run: run.info.start_time)


def test_a_published_version_has_a_run_with_its_figures_and_report(logged):
    folder, printed = logged
    version = folder / "artifacts/tickets/1/assets.extra/carryover"
    client, (_, run) = find_runs(folder)

    measured = json.loads((version / "metrics.json").read_text())
    surprise = measured["metrics"][0]
    assert run.info.run_name == "tickets/1"
    assert run.info.status == "FINISHED"
    assert f"mlflow   run {run.info.run_id} of experiment tickets" in printed
    assert run.data.tags["verdict"] == measured["verdict"]
    assert run.data.tags["published"] == "version 1"
    assert run.data.params["training.epochs"] == "2"
    assert run.data.params["network.units"] == "(4,)"
    assert run.data.params["data.event"] == "what"
    assert run.data.metrics["surprise per event"] == surprise["value"]
    for name, value in surprise["baselines"].items():
        assert run.data.metrics[f"surprise per event - {name}"] == value
    history = client.get_metric_history(run.info.run_id, "loss - network validation")
    assert [point.step for point in history] == [1, 2]
    artifacts = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert artifacts == {"config.toml", "report.html", "evaluation.md", "metrics.json"}


def test_a_refused_network_has_a_run_that_says_so(logged):
    folder, _ = logged
    client, (run, _) = find_runs(folder)

    assert run.info.run_name == "tickets, refused"
    assert run.data.tags["published"] == "no"
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == [
        "config.toml"
    ]


def test_without_an_address_nothing_is_logged(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    assert open_tracker("tickets") is None


@pytest.mark.parametrize("address", ["nowhere://x", "file:///proc/none/such"])
def test_an_address_that_cannot_be_used_is_refused_before_training(
    tmp_path, monkeypatch, address
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    write_log(tmp_path / "log.csv")

    status, printed, wrong = fit(tmp_path)

    assert status == 2
    assert wrong.startswith(f"error: MLFLOW_TRACKING_URI is {address}, which cannot")
    assert wrong.count("\n") == 1
    assert wrong.endswith("Correct it, or unset it.\n")
    assert "epoch 1/" not in printed


def test_where_mlflow_is_missing_the_file_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///tmp/x")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(Exception, match=r"pip install -r requirements-mlflow\.txt"):
        open_tracker("tickets")


def test_what_goes_wrong_after_the_training_is_printed_and_raises_nothing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    tracker = open_tracker("tickets")
    shutil.rmtree(tmp_path / "mlruns")
    measured = SimpleNamespace(config=SimpleNamespace(name="tickets"))

    log_training(tracker, measured, tmp_path, tmp_path / "1")

    said = capsys.readouterr().out
    assert said.startswith("not logged to MLflow: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_left_out(value):
    assert list(make_point("loss", value)) == []


def test_names_have_what_mlflow_takes():
    (point,) = make_point("alarms over a surprise of 2.3 nats, 5.0% of x (share)", 0.5)

    assert point.name == "alarms over a surprise of 2.3 nats 5.0 of x share"
