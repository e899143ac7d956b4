"""Training of one network of a run, from its start or from a checkpoint.

Knows which parts of a configuration a training needs, and not what becomes of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from models.networks import build_network
from training.baselines import BASELINES
from training.class_weights import check_classified, weigh
from training.config import Config
from training.data.dataset import Dataset
from training.distributed import Cluster
from training.errors import ConfigError
from training.evaluate.metric import Predict
from training.fit import Epoch, Losses, Plan, fit_network, make_deterministic
from training.losses import build_loss
from training.progress import watch
from training.run import checkpoint_path
from training.training_section import TrainingConfig


def check_data(dataset: Dataset, training: TrainingConfig) -> None:
    """Refuse keys of `[training]` that need what the data do not have.

    Raises:
        ConfigError: One of them is set.
    """
    check_classified(dataset, training)
    part = dataset.validation
    if training.patience and (part is None or not part.weights.any()):
        raise ConfigError(
            f"training.patience is {training.patience}; expected a validation part "
            "to measure, and these data have none. Set data.validation where the "
            "source has that key, or leave patience out."
        )


def train_network(
    config: Config,
    dataset: Dataset,
    run: Path,
    curves: dict[str, list[float]],
    name: str = "network",
    watch_epoch: Callable[[Epoch], None] = lambda epoch: None,
    cluster: Cluster | None = None,
) -> keras.Model:
    """Build and train one network of the run, or finish the training begun.

    Its losses by epoch are added to `curves`. `watch_epoch` is called after each. With
    a cluster its workers train it together.
    """
    make_deterministic(config.seed)
    network = build_network(
        dataset.inputs,
        dataset.outputs,
        **dataclasses.asdict(config.network),
    )
    plan = plan_training(config, dataset)._replace(cluster=cluster)
    with watch(name) as watcher:

        def finish_epoch(epoch: Epoch) -> None:
            watcher.finish_epoch(epoch)
            watch_epoch(epoch)

        history = fit_network(
            network,
            find_losses(config, dataset),
            plan,
            checkpoint=checkpoint_path(run, name),
            on_resume=watcher.resume,
            on_epoch=finish_epoch,
            on_batch=watcher.advance,
            on_stop=watcher.stop,
        )
    curves[name] = history.losses
    if dataset.validation is not None:
        curves[f"{name}, validation"] = history.validation
    return network


def plan_training(config: Config, dataset: Dataset) -> Plan:
    """Plan a training with targets weighed by class."""
    draw = weigh(
        dataset.draw_epoch, dataset.outputs, config.training.class_weights, config.seed
    )
    return Plan(draw, config.training, config.seed, dataset.validation)


def find_losses(config: Config, dataset: Dataset) -> Losses:
    """Find the losses of training and validation; smoothing is of training alone."""
    plain = build_loss(dataset.inputs, dataset.outputs)
    smoothing = config.training.label_smoothing
    if not smoothing:
        return Losses(plain, plain)
    return Losses(build_loss(dataset.inputs, dataset.outputs, smoothing), plain)


def train_baseline(
    config: Config,
    dataset: Dataset,
    run: Path,
    name: str,
    curves: dict[str, list[float]],
) -> Predict:
    """Train one of the networks to compare with, on the same examples."""
    baseline = BASELINES[name]
    examples = dataset.draw_epoch(np.random.default_rng(config.seed)).pad()
    shorter = replace(config, training=shorten(config.training, baseline.share))
    presented = replace(
        dataset,
        validation=None,
        draw_epoch=lambda rng: baseline.present(dataset.draw_epoch(rng).pad()),
    )
    adapted = baseline.adapt(shorter, examples)
    return baseline.predict(train_network(adapted, presented, run, curves, name))


def shorten(training: TrainingConfig, share: float) -> TrainingConfig:
    """Train for a share of the epochs, by the same schedule; there is no validation."""
    epochs = math.ceil(training.epochs * share)
    factor = epochs / training.epochs
    return replace(
        training,
        epochs=epochs,
        warmup_epochs=training.warmup_epochs * factor,
        decay_epochs=training.decay_epochs and training.decay_epochs * factor,
        patience=None,
    )
