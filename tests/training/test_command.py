"""The command line as a user runs it: in a process of its own.

Where only what it does is of interest, `main` runs in this process, which has imported
TensorFlow already.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.export import FORMS
from training.__main__ import main
from training.publish import list_versions

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "training" / "configs"
PROGRAM = 3  # words of a command before its options: python -m training
QUICK = ("data.sequences=200", "data.held_out=20", "training.epochs=6")

LOCK = """
import fcntl, sys
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


def command(folder, *options, name="roommate", overrides=QUICK):
    """Write the command that trains a model below `folder`."""
    return [
        *(sys.executable, "-m", "training", "fit"),
        *("--config", str(CONFIGS / f"{name}.toml")),
        *("--artifacts", str(folder / "artifacts"), "--runs", str(folder / "runs")),
        *(part for override in overrides for part in ("--set", override)),
        *options,
    ]


def run(folder, *options, **which):
    """Train and wait."""
    return subprocess.run(
        command(folder, *options, **which), cwd=ROOT, capture_output=True, text=True
    )


def run_here(monkeypatch, folder, *options, **which):
    """Train in this process, with one program; the exit status."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("training.programs.FORMS", FORMS[:1])
    return main(command(folder, *options, **which)[PROGRAM:])


def stop_after(folder, line, how, **which):
    """Start training, send a signal once a line has the given beginning.

    Returns:
        The exit status, and what was printed.
    """
    with subprocess.Popen(
        command(folder, **which),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = []
        for printed in process.stdout:
            lines.append(printed)
            if printed.split()[: len(line)] == line:
                process.send_signal(how)
                break
        printed = "".join([*lines, process.stdout.read()])
        return process.wait(), printed


@contextlib.contextmanager
def lock_elsewhere(path):
    """Lock a file in another process, as a training there does."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield
        process.stdin.close()


def read_manifest(folder, version=1, name="roommate"):
    path = folder / "artifacts" / name / str(version)
    return json.loads((path / "assets.extra/carryover/manifest.json").read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder where the roommate model was trained, uninterrupted."""
    folder = tmp_path_factory.mktemp("trained")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_training_shows_progress_table_and_where_everything_went(trained):
    folder, done = trained

    assert "epoch 6/6" in done.stdout
    assert "| right dinners, 100 days (share)" in done.stdout
    assert f"version  {folder / 'artifacts' / 'roommate' / '1'}" in done.stdout
    assert f"run      {folder / 'runs' / 'roommate'}" in done.stdout
    assert f"serve    CARRYOVER_MODELS={folder / 'artifacts'} " in done.stdout
    assert done.stderr == ""


def test_manifest_hashes_every_other_file_of_the_version(trained):
    folder, _ = trained
    version = folder / "artifacts" / "roommate" / "1"

    files = read_manifest(folder)["files"]

    present = {
        p.relative_to(version).as_posix() for p in version.rglob("*") if p.is_file()
    }
    assert present - set(files) == {"assets.extra/carryover/manifest.json"}
    for path, expected in files.items():
        assert hashlib.sha256((version / path).read_bytes()).hexdigest() == expected
    for name in ("evaluation.md", "metrics.json", "report.html"):
        assert f"assets.extra/carryover/{name}" in files


def test_manifest_says_what_the_model_is(trained):
    manifest = read_manifest(trained[0])

    assert manifest["format"] == 1
    assert (manifest["name"], manifest["version"]) == ("roommate", 1)
    assert (manifest["task"], manifest["cell"], manifest["units"]) == (
        "label",
        "rnn",
        [16],
    )
    assert manifest["input"] == {"kind": "event", "vocabulary": ["sunny", "rainy"]}
    assert manifest["output"]["labels"] == ["apple pie", "burger", "chicken"]
    assert manifest["threshold"] == 0.9
    assert manifest["memory"] == {"short_term_0": [16]}
    assert manifest["training"]["config"]["training"]["epochs"] == 6
    assert manifest["training"]["data"]["source"] == "roommate"
    assert manifest["metrics"][0]["baselines"].keys() == {"majority", "memoryless"}
    assert manifest["packages"].keys() == {"tensorflow", "keras", "numpy", "python"}
    assert len(manifest["network"]) == len(manifest["memory_layout"]) == 64


def test_finished_run_leaves_no_checkpoint(trained):
    assert list(trained[0].glob("runs/*/*/*.npz*")) == []


def test_retraining_publishes_the_next_version_with_the_same_weights(
    trained, monkeypatch, capsys
):
    folder, _ = trained

    assert run_here(monkeypatch, folder, "--seeds", "2") == 0

    first, second = read_manifest(folder, 1), read_manifest(folder, 2)
    assert second["version"] == 2
    assert first["network"] == second["network"]
    assert first["metrics"] == second["metrics"]
    # Other seeds are measured as well, and change nothing that is published.
    written = folder / "artifacts/roommate/2/assets.extra/carryover"
    by_seed = json.loads((written / "metrics.json").read_text())["by_seed"]
    for metric in first["metrics"]:
        values = by_seed[metric["name"]]
        assert values[0] == metric["value"]
        assert len(values) == 2
    assert values[0] != values[1]
    assert "over the seeds 1, 2:" in capsys.readouterr().out
    assert "<h2>Over several seeds</h2>" in (written / "report.html").read_text()


def test_if_missing_does_nothing_where_a_version_is(trained):
    folder, _ = trained
    before = sorted((folder / "artifacts" / "roommate").iterdir())

    done = run(folder, "--if-missing")

    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert "is there already" in done.stdout
    assert sorted((folder / "artifacts" / "roommate").iterdir()) == before


def test_killed_training_resumes_to_bit_identical_weights(
    trained, tmp_path, monkeypatch, capsys
):
    resuming = "network     resuming after epoch"
    # First the network is killed, then the baseline of the run that resumed it.
    for line in (["network", "epoch", "2/6"], ["memoryless", "epoch", "1/1"]):
        status, printed = stop_after(tmp_path, line, signal.SIGKILL)
        assert status == -signal.SIGKILL
        assert list_versions(tmp_path / "artifacts" / "roommate") == []
        assert (resuming in printed) == (line[0] == "memoryless")

    assert run_here(monkeypatch, tmp_path) == 0

    assert resuming in capsys.readouterr().out
    whole, resumed = read_manifest(trained[0]), read_manifest(tmp_path)
    assert resumed["network"] == whole["network"]
    assert resumed["metrics"] == whole["metrics"]


def test_killed_while_patience_runs_out_it_resumes_to_the_same_weights(
    tmp_path, monkeypatch, capsys
):
    """Of events in windows, with early stopping: weights, and the epoch taken."""
    visits = {
        "name": "visits",
        "overrides": (
            *("data.first_cases=60", "network.units=[8]", "training.epochs=30"),
            *("network.cell=rnn", "network.embedding=4"),
            *("training.learning_rate=0.3", "training.schedule=constant"),
            *("training.patience=2", "training.bptt=6", "data.cut_after=40"),
        ),
    }

    def train(folder):
        assert run_here(monkeypatch, folder, "--force", **visits) == 0
        printed = capsys.readouterr().out
        network = read_manifest(folder, name="visits")["network"]
        return network, re.search(r"stopped after epoch (\d+): .*", printed)

    whole, stopped = train(tmp_path / "whole")
    # The epoch before the last one: the best one's weights are not the network's.
    before = f"{int(stopped[1]) - 1}/30"
    killed, _ = stop_after(
        tmp_path / "killed", ["network", "epoch", before], signal.SIGKILL, **visits
    )
    resumed, again = train(tmp_path / "killed")

    assert killed == -signal.SIGKILL
    assert (resumed, again[0]) == (whole, stopped[0])


def test_interrupted_training_says_how_to_go_on(tmp_path):
    status, printed = stop_after(tmp_path, ["network", "epoch", "1/6"], signal.SIGINT)

    assert status == 130
    assert "The same command continues from the last finished epoch" in printed
    assert len(list(tmp_path.glob("runs/roommate/*/network.checkpoint.npz"))) == 1


def test_run_in_progress_is_not_trained_twice(trained, monkeypatch, capfd):
    folder, _ = trained
    (lock,) = folder.glob("runs/roommate/*/lock")

    with lock_elsewhere(lock):
        status = run_here(monkeypatch, folder)

    error = capfd.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "is being trained by another process" in error


def test_series_of_a_users_own_is_trained_and_published(tmp_path, monkeypatch, capsys):
    hours = np.arange("2024-01-01T00", "2024-01-15T00", dtype="datetime64[h]")
    rows = [f"{hour},{k % 24}" for k, hour in enumerate(hours.astype(str))]
    path = tmp_path / "load.csv"
    path.write_text("when,load\n" + "\n".join(rows))
    overrides = (
        *("name=load", f"data.file={path}", "data.time_column=when"),
        *("data.value_column=load", "data.horizon=3", "data.window=24"),
        *("data.season_rows={day=24}", "training.epochs=1", "network.units=[4]"),
        "data.quantiles=[0.1, 0.5, 0.9]",
        'data.time_features=["time_of_day", "time_since_previous"]',
    )

    # Yesterday is exact here: no network is worth it.
    series = {"name": "taxi", "overrides": overrides}
    assert run_here(monkeypatch, tmp_path, "--force", **series) == 0

    manifest = read_manifest(tmp_path, name="load")
    layer = {"short_term_0": [4], "long_term_0": [4]}
    waiting = {"interval_pending_0": [3 * 3 * 3], "interval_count_0": [1]}
    intervals = {"interval_offsets_0": [3 * 3], **waiting}
    assert manifest["memory"] == {"previous_time_0": [3], **layer, **intervals}
    assert manifest["output"]["quantiles"] == [0.1, 0.5, 0.9]
    assert "does better" in capsys.readouterr().out
    assert manifest["metrics"][1]["baselines"]["day"] == 0
    assert manifest["metrics"][2]["name"] == "pinball loss 1 row ahead"
    assert manifest["threshold"] is None


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--set", "training.epoch=3"], "Did you mean epochs?"),
        (["--set", "data.days=0"], "data.days is 0"),
        (["--config", "none.toml"], "none.toml cannot be read"),
        (["--artifacts", "/dev/null/artifacts"], "Not a directory"),
    ],
)
def test_mistakes_of_the_user_are_one_line_and_status_2(
    tmp_path, capfd, monkeypatch, options, part
):
    status = run_here(monkeypatch, tmp_path, *options)

    error = capfd.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert part in error
    assert not (tmp_path / "runs").exists()  # refused before anything was trained
