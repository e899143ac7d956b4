"""One training by `training.pipeline`, and what the page keeps of it.

The pipeline loads, divides, trains, counts baselines and judges; it is stopped where it
would publish. What a protocol scores differently is scored on the same held-out part.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.results.problem import Job
from training.config import Config, check_config
from training.errors import NotBetter
from training.html_report.report import Measured
from training.pipeline import train_and_publish
from training.run import package_versions

ROOT = Path(__file__).parents[2]


def train(job: Job, work: Path) -> dict[str, Any]:
    """Train one network and measure it.

    Args:
        job: Which.
        work: Folder of prepared files; its `runs` has checkpoints, so that a training
            that was interrupted continues.
    """
    config = configure(job, work)
    wall, cpu = time.monotonic(), time.process_time()
    measured = measure(config, work)
    trained = time.monotonic() - wall, time.process_time() - cpu
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "code": describe_code(),
        "packages": package_versions(),
        "minutes": round(trained[0] / 60, 3),
        "cpu_minutes": round(trained[1] / 60, 3),
        "verdict": measured.verdict.sentence,
        "is_worth_it": measured.verdict.is_worth_it,
        "validation_loss": find_validation(measured),
        "figures": {
            figure: {who: float(value) for who, value in values.items()}
            for figure, values in job.problem.score(measured).items()
        },
        "config": describe_config(config),
    }


def configure(job: Job, work: Path) -> Config:
    """Make the configuration of a training: relative paths, from the repository."""
    table = {name: dict(section) for name, section in job.variant.table.items()}
    table["data"] |= job.variant.parts[job.part]
    if "file" in table["data"] and not Path(table["data"]["file"]).exists():
        path = work / job.problem.name / table["data"]["file"]
        table["data"]["file"] = str(path)
    name = f"{job.problem.name}"
    return check_config({"name": name, "seed": job.seed, **table}, job.key)


def measure(config: Config, work: Path) -> Measured:
    """Train and measure by the pipeline, and publish nothing."""
    found: list[Measured] = []

    def refuse(measured: Measured) -> None:
        found.append(measured)
        raise NotBetter("measured, and not to be published")

    with contextlib.suppress(NotBetter):
        train_and_publish(
            config, artifacts=work / "artifacts", runs=work / "runs", accept=refuse
        )
    return found[0]


def find_validation(measured: Measured) -> float | None:
    """Return the validation loss of the weights that were taken, if there is one."""
    losses = [x for x in measured.curves.get("network, validation", []) if x == x]
    if not losses:
        return None
    patience = measured.config.training.patience
    return float(min(losses) if patience else losses[-1])


def describe_config(config: Config) -> dict[str, Any]:
    """Return the sections that decide the weights; the file by its name alone."""
    resolved = config.resolved()
    resolved["data"]["file"] = Path(resolved["data"]["file"]).name
    return {name: resolved[name] for name in ("seed", "data", "network", "training")}


def describe_code() -> str:
    """Name the commit, and say whether `training/` or `models/` differ from it."""
    commit = ask_git("rev-parse", "--short=10", "HEAD")
    changed = ask_git("status", "--porcelain", "--", "training", "models")
    return f"{commit} with changes" if changed else commit


def ask_git(*words: str) -> str:
    """Ask git; empty without it."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()
