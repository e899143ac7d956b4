"""Batches of an epoch: sequences of like length together, padded one batch at a time.

Where sequences are longer than a window, a batch is one window after another: rows that
continue keep their state. This module does not train.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array, Examples, Sequences


class Window(NamedTuple):
    """Rows of one update of the weights.

    Args:
        examples: Rows side by side.
        lengths: int32 of shape (batch,): timesteps of each row without padding.
        carried: Place of each row in the window before this one; None where it is the
            first of its batch.
        continues: Whether another window of the batch follows.
    """

    examples: Examples
    lengths: Array
    carried: Array | None
    continues: bool


class Batches:
    """Batches in random order, sequences of like length together.

    A batch ends with its longest sequence's last weighted timestep, so short sequences
    cost little; and since the loss is a mean per batch, the first timesteps, of which
    short batches consist, are learnt as well as the later ones.

    Of `Sequences` every event weighs the same instead: a batch's loss is divided by
    what a batch has on average, not by its own size with its padding. Otherwise an
    event of a short case weighs many times one of a long one, and an end too much.

    Args:
        examples: An epoch.
        batch_size: Sequences per batch.
        rng: Draws the order.
        bptt: Longest window; None for whole sequences. Pieces are joined for it.

    Attributes:
        count: Windows of the epoch, each of which is an update.
    """

    def __init__(
        self,
        examples: Examples | Sequences,
        batch_size: int,
        rng: np.random.Generator,
        bptt: int | None = None,
    ) -> None:
        if bptt and isinstance(examples, Sequences):
            examples = examples.join()
        self._examples, self._bptt = examples, bptt
        self._lengths = examples.lengths
        self._rows = draw_batches(self._lengths, batch_size, rng)
        self.count = sum(len(self._list_starts(rows)) for rows in self._rows)
        self._usual: Any = None
        if isinstance(examples, Sequences):
            self._usual = count_weights(examples.weights) / self.count

    def __iter__(self) -> Iterator[Window]:
        """Yield windows, those of a batch in their order."""
        for rows in self._rows:
            starts, before = self._list_starts(rows), rows
            for start in starts:
                # The first window has all rows, also those without any weight.
                kept = rows[self._lengths[rows] > start] if start else rows
                carried = np.flatnonzero(np.isin(before, kept)) if start else None
                yield self._cut(kept, start, carried, continues=start < starts[-1])
                before = kept

    def _list_starts(self, rows: Array) -> range:
        """List where the windows of a batch begin."""
        longest = max(1, int(self._lengths[rows].max()))
        return range(0, longest, self._bptt or longest)

    def _cut(
        self, rows: Array, start: int, carried: Array | None, *, continues: bool
    ) -> Window:
        """Cut one window of these rows."""
        stop = start + self._bptt if self._bptt else None
        batch = self._examples.take(rows, start, stop)
        if self._usual is not None:
            # The loss that Keras computes is divided by the number of all weights.
            size = math.prod(batch.weights.shape[:2])
            batch = batch._replace(weights=batch.weights * (size / self._usual))
        lengths = np.clip(self._lengths[rows] - start, 0, batch.weights.shape[1])
        return Window(batch, lengths.astype(np.int32), carried, continues)


def draw_batches(
    lengths: Array, batch_size: int, rng: np.random.Generator
) -> list[Array]:
    """Draw which sequences are a batch, and the order of the batches."""
    order = rng.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    starts = rng.permutation(np.arange(0, len(order), batch_size))
    return [order[start : start + batch_size] for start in starts]


def count_weights(weights: Array) -> Any:
    """Sum the weights of sequences: a number, or float32 of shape (heads,)."""
    if weights.ndim == 1:
        return float(weights.sum())
    return np.maximum(weights.sum(axis=0), 1).astype(np.float32)
