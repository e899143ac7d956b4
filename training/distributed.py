"""One network trained by several processes: `MultiWorkerMirroredStrategy`.

All workers draw the same batches; each computes the gradients of its share of the rows,
and the strategy adds them up. Every worker has all weights, and applies the same sum:
the network is the one that a single process trains, but for the order of float32 sums.
The gradient of an embedding keeps one entry per event: Adam squares each of them, and
not their sum, so adding them up first would train other weights. Of dropout every
worker draws its own. Weights, losses and the epoch to resume from are those of the
chief.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.batches import Window
from training.checkpoint import (
    Progress,
    checkpointed,
    load_checkpoint,
    save_checkpoint,
)
from training.cluster import Task
from training.data.dataset import Array, Examples
from training.errors import ConfigError, TrainingError
from training.rendezvous import describe_missing
from training.windows import WindowRunner, weigh_outputs

EXIT_STATUS = 2  # as of every error that the user can fix


class Cluster:
    """The workers of a training, as one of them sees them.

    Args:
        task: From `training.cluster.read_task`; it has met the others.
        timeout_seconds: How long to wait for the other workers.
    """

    def __init__(self, task: Task, timeout_seconds: float) -> None:
        self.task, self._timeout_seconds = task, timeout_seconds
        self._deadline = float("inf")
        threading.Thread(target=self._watch, daemon=True).start()
        with self._waiting():
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self._sum_up = tf.function(self._reduce, reduce_retracing=True)
        self.add([np.zeros(1, np.float32)])  # all are there

    def add(self, arrays: Sequence[Any]) -> list[Any]:
        """Add arrays up over all workers; waits for the others.

        Args:
            arrays: Of the same shapes in all workers. `tf.IndexedSlices` are
                concatenated in the order of ranks: their sum, with repeated indices.

        Raises:
            TrainingError: A worker has stopped.
        """
        tensors = [
            one if isinstance(one, tf.IndexedSlices) else tf.convert_to_tensor(one)
            for one in arrays
        ]
        try:
            with self._waiting():
                return list(self._sum_up(tensors))
        except tf.errors.OpError as error:
            raise TrainingError(self._describe(None)) from error

    def share(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the chief's arrays; those of others have the same shapes."""
        # float64 has the values of float32 and of small whole numbers.
        sent = [np.asarray(one, np.float64) for one in arrays]
        if not self.task.is_chief:
            sent = [np.zeros_like(one) for one in sent]
        return [np.asarray(one) for one in self.add(sent)] if sent else []

    def compare(self, fingerprint: str) -> None:
        """Refuse to train something else than the chief.

        Args:
            fingerprint: Of configuration, data and packages, in hexadecimal.

        Raises:
            ConfigError: The chief's is another one.
        """
        digits = np.array([int(digit, 16) for digit in fingerprint])
        (chief,) = self.share([digits])
        if not np.array_equal(chief, digits):
            raise ConfigError(
                f"this worker would train the run {fingerprint} and the chief "
                f"{''.join(f'{int(k):x}' for k in chief)}; expected the same data, "
                "configuration and package versions. Give all workers the same."
            )

    def take_share(self, examples: Examples) -> Examples:
        """Take this worker's rows of a batch: as many as the others, padded."""
        count = len(self.task.workers)
        rows = np.arange(self.task.rank, len(examples.weights), count)
        missing = -(-len(examples.weights) // count) - len(rows)
        shares = (array[rows] for array in examples)
        padding = [(0, missing)]
        return Examples(*(np.pad(a, padding + [(0, 0)] * (a.ndim - 1)) for a in shares))

    def _reduce(self, tensors: list[Any]) -> Any:
        def reduce(own: list[Any]) -> Any:
            context = tf.distribute.get_replica_context()
            # On the replica's device.
            placed = tf.nest.map_structure(tf.identity, own, expand_composites=True)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, placed)

        return self._strategy.run(reduce, args=(tensors,))

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Limit the time that the others have."""
        self._deadline = time.monotonic() + self._timeout_seconds
        try:
            yield
        finally:
            self._deadline = float("inf")

    def _watch(self) -> None:
        """End the process when the others take too long; nothing else can stop it.

        TensorFlow waits inside of a call that no exception reaches.
        """
        while time.monotonic() < self._deadline:
            time.sleep(0.2)
        sentence = self._describe(self._timeout_seconds)
        print(f"error: {sentence}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(EXIT_STATUS)

    def _describe(self, timeout_seconds: float | None) -> str:
        others = set(range(len(self.task.workers))) - {self.task.rank}
        return describe_missing(self.task, others, timeout_seconds)


class SharedRunner:
    """Trains a network on windows together with the other workers.

    Args:
        network: Compiled.
        cluster: The workers.
    """

    def __init__(self, network: keras.Model, cluster: Cluster) -> None:
        self._network, self._cluster = network, cluster
        self._step = tf.function(self._differentiate, reduce_retracing=True)
        self._apply = tf.function(
            lambda gradients: network.optimizer.apply(
                gradients, network.trainable_variables
            )
        )

    def run(self, window: Window) -> float:
        """Change the weights by a window; return its loss over all workers."""
        share = self._cluster.take_share(window.examples)
        size = float(np.prod(window.examples.weights.shape[:2]))
        tensors = map(tf.convert_to_tensor, share)
        loss, *gradients = self._step(*tensors, tf.constant(size))
        loss, *gradients = self._cluster.add([loss, *gradients])
        self._apply(gradients)
        return float(loss)

    def _differentiate(
        self, sequences: Any, targets: Any, weights: Any, size: Any
    ) -> list[Any]:
        """Compute the loss and its gradients, by the size of the whole batch."""
        with tf.GradientTape() as tape:
            made = self._network(sequences, training=True)
            loss = weigh_outputs(self._network, made, targets, weights)
            own = tf.cast(tf.shape(weights)[0] * tf.shape(weights)[1], size.dtype)
            loss = loss * own / size
        variables = [one.value for one in self._network.trainable_variables]
        return [loss, *tape.gradient(loss, variables)]


def choose_runner(
    network: keras.Model, cluster: Cluster | None
) -> WindowRunner | SharedRunner:
    """Train in this process alone, or together with others."""
    if cluster is None:
        return WindowRunner(network, is_training=True)
    return SharedRunner(network, cluster)


def share_progress(
    checkpoint: Path, network: keras.Model, cluster: Cluster | None
) -> Progress:
    """Continue from a checkpoint: of several workers from the chief's.

    Raises:
        CheckpointError: The checkpoint is damaged.
    """
    if cluster is None:
        return load_checkpoint(checkpoint, network)
    progress = Progress([], [], [])
    if cluster.task.is_chief:
        progress = load_checkpoint(checkpoint, network)
    epochs, num_best = (
        int(n.item())
        for n in cluster.share(
            [np.array([len(x)]) for x in (progress.losses, progress.best)]
        )
    )
    losses, validation = cluster.share(
        [
            np.resize(np.array([*x, 0.0]), epochs)
            for x in (progress.losses, progress.validation)
        ]
    )
    best = progress.best or [np.zeros(v.shape) for v in network.variables[:num_best]]
    best = [one.astype(np.float32) for one in cluster.share(best)]
    variables = checkpointed(network)
    values = cluster.share([np.asarray(one) for one in variables])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value.astype(variable.dtype))
    return Progress(losses.tolist(), validation.tolist(), best)


def save_progress(
    checkpoint: Path, network: keras.Model, progress: Progress, cluster: Cluster | None
) -> None:
    """Write a checkpoint: of several workers the chief does."""
    if cluster is None or cluster.task.is_chief:
        save_checkpoint(checkpoint, network, progress)


def agree(figure: float, cluster: Cluster | None) -> float:
    """Return the chief's figure, so that all workers stop at the same epoch."""
    return figure if cluster is None else cluster.share([np.array([figure])])[0].item()
