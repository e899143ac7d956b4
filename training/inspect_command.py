"""`python -m training inspect`: look at a file, and write a configuration for it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from training.data.event_log import EventLog
from training.data.inspection import Inspection, inspect_file
from training.errors import ConfigError
from training.printable import escape_controls
from training.starting import SERIES, default_name, start_config
from training.toml import write_toml

ROLES = ("case", "event", "time", "label")
# So few cannot be divided but by their events.
FEW_CASES = 10


def add_inspect(commands: Any) -> None:
    """Describe `python -m training inspect`."""
    inspect = commands.add_parser(
        "inspect", help="say what is in a file of events, and how to train on it"
    )
    inspect.set_defaults(run=run_inspect)
    inspect.add_argument(
        "file",
        type=Path,
        help="CSV, TSV, JSON Lines, Parquet, XES or text, plain or gzip",
    )
    for role in ROLES:
        inspect.add_argument(
            f"--{role}", metavar="COLUMN", help="this column, instead of a guess"
        )
    inspect.add_argument(
        "--write", type=Path, metavar="FILE", help="write the configuration here"
    )


def run_inspect(options: argparse.Namespace) -> None:
    """Print what was found, and a configuration to start from.

    Raises:
        ConfigError: The file to write exists.
    """
    if options.write and options.write.exists():
        raise ConfigError(
            f"--write is {options.write}, which exists; expected a new file. Choose "
            "another name, or remove it."
        )
    given = {role: getattr(options, role) for role in ROLES if getattr(options, role)}
    found = inspect_file(options.file, given)
    print(escape_controls("\n".join(format_inspection(options.file, found))))
    config = propose(options.file, found)
    if config is None:
        return
    text = write_toml(config)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
        print(f"\nwrote {options.write}; train with")
        print(f"  python -m training fit --config {options.write}")
    else:
        print(f"\n# A configuration to start from (--write FILE keeps it):\n{text}")


def propose(path: Path, found: Inspection) -> dict[str, Any] | None:
    """Propose a configuration; None where the file cannot be read."""
    name = default_name(path)
    if found.series is not None:
        return {"name": name, "seed": 1, "data": found.series, **SERIES}
    if found.log is None:
        return None
    return start_config(name, path, {**found.roles, **propose_split(found.log)})


def propose_split(log: EventLog) -> dict[str, str]:
    """Propose a split where cases cannot be divided by when they begin."""
    if log.num_cases < FEW_CASES:
        return {"split": "events"}
    if log.times is None:
        return {}
    beginnings = np.unique(log.times[log.offsets[:-1]])
    return {"split": "file"} if len(beginnings) < FEW_CASES else {}


def format_inspection(path: Path, found: Inspection) -> list[str]:
    """Write what was found, a line each."""
    lines = [f"{path}: {found.form}, {found.rows:,} rows"]
    if found.columns:
        lines.append(f"columns   {', '.join(found.columns)}")
    roles = ", ".join(f"{role} = {name}" for role, name in found.roles.items())
    lines.append(f"roles     {roles or '(none)'}")
    lines += [f"{name:<9} {fact}" for name, fact in found.facts.items()]
    problems = found.problems or ("none",)
    lines += [
        f"{'problems' if not k else '':<9} {problem.removeprefix(f'{path}, ')}"
        for k, problem in enumerate(problems)
    ]
    return lines
