"""The whole way on one page: data -> train -> evaluate -> export -> publish.

Knows which step follows which, and nothing of how a step is done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from models.export import export_network
from models.networks import build_network
from training.baselines import BASELINES, predict_with
from training.config import Config
from training.data import SOURCES
from training.data.dataset import Dataset
from training.evaluate import EVALUATIONS
from training.evaluate.metric import Metric, Predict
from training.fit import Plan, build_loss, fit_network, make_deterministic
from training.manifest import describe_version, write_evaluation, write_manifest
from training.publish import publish_version
from training.report import format_evaluation, print_result, say, watch
from training.run import checkpoint_path, locate_run, lock_run, remove_checkpoints


class Trained(NamedTuple):
    """A published version, and the run that made it."""

    version: Path
    run: Path
    metrics: list[Metric]


def retrain(config: Config, *, artifacts: Path, runs: Path) -> Trained:
    """Train a model from its configuration and publish it as a new version.

    Args:
        config: From `training.config.load_config`.
        artifacts: Folder of models; the version appears in `<artifacts>/<name>/`.
        runs: Folder of runs; an interrupted one goes on from its last epoch.

    Returns:
        Where the version and the run are, and what was measured.

    Raises:
        TrainingError: Something the user can mend.
        models.export.ExportError: The export computes something else than the network.
    """
    dataset = SOURCES[config.data.source].load(config.data, config.seed)
    run = locate_run(runs, config, dataset.facts)
    with lock_run(run):
        say(f"Training {config.name} on source {config.data.source}; run {run}")
        network = train_network(config, dataset, run)
        others = {
            name: train_baseline(config, dataset, run, name)
            for name in dataset.baselines
        }
        evaluate = EVALUATIONS[config.data.source]
        metrics = evaluate(dataset.held_out, predict_with(network), others)
        version = publish_network(config, dataset, network, metrics, artifacts)
        remove_checkpoints(run)
    print_result(config.name, metrics, version, run)
    return Trained(version, run, metrics)


def train_network(
    config: Config, dataset: Dataset, run: Path, name: str = "network"
) -> keras.Model:
    """Build and train one network of the run, or finish the training begun."""
    make_deterministic(config.seed)
    network = build_network(
        dataset.inputs,
        dataset.outputs,
        cell=config.network.cell,
        units=config.network.units,
    )
    fit_network(
        network,
        build_loss(dataset.inputs, dataset.outputs),
        Plan(dataset.draw_epoch, config.training, config.seed),
        checkpoint=checkpoint_path(run, name),
        on_resume=lambda epochs: say(f"  {name:<10}  resuming after epoch {epochs}"),
        on_epoch=watch(name),
    )
    return network


def train_baseline(config: Config, dataset: Dataset, run: Path, name: str) -> Predict:
    """Train one of the networks to compare with, on the same examples."""
    baseline = BASELINES[name]
    examples = dataset.draw_epoch(np.random.default_rng(config.seed))
    epochs = math.ceil(config.training.epochs * baseline.share)
    shorter = replace(config, training=replace(config.training, epochs=epochs))
    presented = replace(
        dataset, draw_epoch=lambda rng: baseline.present(dataset.draw_epoch(rng))
    )
    adapted = baseline.adapt(shorter, examples)
    return baseline.predict(train_network(adapted, presented, run, name))


def publish_network(
    config: Config,
    dataset: Dataset,
    network: keras.Model,
    metrics: Sequence[Metric],
    artifacts: Path,
) -> Path:
    """Export a network, describe it and publish it as a new version."""
    description: dict[str, Any] = {}

    def fill(version: Path) -> None:
        description.update(export_version(config, dataset, network, metrics, version))

    def seal(version: Path, number: int) -> None:
        write_manifest(version, config.name, number, description)

    return publish_version(artifacts / config.name, fill, seal)


def export_version(
    config: Config,
    dataset: Dataset,
    network: keras.Model,
    metrics: Sequence[Metric],
    version: Path,
) -> dict[str, Any]:
    """Write all of a version but its manifest, and return what that is to say."""
    memory = export_network(
        network, dataset.inputs, dataset.outputs, version, real=dataset.real
    )
    report = format_evaluation(config.name, metrics, dataset.facts, config.seed)
    write_evaluation(version, report)
    return describe_version(
        config, dataset, metrics, memory=memory, weights=network.get_weights()
    )
