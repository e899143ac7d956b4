"""A search over keys: seeded, pruned, resumed from its journal to the same trials."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

optuna = pytest.importorskip(
    "optuna", reason="optuna is not installed: pip install -r requirements-tune.txt"
)

from tests.servers import ROOT  # noqa: E402
from training.config import load_config  # noqa: E402
from training.data.dataset import Dataset  # noqa: E402
from training.errors import ConfigError  # noqa: E402
from training.ranges import Range, read_ranges  # noqa: E402
from training.sources import SOURCES  # noqa: E402
from training.trainer import train_network  # noqa: E402
from training.tuning import (  # noqa: E402
    Search,
    check_validation,
    decode,
    open_study,
    run_trial,
    tune,
)

TRIALS = 5
CONFIG = """
name = "tickets"
seed = {seed}

[data]
source = "events"
file = "{file}"
case = "ticket"
event = "what"
validation = 0.2

[network]
cell = "rnn"
units = [2]

[training]
epochs = 3
batch_size = 32
learning_rate = 0.01

[tune]
training.learning_rate = {{ from = 0.0001, to = 0.2, log = true }}
training.label_smoothing = {{ from = 0.0, to = 0.2, step = 0.1 }}
network.units = [[2], [3]]
"""
# The same in a process of its own: two random trials, then chosen and pruned ones.
PROGRAM = textwrap.dedent(
    """
    import sys, tomllib
    from pathlib import Path
    from training import tuning
    from training.ranges import read_ranges
    tuning.FIRST_TRIALS = 2
    table = tomllib.loads(Path(sys.argv[1]).read_text())
    search = tuning.Search(table, read_ranges(table, "mine.toml"), "mine.toml")
    tuning.tune(search, trials=int(sys.argv[2]), runs=Path(sys.argv[3]))
    """
)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log of events in which each follows from the one before."""
    path = tmp_path_factory.mktemp("log") / "log.csv"
    rng = np.random.default_rng(0)
    rows = ["ticket,what"]
    for case in range(40):
        start, length = rng.integers(0, 3), rng.integers(2, 5)
        rows += [f"{case},{'abc'[(start + k) % 3]}" for k in range(length)]
    path.write_text("\n".join(rows) + "\n")
    return path


def open_search(log, seed=1):
    table = tomllib.loads(CONFIG.format(file=log, seed=seed))
    return Search(table, read_ranges(table, "mine.toml"), "mine.toml")


def search(folder, log, seed=1, trials=TRIALS):
    """Search in this process; return the file of the best and all trials."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.tuning.FIRST_TRIALS", 2)
        best = tune(open_search(log, seed), trials=trials, runs=folder)
    (journal,) = folder.glob("tickets/*/journal.log")
    return best, list_trials(journal)


def list_trials(journal):
    return [
        (t.number, t.state, t.params, t.intermediate_values, t.value)
        for t in open_study(journal, "tickets").trials
    ]


@pytest.fixture(scope="module")
def whole(log, tmp_path_factory):
    """A search that was never interrupted."""
    return search(tmp_path_factory.mktemp("whole"), log)


def test_trials_end_with_the_best_configuration(whole, log):
    best, trials = whole

    states = [state for _, state, *_ in trials]
    done = [t for t in trials if t[1] == optuna.trial.TrialState.COMPLETE]
    _, _, params, reported, value = min(done, key=lambda t: t[-1])
    config = load_config(best)
    assert len(trials) == TRIALS
    assert set(states) <= {
        optuna.trial.TrialState.COMPLETE,
        optuna.trial.TrialState.PRUNED,
    }
    rate = params["training.learning_rate"]
    assert config.training.learning_rate == float(f"{rate:.4g}")
    assert config.network.units == tuple(eval(params["network.units"]))
    assert config.training.label_smoothing in (0.0, 0.1, 0.2)
    assert reported[3] == value
    assert best.read_text().startswith("# Trial ")
    assert not list(best.parent.glob("*.npz*"))


def test_fit_of_the_best_configuration_reaches_what_its_trial_did(whole, log, tmp_path):
    best, trials = whole
    config = load_config(best)
    dataset = SOURCES["events"].load(config.data, config.seed)
    curves = {}

    train_network(config, dataset, tmp_path, curves)

    reported = [list(values.values()) for *_, values, value in trials if value]
    assert curves["network, validation"] in reported


def test_worse_trials_are_pruned(whole):
    _, trials = whole

    pruned = [t for t in trials if t[1] == optuna.trial.TrialState.PRUNED]
    assert pruned
    for number, _, _, reported, _ in pruned:
        last = max(reported)
        before = [t[3][last] for t in trials[:number] if last in t[3]]
        assert 2 <= last < 3 + 1
        assert reported[last] > np.median(before)


def test_numbers_have_four_digits_and_stay_in_their_range():
    span = Range("training.learning_rate", low=0.00123456, high=0.123456)

    got = [decode(span, stored) for stored in (0.00123456, 0.0234567, 0.123456)]

    assert got == [0.001235, 0.02346, 0.123456]


def test_another_seed_makes_other_trials(whole, log, tmp_path):
    _, trials = search(tmp_path, log, seed=2, trials=1)

    assert trials[0][2] != whole[1][0][2]


def test_killed_search_resumes_to_the_same_trials(whole, log, tmp_path):
    """In its last trial, an epoch of which is saved; its journal half written."""
    config = tmp_path / "mine.toml"
    config.write_text(CONFIG.format(file=log, seed=1))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, config, str(TRIALS), tmp_path / "runs"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if line.split()[:4] == ["trial", str(TRIALS - 2), "epoch", "1/3"]:
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
    (journal,) = (tmp_path / "runs").glob("tickets/*/journal.log")
    before = len(list_trials(journal))
    with journal.open("a") as file:
        file.write('{"op_code": 6, "wor')
    journal.with_name("journal.log.lock").symlink_to("nowhere")

    best, trials = search(tmp_path / "runs", log)

    assert before == TRIALS - 1
    assert trials == whole[1]
    assert best.read_text() == whole[0].read_text()


def test_a_finished_search_trains_nothing(whole, log, capsys):
    best, trials = whole

    again, same = search(best.parents[2], log)

    assert (again, same) == (best, trials)
    assert "epoch" not in capsys.readouterr().out


def test_data_without_a_validation_part_are_refused():
    dataset = Dataset({}, {}, None, None, np.zeros(1), {})

    with pytest.raises(ConfigError, match=r"^a search needs a validation part, and"):
        check_validation(dataset)


def test_keys_that_contradict_each_other_fail_their_trial_alone(log, tmp_path, capsys):
    """Warm-up and epochs suit the file's values, and not each other."""
    one = open_search(log)
    one.table["training"]["epochs"] = 3
    one.table["tune"] = {
        "training": {"epochs": [2, 2], "warmup_epochs": [2.0, 2.0]},
    }
    ranges = read_ranges(one.table, "mine.toml")
    dataset = SOURCES["events"].load(load(log).data, 1)
    study = open_study(tmp_path / "journal.log", "tickets")

    run_trial(study, one._replace(ranges=ranges), dataset, tmp_path, 1)

    assert study.trials[0].state == optuna.trial.TrialState.FAIL
    said = capsys.readouterr().out
    assert "trial 0: failed, trial 0: training.warmup_epochs is 2.0; expected" in said


def load(log):
    path = Path(log).with_name("mine.toml")
    path.write_text(CONFIG.format(file=log, seed=1))
    return load_config(path)
