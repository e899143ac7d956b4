"""Find the weights: a fixed number of epochs, the same weights for the same seed.

Everything random in an epoch, dropout too, follows from (seed, epoch), so a run that
was killed and resumed computes what an uninterrupted one does, bit for bit. Not
EarlyStopping: its patience depends on noise, where a rate decayed to zero simply ends.
Does not know where examples come from, nor what becomes of the network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from models.heads import pinball
from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import TrainingConfig
from training.data.dataset import Array, Examples, Sequences
from training.errors import Diverged

# Longer gradients than this come from rare events met early; the field's usual bound.
MAX_GRADIENT_NORM = 1.0


class Batch(NamedTuple):
    """One finished batch, for whoever watches.

    Args:
        share: Of the training that is done, 0 to 1.
        events: That it had.
        loss: Its loss.
    """

    share: float
    events: int
    loss: float


class Epoch(NamedTuple):
    """One finished epoch, for whoever watches.

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
    """What to train with.

    Args:
        draw_epoch: Returns an epoch's examples.
        training: Epochs, batch size and learning rate.
        seed: From which every choice follows.
        validation: Never trained on; its loss is measured after every epoch.
    """

    draw_epoch: Callable[[np.random.Generator], Examples | Sequences]
    training: TrainingConfig
    seed: int
    validation: Sequences | None = None


class History(NamedTuple):
    """Mean loss of an event, by epoch.

    Args:
        losses: Of training.
        validation: Of the validation part; NaN without one.
    """

    losses: list[float]
    validation: list[float]


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
) -> History:
    """Train a network, going on from its checkpoint if there is one.

    Args:
        network: From `models.networks.build_network`; its weights change.
        loss: From `build_loss`.
        plan: What to train with.
        checkpoint: Written after every epoch; the caller removes it.
        on_resume: Told how many epochs a checkpoint spares.
        on_epoch: Called after every epoch once its checkpoint is written.
        on_batch: Called after every batch.

    Returns:
        The mean losses of every epoch.

    Raises:
        CheckpointError: The checkpoint is damaged.
        Diverged: The loss is no longer a number.
    """
    network.compile(keras.optimizers.Adam(clipnorm=MAX_GRADIENT_NORM), loss=loss)
    network.optimizer.build(network.trainable_variables)
    losses, validation = history = History(*load_checkpoint(checkpoint, network))
    if losses:
        on_resume(len(losses))
    for epoch in range(len(losses), plan.training.epochs):
        started = time.monotonic()
        loss, events = train_epoch(network, plan, epoch, on_batch)
        losses.append(loss)
        validation.append(validate(network, plan))
        save_checkpoint(checkpoint, network, *history)
        seconds = time.monotonic() - started
        total = plan.training.epochs
        on_epoch(Epoch(epoch + 1, total, loss, seconds, validation[-1], events))
    return history


def validate(network: keras.Model, plan: Plan) -> float:
    """Return the mean loss of an event of the validation part; NaN without one."""
    if plan.validation is None or not plan.validation.weights.any():
        return math.nan
    rng = np.random.default_rng(plan.seed)  # the order does not matter
    batches = cut_batches(plan.validation, plan.training.batch_size, rng)
    return float(
        np.mean([run_batch(network, network.test_on_batch, one) for one in batches])
    )


def train_epoch(
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
    seed_dropout(network, plan.seed, epoch)
    examples = plan.draw_epoch(rng)
    count = math.ceil(len(examples.lengths) / plan.training.batch_size)
    losses, sizes = [], []
    # One at a time: all of them at once would be the epoch again, padded.
    batches = cut_batches(examples, plan.training.batch_size, rng)
    for k, batch in enumerate(batches):
        done = (epoch + k / count) / plan.training.epochs
        network.optimizer.learning_rate = decay(plan.training.learning_rate, done)
        losses.append(run_batch(network, network.train_on_batch, batch))
        sizes.append(batch.weights.size)
        share = (epoch + (k + 1) / count) / plan.training.epochs
        on_batch(Batch(share, int(np.count_nonzero(batch.weights)), losses[-1]))
    # Keras divides a batch's loss by the number of its weights, with its padding.
    loss = float(np.dot(losses, sizes) / examples.weights.sum(dtype=np.float64))
    if isinstance(examples, Sequences):
        loss = float(np.mean(losses))  # the weights allow for it already
    if not math.isfinite(loss):
        raise Diverged(
            f"the loss is {loss} in epoch {epoch + 1}. Lower training.learning_rate "
            f"(now {plan.training.learning_rate})."
        )
    return loss, int(np.count_nonzero(examples.weights))


def run_batch(network: keras.Model, run: Callable[..., Any], batch: Examples) -> float:
    """Train or test a network on a batch, and return its loss: of all heads together.

    Args:
        network: With one output or several.
        run: Its `train_on_batch` or `test_on_batch`.
        batch: The examples.
    """
    sequences, targets, weights = batch
    if not isinstance(network.output, dict):
        return float(run(sequences, targets, sample_weight=weights))
    names = list(network.output)
    total, *_ = run(
        sequences,
        {name: targets[..., k] for k, name in enumerate(names)},
        sample_weight={name: weights[..., k] for k, name in enumerate(names)},
    )
    return float(total)


def seed_dropout(network: keras.Model, seed: int, epoch: int) -> None:
    """Begin an epoch's dropout from (seed, epoch, layer), whatever ran before it."""
    layers = [one for one in network.layers if isinstance(one, keras.layers.Dropout)]
    for k, layer in enumerate(layers):
        state = np.random.SeedSequence((seed, epoch, k)).generate_state(2)
        layer.seed_generator.state.assign(state)


def decay(learning_rate: float, done: float) -> float:
    """Lower a learning rate along half a cosine.

    Args:
        learning_rate: At the start.
        done: Share of the training behind, 0 to 1.

    Returns:
        learning_rate * (1 + cos(pi * done)) / 2

    Reference: Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm
    Restarts, ICLR 2017, https://arxiv.org/abs/1608.03983.
    """
    return learning_rate * (1 + math.cos(math.pi * done)) / 2


def cut_batches(
    examples: Examples | Sequences, batch_size: int, rng: np.random.Generator
) -> Iterator[Examples]:
    """Yield batches in random order, sequences of like length together.

    A batch ends with its longest sequence's last weighted timestep, so short sequences
    cost little; and since the loss is a mean per batch, the first timesteps, of which
    short batches consist, are learnt as well as the later ones.

    Of `Sequences` every event weighs the same instead: a batch's loss is divided by
    what a batch has on average, not by its own size with its padding. Otherwise an
    event of a short case weighs many times one of a long one, and an end too much.
    """
    lengths = examples.lengths
    order = rng.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    starts = rng.permutation(np.arange(0, len(order), batch_size))
    for start in starts:
        batch = examples.take(order[start : start + batch_size])
        if isinstance(examples, Sequences):
            usual = count_weights(examples.weights) / len(starts)
            # The loss that Keras computes is divided by the number of all weights.
            size = math.prod(batch.weights.shape[:2])
            batch = batch._replace(weights=batch.weights * (size / usual))
        yield batch


def count_weights(weights: Array) -> Any:
    """Sum the weights of sequences: a number, or float32 of shape (heads,)."""
    if weights.ndim == 1:
        return float(weights.sum())
    return np.maximum(weights.sum(axis=0), 1).astype(np.float32)


def build_loss(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    """Choose the loss of an output: cross-entropy, or an error for forecasts.

    That is the absolute error, or the pinball loss of quantiles, in standard
    deviations of the field, so that one learning rate suits series of any unit. Of
    several heads it is a loss by the name of each output.
    """
    if others := outputs.get("heads"):
        alone = {**outputs, "heads": ()}
        return {one["name"]: build_loss(inputs, one) for one in (alone, *others)}
    if outputs["kind"] == "duration":
        return build_duration_loss(outputs)
    if outputs["kind"] != "forecast":
        return "sparse_categorical_crossentropy"
    field = next(f for f in inputs["fields"] if f["name"] == outputs["field"])
    quantiles = outputs.get("quantiles")

    def error(target: Any, forecast: Any) -> Any:
        if quantiles:
            return pinball(target, forecast, quantiles) / field["std"]
        return ops.mean(ops.abs(target - forecast), axis=-1) / field["std"]

    return error


def build_duration_loss(outputs: Mapping[str, Any]) -> Any:
    """Make the pinball loss of ln(1 + seconds), in standard deviations of it."""

    def error(target: Any, made: Any) -> Any:
        target, made = (
            ops.log1p(x if len(x.shape) == 3 else x[..., None]) for x in (target, made)
        )  # (batch, timesteps, 1) and (batch, timesteps, quantiles)
        loss = pinball(target, made[..., None, :], outputs["quantiles"])
        return loss / outputs["std"]

    return error
