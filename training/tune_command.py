"""Command `python -m training tune`: options, checks and the search.

TensorFlow and Optuna are imported once they are needed, so that mistakes show at once.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from training.config import override_key, read_toml
from training.errors import ConfigError
from training.native_log import silence_native_log
from training.options import add_overrides
from training.ranges import check_ranges, read_ranges

MAX_TRIALS = 100_000


def add_tune(commands: Any) -> None:
    """Describe `python -m training tune`."""
    command = commands.add_parser(
        "tune", help="search for the keys with the lowest validation loss"
    )
    command.set_defaults(run=run_tune)
    command.add_argument(
        "--config", type=Path, required=True, help="a file with a section [tune]"
    )
    command.add_argument(
        "--trials",
        type=count_trials,
        default=20,
        metavar="N",
        help="networks to train in all, those of an interrupted search included",
    )
    add_overrides(command)
    command.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="where the best configuration is written; the run's best.toml otherwise",
    )
    command.add_argument("--runs", type=Path, default=Path("runs"))


def count_trials(text: str) -> int:
    """Read a number of trials.

    Raises:
        ArgumentTypeError: It is not one.
    """
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_TRIALS):
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a whole number, 1 to {MAX_TRIALS}"
        )
    return int(text)


def run_tune(options: argparse.Namespace) -> None:
    """Search, once the configuration and its ranges are checked.

    Raises:
        ConfigError: A key is wrong, or Optuna is not installed.
    """
    file = str(options.config)
    table = read_toml(options.config)
    for override in options.overrides:
        override_key(table, override)
    ranges = read_ranges(table, file)
    check_ranges(table, ranges, file)
    if options.write and options.write.resolve() == options.config.resolve():
        raise ConfigError(
            f"--write is {options.write}, the configuration itself; expected another "
            "file, since its ranges and comments would be lost. Name one."
        )
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError(
            "optuna is not installed; expected it for `python -m training tune`. "
            "Install it with `pip install -r requirements-tune.txt`."
        )
    with silence_native_log():
        from training.tuning import Search, tune
    tune(
        Search(table, ranges, file),
        trials=options.trials,
        runs=options.runs,
        write=options.write,
    )
