"""`python -m training fit`: its options, and what they start.

TensorFlow is imported once it is needed, so that mistakes show at once.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from training.cluster import Task, read_task
from training.config import Config, check_config, load_config
from training.data.files import check_column, find_file
from training.data.tasks import TASK_WORDS, split_tasks
from training.errors import ConfigError
from training.native_log import silence_native_log
from training.options import add_overrides
from training.publish import list_versions
from training.rendezvous import meet
from training.starting import default_name, pick_roles, start_config
from training.toml import write_toml

MAX_SEEDS = 1000
SINGLE = ("case", "event", "time", "label")
ROLES = (*SINGLE, "numbers", "categories")
# Of the wait for other workers.
TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS = 300, 86_400


def add_fit(commands: Any) -> None:
    """Describe `python -m training fit`."""
    fit = commands.add_parser("fit", help="train a model and publish a new version")
    fit.set_defaults(run=run_fit)
    given = fit.add_mutually_exclusive_group(required=True)
    given.add_argument("--config", type=Path, help="training/configs/NAME.toml")
    given.add_argument(
        "--data",
        type=Path,
        help="a file of events, without a configuration: CSV, TSV, JSON Lines, "
        "Parquet, XES or text, plain or gzip",
    )
    fit.add_argument("--name", help="with --data: name of the model in addresses")
    add_roles(fit)
    fit.add_argument(
        "--task",
        metavar="TASK",
        help=f"with --data: what to learn, of {TASK_WORDS}, several with commas "
        "between; the label where there is --label, else what comes next",
    )
    add_overrides(fit)
    add_training(fit)


def add_training(fit: Any) -> None:
    """Describe the options that say how to train, and what is published."""
    fit.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    fit.add_argument("--runs", type=Path, default=Path("runs"))
    fit.add_argument(
        "--if-missing",
        action="store_true",
        help="do nothing if the model already has a version",
    )
    fit.add_argument(
        "--force",
        action="store_true",
        help="publish a network that does not beat its best baseline as well",
    )
    fit.add_argument(
        "--seeds",
        type=count_seeds,
        default=1,
        metavar="N",
        help="train with N seeds, for mean and spread; the first is published",
    )
    fit.add_argument(
        "--distribute",
        type=float,
        nargs="?",
        const=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="train with the workers that TF_CONFIG names, the same command in each; "
        f"wait so long for them, {TIMEOUT_SECONDS} where nothing is given",
    )
    fit.add_argument(
        "--quantize",
        choices=("int8", "float16"),
        help="add programs with smaller weights, measured in evaluation.md; never the "
        "default of the service",
    )


def count_seeds(text: str) -> int:
    """Read a number of seeds.

    Raises:
        ArgumentTypeError: It is not a whole number in this range.
    """
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_SEEDS):
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a whole number, 1 to {MAX_SEEDS}"
        )
    return int(text)


def add_roles(command: Any) -> None:
    """Describe the options that say which column is what."""
    helps = {
        "case": "column that names the case of an event: ticket, user, machine",
        "event": "column that names what happened",
        "time": "column of times; without it the file's order counts",
        "label": "column of what is to be learnt",
    }
    for role, text in helps.items():
        command.add_argument(f"--{role}", metavar="COLUMN", help=f"with --data: {text}")
    for role in ("numbers", "categories"):
        command.add_argument(
            f"--{role}",
            metavar="COLUMN",
            nargs="+",
            default=[],
            help=f"with --data: columns of further {role} of an event",
        )


def run_fit(options: argparse.Namespace) -> None:
    """Train and publish, unless there is a version and that is enough."""
    config = read_config(options)
    versions = list_versions(options.artifacts / config.name)
    if options.if_missing and versions:
        folder = options.artifacts / config.name / str(versions[-1])
        print(f"{folder} is there already; nothing to do.")
        return
    task = check_distributed(options, config)
    # Where it cannot be made, nobody trains for hours to learn so.
    options.artifacts.mkdir(parents=True, exist_ok=True)
    if task:
        meet(task, options.distribute)
    with silence_native_log():
        from training.distributed import Cluster
        from training.pipeline import (
            check_worth,
            train_and_publish,
            train_worker,
        )
    cluster = Cluster(task, options.distribute) if task else None
    if cluster and not cluster.task.is_chief:
        train_worker(config, options.runs, cluster)
        return
    train_and_publish(
        config,
        artifacts=options.artifacts,
        runs=options.runs,
        quantize=options.quantize,
        seeds=options.seeds,
        cluster=cluster,
        accept=lambda measured: check_worth(measured.verdict, force=options.force),
    )


def check_distributed(options: argparse.Namespace, config: Config) -> Task | None:
    """Read this process's task, where it is one of several.

    Raises:
        ConfigError: TF_CONFIG has no task, or what is asked for is not distributed.
    """
    if options.distribute is None:
        return None
    if not 0 < options.distribute < MAX_TIMEOUT_SECONDS:
        raise ConfigError(
            f"--distribute is {options.distribute:g}; expected seconds to wait for the "
            f"other workers, above 0 and below {MAX_TIMEOUT_SECONDS}."
        )
    if config.training.bptt:
        raise ConfigError(
            f"training.bptt is {config.training.bptt}; expected none with "
            "--distribute, as states are not carried between workers. Leave it out, or "
            "train in one process."
        )
    if options.seeds > 1:
        raise ConfigError(
            f"--seeds is {options.seeds}; expected 1 with --distribute. Run the "
            "command once for each seed, with --set seed=N."
        )
    return read_task(os.environ)


def read_config(options: argparse.Namespace) -> Config:
    """Read the configuration file, or make one of the options.

    Raises:
        ConfigError: Options of the one were given with the other.
    """
    if options.config:
        for option in ("name", "task", *ROLES):
            if getattr(options, option):
                raise ConfigError(
                    f"--{option} is given with --config; expected it with --data. "
                    f"Write it into the file, or give --set."
                )
        return load_config(options.config, options.overrides)
    file = find_file(options.data)  # says at once what is wrong with it
    given = {f"--{role}": getattr(options, role) for role in SINGLE}
    if file.columns:
        for option, column in given.items():
            if column:
                check_column(options.data, file.columns, column, option)
    roles = pick_roles(**{role: getattr(options, role) for role in ROLES})
    name = options.name or default_name(options.data)
    task = ", ".join(split_tasks(options.task)) if options.task else None
    table = start_config(name, options.data, roles, task)
    config = check_config(table, "--data", options.overrides)
    print(f"# The equivalent configuration, kept with the run:\n{write_toml(table)}")
    return config
