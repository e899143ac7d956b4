"""Find the weights: epoch after epoch, the same weights for the same seed.

Everything random in an epoch, dropout too, follows from (seed, epoch), so a run that
was killed and resumed computes what an uninterrupted one does, bit for bit. When
training stops early depends on losses alone, which the checkpoint has.
Does not know where examples come from, nor what becomes of the network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from training.batches import Batches
from training.data.dataset import Examples, Sequences
from training.distributed import (
    Cluster,
    SharedRunner,
    agree,
    choose_runner,
    save_progress,
    share_progress,
)
from training.errors import Diverged
from training.schedules import find_rate
from training.training_section import TrainingConfig
from training.windows import WindowRunner


class Batch(NamedTuple):
    """One finished batch, for the observer.

    Args:
        share: Of the training that is done, 0 to 1.
        events: That it had.
        loss: Its loss.
    """

    share: float
    events: int
    loss: float


class Epoch(NamedTuple):
    """One finished epoch, for the observer.

    Args:
        number: Counted from 1.
        total: Epochs of the training.
        loss: Mean loss of an event.
        seconds: That it took.
        validation: The same loss on the validation part; NaN without one.
        events: That it had.
    """

    number: int
    total: int
    loss: float
    seconds: float
    validation: float = math.nan
    events: int = 0


class Plan(NamedTuple):
    """Everything that a training of one network needs besides the network.

    Args:
        draw_epoch: Returns an epoch's examples.
        training: Epochs, batch size, learning rate and so on.
        seed: From which every choice follows.
        validation: Never trained on; its loss is measured after every epoch.
        cluster: The processes that train it together; None for this one alone.
    """

    draw_epoch: Callable[[np.random.Generator], Examples | Sequences]
    training: TrainingConfig
    seed: int
    validation: Sequences | None = None
    cluster: Cluster | None = None


class History(NamedTuple):
    """Mean loss of an event, by epoch.

    Args:
        losses: Of training.
        validation: Of the validation part; NaN without one.
    """

    losses: list[float]
    validation: list[float]


class Losses(NamedTuple):
    """Two losses of one network.

    Args:
        training: The one that is made small.
        validation: The one that is measured on the validation part.
    """

    training: Any
    validation: Any


class Stopped(NamedTuple):
    """A training that ended early, for the observer.

    Args:
        epoch: The last one, counted from 1.
        best: The one with the lowest validation loss, and the weights taken.
    """

    epoch: int
    best: int


def make_deterministic(seed: int) -> None:
    """Fix initial weights and the order of sums; call before building a network."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit_network(
    network: keras.Model,
    loss: Any,
    plan: Plan,
    *,
    checkpoint: Path,
    on_resume: Callable[[int], None] = lambda epochs: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_batch: Callable[[Batch], None] = lambda batch: None,
    on_stop: Callable[[Stopped], None] = lambda stopped: None,
) -> History:
    """Train a network, going on from its checkpoint if there is one.

    Args:
        network: From `models.networks.build_network`; its weights change.
        loss: From `training.losses.build_loss`, or `Losses` of such.
        plan: What to train with.
        checkpoint: Written after every epoch; the caller removes it.
        on_resume: Called with how many epochs a checkpoint spares.
        on_epoch: Called after every epoch once its checkpoint is written.
        on_batch: Called after every batch.
        on_stop: Called where training ends before its last epoch.

    Returns:
        The mean losses of every epoch.

    Raises:
        CheckpointError: The checkpoint is damaged.
        Diverged: The loss is no longer a number.
    """
    examined = compile_network(network, loss, plan.training)
    runner = choose_runner(network, plan.cluster)
    examiner = WindowRunner(examined, is_training=False)
    cluster = plan.cluster
    progress = share_progress(checkpoint, network, cluster)
    losses, validation, best = progress
    if losses:
        on_resume(len(losses))
    for epoch in range(len(losses), plan.training.epochs):
        if should_stop(validation, plan.training.patience):
            break
        started = time.monotonic()
        loss, events = train_epoch(runner, network, plan, epoch, on_batch)
        losses.append(loss)
        validation.append(agree(validate(examiner, plan), cluster))
        if plan.training.patience and find_best(validation) == epoch:
            best[:] = [np.asarray(variable).copy() for variable in network.variables]
        save_progress(checkpoint, network, progress, cluster)
        seconds = time.monotonic() - started
        total = plan.training.epochs
        on_epoch(Epoch(epoch + 1, total, loss, seconds, validation[-1], events))
    if len(losses) < plan.training.epochs:
        on_stop(Stopped(len(losses), find_best(validation) + 1))
    for variable, value in zip(network.variables, best, strict=False):
        variable.assign(value)
    return History(losses, validation)


def compile_network(
    network: keras.Model, loss: Any, training: TrainingConfig
) -> keras.Model:
    """Give a network its optimizer and loss.

    Returns:
        A network that shares its layers, to be measured: its loss is the one of
        validation.
    """
    losses = loss if isinstance(loss, Losses) else Losses(loss, loss)
    optimizer = keras.optimizers.Adam(
        clipnorm=training.clip_norm or None,
        global_clipnorm=training.clip_global_norm or None,
    )
    network.compile(optimizer, loss=losses.training)
    network.optimizer.build(network.trainable_variables)
    if losses.validation is losses.training:
        return network
    examined = keras.Model(network.input, network.output)
    examined.compile(loss=losses.validation)
    return examined


def find_best(validation: list[float]) -> int:
    """Return the first epoch with the lowest validation loss, counted from 0."""
    return int(np.argmin(np.nan_to_num(validation, nan=np.inf, posinf=np.inf)))


def should_stop(validation: list[float], patience: int | None) -> bool:
    """Return whether the validation loss has not fallen for `patience` epochs.

    Reference: Prechelt, Early Stopping - But When?, in: Neural Networks: Tricks of the
    Trade, 1998, doi 10.1007/3-540-49430-8_3.
    """
    if not patience or not validation:
        return False
    return len(validation) - 1 - find_best(validation) >= patience


def validate(runner: WindowRunner, plan: Plan) -> float:
    """Return the mean loss of an event of the validation part; NaN without one."""
    if plan.validation is None or not plan.validation.weights.any():
        return math.nan
    rng = np.random.default_rng(plan.seed)  # the order does not matter
    training = plan.training
    batches = Batches(plan.validation, training.batch_size, rng, training.bptt)
    return float(np.mean([runner.run(window) for window in batches]))


def train_epoch(
    runner: WindowRunner | SharedRunner,
    network: keras.Model,
    plan: Plan,
    epoch: int,
    on_batch: Callable[[Batch], None] = lambda batch: None,
) -> tuple[float, int]:
    """Pass once over an epoch's examples.

    Returns:
        The mean loss of an event, and how many events there were.

    Raises:
        Diverged: The loss is no longer a number; no checkpoint holds such weights.
    """
    rng = np.random.default_rng((plan.seed, epoch))
    rank = plan.cluster.task.rank if plan.cluster else 0
    seed_dropout(network, plan.seed, epoch, rank)
    training = plan.training
    examples = plan.draw_epoch(rng)
    losses, sizes = [], []
    # One at a time: all of them at once would be the epoch again, padded.
    batches = Batches(examples, training.batch_size, rng, training.bptt)
    for k, window in enumerate(batches):
        done = (epoch + k / batches.count) / training.epochs
        network.optimizer.learning_rate = find_rate(training, done)
        losses.append(runner.run(window))
        weights = window.examples.weights
        sizes.append(weights.size)
        share = (epoch + (k + 1) / batches.count) / training.epochs
        on_batch(Batch(share, int(np.count_nonzero(weights)), losses[-1]))
    # Keras divides a batch's loss by the number of its weights, with its padding.
    loss = float(np.dot(losses, sizes) / examples.weights.sum(dtype=np.float64))
    if isinstance(examples, Sequences):
        loss = float(np.mean(losses))  # the weights allow for it already
    if not math.isfinite(loss):
        raise Diverged(
            f"the loss is {loss} in epoch {epoch + 1}. Lower training.learning_rate "
            f"(now {training.learning_rate})."
        )
    return loss, int(np.count_nonzero(examples.weights))


def seed_dropout(network: keras.Model, seed: int, epoch: int, rank: int = 0) -> None:
    """Begin an epoch's dropout from (seed, epoch, layer), whatever ran before it.

    Other workers than the chief, of rank 0, draw others.
    """
    spawn_key = (rank,) if rank else ()
    layers = [one for one in network.layers if isinstance(one, keras.layers.Dropout)]
    for k, layer in enumerate(layers):
        state = np.random.SeedSequence(
            (seed, epoch, k), spawn_key=spawn_key
        ).generate_state(2)
        layer.seed_generator.state.assign(state)
