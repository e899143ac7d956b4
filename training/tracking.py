"""Logging of a training to MLflow, where MLFLOW_TRACKING_URI is set.

A run of the experiment that has the model's name: configuration, losses by epoch,
figures, verdict and report. The artifact of the service stays what is published; MLflow
gets no model. Does not know how a network is trained.
"""

from __future__ import annotations

import importlib.util
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from training.errors import TrainingError, quote, shorten
from training.html_report.report import Measured
from training.manifest import EVALUATION, METRICS, REPORT
from training.report import say

ADDRESS = "MLFLOW_TRACKING_URI"
MAX_REASON_LENGTH = 300
# What MLflow takes in one call, and in one value.
MAX_METRICS, MAX_PARAMS, MAX_PARAM_LENGTH = 1000, 100, 6000


class Tracker(NamedTuple):
    """An experiment to log to.

    Args:
        client: MLflow's.
        experiment: Its id.
    """

    client: Any
    experiment: str


class Point(NamedTuple):
    """A figure, or a loss after an epoch.

    Args:
        name: As MLflow takes it.
        value: A finite number.
        step: The epoch; 0 for a figure.
    """

    name: str
    value: float
    step: int


def open_tracker(name: str) -> Tracker | None:
    """Open the experiment of a model; None where no address is set.

    Raises:
        TrainingError: MLflow is not installed, or does not answer: better now than
            after the training.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    if importlib.util.find_spec("mlflow") is None:
        raise TrainingError(
            f"{ADDRESS} is {address}, and MLflow is not installed. Install it with "
            f"`pip install -r requirements-mlflow.txt`, or unset {ADDRESS}."
        )
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=address)
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
    except Exception as error:  # whatever its many stores raise
        raise TrainingError(
            f"{ADDRESS} is {address}, which cannot be used: {describe(error)}. "
            "Correct it, or unset it."
        ) from error
    return Tracker(client, experiment)


def log_training(
    tracker: Tracker | None, measured: Measured, run: Path, version: Path | None
) -> None:
    """Log figures and losses; an error is printed and changes nothing else.

    Args:
        tracker: Of the model; None logs nothing.
        measured: The network.
        run: Folder of the run.
        version: What was published; None if nothing was.
    """
    if tracker is None:
        return
    try:
        link = log_run(tracker, measured, run, version)
    except Exception as error:  # the version is published whatever MLflow says
        say(f"not logged to MLflow: {describe(error)}")
        return
    say(f"mlflow   run {link} of experiment {measured.config.name}")


def log_run(
    tracker: Tracker, measured: Measured, run: Path, version: Path | None
) -> str:
    """Log a run; return its id."""
    from mlflow.entities import Metric, Param

    client, config = tracker.client, measured.config
    title = f"{config.name}/{version.name}" if version else f"{config.name}, refused"
    logged = client.create_run(tracker.experiment, run_name=title)
    number = str(logged.info.run_id)
    now = int(time.time() * 1000)
    points = list(list_points(measured))
    for start in range(0, len(points), MAX_METRICS):
        batch = [
            Metric(one.name, one.value, now, one.step)
            for one in points[start : start + MAX_METRICS]
        ]
        client.log_batch(number, metrics=batch)
    params = [Param(k, v) for k, v in flatten(config.resolved())]
    for start in range(0, len(params), MAX_PARAMS):
        client.log_batch(number, params=params[start : start + MAX_PARAMS])
    for key, value in describe_run(measured, version).items():
        client.set_tag(number, key, value)
    files = [run / "config.toml"]
    if version:
        files += [version / file for file in (REPORT, EVALUATION, METRICS)]
    for file in files:
        client.log_artifact(number, str(file))
    client.set_terminated(number)
    return number


def describe_run(measured: Measured, version: Path | None) -> dict[str, str]:
    """Describe the training and its result."""
    return {
        "verdict": measured.verdict.sentence,
        "published": f"version {version.name}" if version else "no",
        "data": str(measured.dataset.facts.get("fingerprint", "")),
        "mlflow.source.name": "python -m training fit",
    }


def list_points(measured: Measured) -> Iterator[Point]:
    """Yield figures, those of baselines, and the losses of every network by epoch."""
    for metric in measured.metrics:
        yield from make_point(metric.name, metric.value)
        for other, value in metric.baselines.items():
            yield from make_point(f"{metric.name} - {other}", value)
    for name, losses in measured.curves.items():
        for epoch, loss in enumerate(losses, start=1):
            yield from make_point(f"loss - {name}", loss, epoch)


def make_point(name: str, value: float, step: int = 0) -> Iterator[Point]:
    """Make a point with a name that MLflow takes; nothing for a value not finite."""
    if abs(value) < float("inf"):  # NaN is not
        yield Point(re.sub(r"[^\w\-./]+", " ", name).strip(), float(value), step)


def flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keys of a configuration with their sections: `training.epochs`."""
    for key, value in table.items():
        if isinstance(value, Mapping) and not prefix:
            yield from flatten(value, f"{key}.")
        elif value is not None:
            yield f"{prefix}{key}", str(value)[:MAX_PARAM_LENGTH]


def describe(error: Exception) -> str:
    """Write an error of MLflow as a part of a sentence."""
    return shorten(quote(error), MAX_REASON_LENGTH).rstrip(".")
