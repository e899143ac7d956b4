"""The whole way on one page: data -> train -> evaluate -> export -> publish.

Knows which step follows which, and nothing of how a step is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import keras

from models.export import export_network
from training.baselines import predict_with
from training.calibrate import check_calibration, correct
from training.config import Config
from training.data.dataset import Dataset
from training.distributed import Cluster
from training.drift.profile import write_profile
from training.drift.sample import take_sample
from training.errors import NotBetter
from training.evaluate.metric import Metric, Predict
from training.html_report.report import Measured, write_report
from training.manifest import (
    REPORT,
    describe_version,
    publish_described,
    write_evaluation,
)
from training.programs import write_programs
from training.report import (
    format_evaluation,
    print_parts,
    print_places,
    print_spread,
    print_verdict,
    say,
)
from training.run import keep_config, locate_run, lock_run, remove_checkpoints
from training.seeds import gather_spread, list_seeds
from training.sources import SOURCES
from training.tracking import log_training, open_tracker
from training.trainer import check_data, train_baseline, train_network
from training.verdict import Verdict, judge


class Trained(NamedTuple):
    """A published version, and the run that made it."""

    version: Path
    run: Path
    metrics: list[Metric]


class Fitted(NamedTuple):
    """A trained network that is not published yet, and how it was measured."""

    network: keras.Model
    measured: Measured


def train_and_publish(
    config: Config,
    *,
    artifacts: Path,
    runs: Path,
    accept: Callable[[Measured], None],
    quantize: str | None = None,
    seeds: int = 1,
    cluster: Cluster | None = None,
) -> Trained:
    """Train a model from its configuration and publish it as a new version.

    Args:
        config: From `training.config.load_config`.
        artifacts: Folder of models; the version appears in `<artifacts>/<name>/`.
        runs: Folder of runs; an interrupted one continues from its last epoch.
        accept: Raises `NotBetter` where a network is not to be published.
        quantize: Adds programs with weights in `int8` or `float16`, measured next
            to the exact ones.
        seeds: Networks to train and measure; the first one is published.
        cluster: The workers that train the network together.

    Returns:
        Where the version and the run are, and what was measured.

    Raises:
        TrainingError: Something the user can fix.
        NotBetter: The network is not accepted; it is kept in the run.
        models.export.ExportError: The export computes something else than the network.
    """
    tracker = open_tracker(config.name)
    dataset = SOURCES[config.data.source].load(config.data, config.seed)
    check_calibration(dataset, config.calibration)
    check_data(dataset, config.training)
    run = locate_run(runs, config, dataset.facts)
    if cluster:
        cluster.compare(run.name)
    with lock_run(run):
        keep_config(run, config)
        say(f"Training {config.name} on source {config.data.source}; run {run}")
        print_parts(dataset.facts)
        fitted = train_and_measure(config, dataset, run, seeds=seeds, cluster=cluster)
        try:
            accept(fitted.measured)
        except NotBetter:
            log_training(tracker, fitted.measured, run, None)
            raise
        version = publish_network(fitted, artifacts, quantize)
        remove_checkpoints(run)
        log_training(tracker, fitted.measured, run, version)
    print_places(version, run)
    return Trained(version, run, list(fitted.measured.metrics))


def train_and_measure(
    config: Config,
    dataset: Dataset,
    run: Path,
    *,
    seeds: int = 1,
    cluster: Cluster | None = None,
) -> Fitted:
    """Train a network and its baselines, and measure them on the test part.

    The verdict and the figures are printed.

    Args:
        config: The configuration.
        dataset: Its data.
        run: Folder of the run, locked; checkpoints stay in it.
        seeds: Networks to train and measure; the first one is returned.
        cluster: The workers that train the first one together.
    """
    curves: dict[str, list[float]] = {}
    network = train_network(config, dataset, run, curves, cluster=cluster)
    trained = {
        name: train_baseline(config, dataset, run, name, curves)
        for name in dataset.baselines
    }
    network, others, corrections = correct(network, dataset, config, trained)
    predict = predict_with(network)
    evaluate = SOURCES[config.data.source].evaluate
    metrics = [*evaluate(dataset.held_out, predict, others), *corrections]
    verdict = judge(metrics, config.network.cell)
    print_verdict(verdict, metrics, dataset.facts)
    by_seed = {config.seed: metrics}
    for seed in list_seeds(config.seed, seeds)[1:]:
        seeded = replace(config, seed=seed)
        by_seed[seed] = measure_seed(seeded, dataset, run, trained)
    spread = gather_spread(by_seed) if seeds > 1 else []
    print_spread(list(by_seed), spread)
    measured = Measured(
        config, dataset, predict, others, metrics, verdict, curves, spread
    )
    return Fitted(network, measured)


def measure_seed(
    config: Config, dataset: Dataset, run: Path, trained: dict[str, Predict]
) -> list[Metric]:
    """Train with another seed, on the same data, and measure.

    Args:
        config: With that seed.
        dataset: The data.
        run: Folder of the run.
        trained: The baselines of the first seed, by name.
    """
    name = f"seed {config.seed}"
    network = train_network(config, dataset, run, {}, name)
    network, others, corrections = correct(network, dataset, config, trained)
    evaluate = SOURCES[config.data.source].evaluate
    figures = evaluate(dataset.held_out, predict_with(network), others)
    return [*figures, *corrections]


def train_worker(config: Config, runs: Path, cluster: Cluster) -> None:
    """Take part in a training that the chief measures and publishes.

    Raises:
        TrainingError: Something the user can fix.
    """
    dataset = SOURCES[config.data.source].load(config.data, config.seed)
    check_data(dataset, config.training)
    run = locate_run(runs, config, dataset.facts)
    cluster.compare(run.name)
    train_network(config, dataset, run, {}, cluster=cluster)
    say("This worker is done; the chief measures and publishes.")


def check_worth(verdict: Verdict, *, force: bool) -> None:
    """Refuse a network that does not beat its best baseline, unless forced.

    Raises:
        NotBetter: It does not.
    """
    if not (verdict.is_worth_it or force):
        raise NotBetter(
            f"nothing was published: {verdict.sentence}. Bring more data or change "
            "the configuration; or give --force to publish it all the same, "
            "without training again."
        )


def publish_network(fitted: Fitted, artifacts: Path, quantize: str | None) -> Path:
    """Export a network, describe it and publish it as a new version."""
    return publish_described(
        artifacts,
        fitted.measured.config.name,
        lambda version: export_version(fitted, version, quantize),
    )


def export_version(
    fitted: Fitted, version: Path, quantize: str | None
) -> dict[str, Any]:
    """Write all of a version but its manifest, and return what that is to say."""
    network, measured = fitted
    config, dataset, metrics = measured.config, measured.dataset, measured.metrics
    began = time.perf_counter()
    memory = export_network(
        network, dataset.inputs, dataset.outputs, version, real=dataset.real
    )
    say(
        f"\nSavedModel proved equal to the network, {time.perf_counter() - began:.1f} s"
    )
    evaluate = SOURCES[config.data.source].evaluate
    compiled = write_programs(
        network,
        dataset,
        version,
        quantize=quantize,
        measure=lambda predict: evaluate(dataset.held_out, predict, {}),
    )
    report = format_evaluation(
        config.name, measured.verdict, metrics, dataset.facts, config.seed
    )
    report += compiled.report
    write_evaluation(version, report, measured.verdict, metrics, measured.spread)
    (version / REPORT).write_bytes(write_report(measured))
    if config.data.source == "events":
        sample = take_sample(dataset.inputs, dataset.held_out, measured.predict)
        write_profile(version, dataset.inputs, sample)
    return describe_version(
        config,
        dataset,
        metrics,
        memory=memory,
        weights=network.get_weights(),
        programs=compiled.description,
    )
