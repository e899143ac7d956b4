"""The command line as a user runs it: in a process of its own."""

from __future__ import annotations

import fcntl
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training.__main__ import main
from training.publish import list_versions

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "training" / "configs"
PROGRAM = 3  # words of a command before its options: python -m training
QUICK = ("data.sequences=200", "data.held_out=20", "training.epochs=6")


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


def stop_after(folder, line, how):
    """Start training, send a signal once a line has the given beginning."""
    with subprocess.Popen(
        command(folder),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for printed in process.stdout:
            if printed.split()[: len(line)] == line:
                process.send_signal(how)
                break
        rest = process.stdout.read()
        return process.wait(), rest


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
    assert "make serve" in done.stdout
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
    assert "assets.extra/carryover/evaluation.md" in files


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


def test_retraining_publishes_the_next_version_with_the_same_weights(trained):
    folder, _ = trained

    done = run(folder)

    assert done.returncode == 0
    first, second = read_manifest(folder, 1), read_manifest(folder, 2)
    assert second["version"] == 2
    assert first["network"] == second["network"]


def test_if_missing_does_nothing_where_a_version_is(trained):
    folder, _ = trained
    before = sorted((folder / "artifacts" / "roommate").iterdir())

    done = run(folder, "--if-missing")

    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert "is there already" in done.stdout
    assert sorted((folder / "artifacts" / "roommate").iterdir()) == before


@pytest.mark.parametrize(
    "line",
    [["network", "epoch", "2/6"], ["memoryless", "epoch", "1/1"]],
    ids=["network", "baseline"],
)
def test_killed_training_resumes_to_bit_identical_weights(trained, tmp_path, line):
    status, _ = stop_after(tmp_path, line, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert list_versions(tmp_path / "artifacts" / "roommate") == []

    done = run(tmp_path)

    assert done.returncode == 0, done.stderr
    assert "network     resuming after epoch" in done.stdout
    whole, resumed = read_manifest(trained[0]), read_manifest(tmp_path)
    assert resumed["network"] == whole["network"]
    assert resumed["metrics"] == whole["metrics"]


def test_interrupted_training_says_how_to_go_on(tmp_path):
    status, rest = stop_after(tmp_path, ["network", "epoch", "1/6"], signal.SIGINT)

    assert status == 130
    assert "The same command goes on from the last finished epoch" in rest
    assert len(list(tmp_path.glob("runs/roommate/*/network.checkpoint.npz"))) == 1


def test_run_in_progress_is_not_trained_twice(trained):
    folder, _ = trained
    (lock,) = folder.glob("runs/roommate/*/lock")

    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run(folder)

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "is being trained by another process" in done.stderr


def test_series_of_a_users_own_is_trained_and_published(tmp_path):
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
    done = run(tmp_path, "--force", name="taxi", overrides=overrides)

    assert done.returncode == 0, done.stderr
    manifest = read_manifest(tmp_path, name="load")
    layer = {"short_term_0": [4], "long_term_0": [4]}
    assert manifest["memory"] == {"previous_time_0": [3], **layer}
    assert manifest["output"]["quantiles"] == [0.1, 0.5, 0.9]
    assert "does better" in done.stdout
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
    # A run in progress, above, is refused in a process of its own.
    monkeypatch.chdir(ROOT)

    status = main(command(tmp_path, *options)[PROGRAM:])

    error = capfd.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert part in error
