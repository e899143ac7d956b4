"""Search for the keys of a configuration with the lowest validation loss.

Optuna's tree-structured Parzen estimator chooses, its median pruner ends what is worse
than the median of the trials before it. Everything random in a trial follows from
(seed, trial), and the journal and the trial's checkpoint have all that was decided, so
that a search that was killed and resumed makes the same trials. The test part is not
measured.

Reference: Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011;
Akiba et al., Optuna, KDD 2019, https://arxiv.org/abs/1907.10902.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from training.checkpoint import read_validation
from training.config import Config
from training.data.dataset import Dataset
from training.errors import ConfigError, Diverged
from training.fit import Epoch
from training.ranges import Range, apply_values, check_ranges, describe_ranges
from training.report import say
from training.run import checkpoint_path, locate_run, lock_run, remove_checkpoints
from training.sources import SOURCES
from training.toml import write_toml, write_value
from training.trainer import check_data, train_network

JOURNAL = "journal.log"
BEST = "best.toml"
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
# Trials that are drawn at random and not pruned: there is nothing to learn from yet.
FIRST_TRIALS = 5


class Search(NamedTuple):
    """Search space: a configuration and ranges of its keys.

    Args:
        table: The configuration as its file has it.
        ranges: The keys and what they may be.
        file: Where both come from, for errors.
    """

    table: Mapping[str, Any]
    ranges: list[Range]
    file: str


def tune(search: Search, *, trials: int, runs: Path, write: Path | None = None) -> Path:
    """Search until the number of trials is reached, earlier processes included.

    Args:
        search: The search space.
        trials: In all.
        runs: Folder of runs, which keeps the journal.
        write: Where the best configuration is written; None for the run's folder.

    Returns:
        The file of the best configuration.

    Raises:
        ConfigError: A key or the data do not suit a search, or no trial ended.
    """
    base = check_ranges(search.table, search.ranges, search.file)
    dataset = SOURCES[base.data.source].load(base.data, base.seed)
    check_validation(dataset)
    facts = {**dataset.facts, "tune": describe_ranges(search.ranges)}
    folder = locate_run(runs, base, facts)
    with lock_run(folder):
        say(f"Tuning {base.name} by the validation loss; run {folder}")
        study = open_study(folder / JOURNAL, base.name)
        while len(study.get_trials(deepcopy=False, states=DONE)) < trials:
            run_trial(study, search, dataset, folder, base.seed)
            remove_checkpoints(folder)
        path = write or folder / BEST
        path.write_text(write_best(study, search), encoding="utf-8")
    say(
        f"\nbest     {describe_best(study)}\nwritten  {path}\n"
        f"train    python -m training fit --config {path}"
    )
    return path


def check_validation(dataset: Dataset) -> None:
    """Refuse data without a validation part.

    Raises:
        ConfigError: They have none.
    """
    part = dataset.validation
    if part is None or not part.weights.any():
        raise ConfigError(
            "a search needs a validation part, and these data have none or an empty "
            "one; whatever were chosen by the test part would look better than it is. "
            "Set data.validation where the source has that key."
        )


def open_study(path: Path, name: str) -> optuna.Study:
    """Open the journal of a search, or begin one."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    clean_up(path)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(
        study_name=name,
        storage=storage,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(FIRST_TRIALS, n_warmup_steps=2),
    )


def clean_up(path: Path) -> None:
    """Remove what a killed process left: its lock, and a part of a line.

    The folder of the run is locked, so that no other process has the journal open.
    """
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    if path.exists():
        content = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def seed_sampler(study: optuna.Study, seed: int, number: int, key: str) -> None:
    """Seed the sampler by the number of the trial, not by the trials before."""
    words = (seed, number, zlib.crc32(key.encode()))
    state = int(np.random.SeedSequence(words).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(
        seed=state, n_startup_trials=FIRST_TRIALS
    )


def begin_trial(study: optuna.Study, seed: int) -> Trial:
    """Begin the next trial, or continue the one that a killed process left."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if running:
        seed_sampler(study, seed, running[0].number, "")
        return Trial(study, running[0]._trial_id)
    seed_sampler(study, seed, len(study.get_trials(deepcopy=False)), "")
    return study.ask()


def run_trial(
    study: optuna.Study, search: Search, dataset: Dataset, folder: Path, seed: int
) -> None:
    """Train one network until it ends or is pruned, and store its loss."""
    trial = begin_trial(study, seed)
    name = f"trial {trial.number}"
    values = {one.key: choose(study, trial, one, seed) for one in search.ranges}
    chosen = ", ".join(f"{key} = {write_value(v)}" for key, v in values.items())
    say(f"{name}: {chosen}")
    try:
        config = apply_values(search.table, values, name)
        check_data(dataset, config.training)
        reached = train_trial(trial, config, dataset, folder, name)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
        say(f"{name}: pruned, worse than the median of the trials at this epoch")
        return
    except (ConfigError, Diverged) as error:
        study.tell(trial, state=TrialState.FAIL)
        say(f"{name}: failed, {error}")
        return
    study.tell(trial, reached)
    say(f"{name}: validation {reached:.4f}; best so far {describe_best(study)}")


def choose(study: optuna.Study, trial: Trial, one: Range, seed: int) -> Any:
    """Choose the value of a key; a trial that continues has chosen it before."""
    seed_sampler(study, seed, trial.number, one.key)
    if one.values:  # as text: Optuna takes no lists
        words = [json.dumps(value) for value in one.values]
        return decode(one, trial.suggest_categorical(one.key, words))
    if one.is_whole:
        step = 1 if one.step is None else int(one.step)
        low, high = int(one.low), int(one.high)
        return trial.suggest_int(one.key, low, high, step=step, log=one.log)
    number = trial.suggest_float(one.key, one.low, one.high, step=one.step, log=one.log)
    return decode(one, number)


def decode(one: Range, stored: Any) -> Any:
    """Return the value of a key as a configuration has it, numbers in four digits."""
    if one.values:
        return json.loads(stored)
    if one.is_whole:
        return stored
    return min(max(float(f"{stored:.4g}"), one.low), one.high)


def train_trial(
    trial: Trial, config: Config, dataset: Dataset, folder: Path, name: str
) -> float:
    """Train the network of a trial.

    Returns:
        Its validation loss: of the epoch that `fit` would take the weights of.

    Raises:
        TrialPruned: It is worse than the median of the trials at some epoch.
        Diverged: Its loss is no longer a number.
    """
    known = set(trial.storage.get_trial(trial._trial_id).intermediate_values)

    def report(number: int, validation: float) -> None:
        if number not in known:
            trial.report(validation, number)

    def finish_epoch(epoch: Epoch) -> None:
        report(epoch.number, epoch.validation)
        if trial.should_prune():
            raise optuna.TrialPruned

    # What was trained before the process was killed, and maybe not reported.
    before = read_validation(checkpoint_path(folder, name))
    for number, validation in enumerate(before, start=1):
        report(number, validation)
    if before and trial.should_prune():
        raise optuna.TrialPruned
    keras.utils.clear_session()  # the networks of earlier trials
    curves: dict[str, list[float]] = {}
    train_network(config, dataset, folder, curves, name, finish_epoch)
    losses = curves[f"{name}, validation"]
    reached = min(losses) if config.training.patience else losses[-1]
    if not math.isfinite(reached):
        raise Diverged(f"the validation loss is {reached}. Lower the learning rate.")
    return reached


def read_best(study: optuna.Study) -> dict[str, Any]:
    """Read the values of the best trial.

    Raises:
        ConfigError: No trial was trained to its end.
    """
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise ConfigError(
            "no trial was trained to its end; the lines above say why. Change the "
            "ranges in [tune], or raise --trials."
        )
    return dict(study.best_trial.params)


def describe_best(study: optuna.Study) -> str:
    """Say which trial is the best, and what it reached."""
    read_best(study)
    return f"trial {study.best_trial.number}, validation {study.best_value:.4f}"


def write_best(study: optuna.Study, search: Search) -> str:
    """Write the configuration with the values of the best trial."""
    params = read_best(study)
    values = {one.key: decode(one, params[one.key]) for one in search.ranges}
    config = apply_values(search.table, values, f"trial {study.best_trial.number}")
    reached = f"validation loss {study.best_value:.4f}"
    number, count = study.best_trial.number, len(study.trials)
    head = f"# Trial {number} of {count} of `python -m training tune`: {reached}.\n"
    return head + write_toml(config.resolved())
