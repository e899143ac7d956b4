"""Data of a source as training takes them: schemas, examples, held-out data.

Does not know where the data came from, nor anything of TensorFlow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Of the sequences that an export is compared on.
REAL_LENGTH, NUM_REAL = 50, 8


class Examples(NamedTuple):
    """Sequences to learn from, padded at their ends to one length.

    Args:
        sequences: int32 of shape (batch, timesteps), or float32 of shape
            (batch, timesteps, columns).
        targets: int32 labels of shape (batch, timesteps), or float32 values of shape
            (batch, timesteps, horizon).
        weights: float32 of shape (batch, timesteps); 0 where there is nothing to learn,
            as in padding.
    """

    sequences: Array
    targets: Array
    weights: Array

    @property
    def lengths(self) -> Array:
        """One past each row's last weighted timestep; 0 without one."""
        positions = np.arange(1, self.weights.shape[1] + 1)
        lengths: Array = np.where(self.weights > 0, positions, 0).max(axis=1)
        return lengths

    def take(self, rows: Array, start: int = 0, stop: int | None = None) -> Examples:
        """Choose rows and a window of timesteps, cut where the longest row ends."""
        chosen = Examples(*(array[rows] for array in self))
        end = max(1, chosen.lengths.max())
        window = slice(start, end if stop is None else min(end, stop))
        return Examples(*(array[:, window] for array in chosen))

    def pad(self) -> Examples:
        """Return them as they are, as `Sequences` would be padded."""
        return self


class Sequences(NamedTuple):
    """Sequences to learn from, one after the other: no padding until a batch is cut.

    Args:
        inputs: Of shape (rows,), or (rows, columns) for records.
        targets: Of shape (rows,), (rows, horizon), or (rows, heads) of a network with
            several heads.
        weights: Of shape (rows,) or (rows, heads); 0 where there is nothing to learn.
        offsets: int64 of shape (sequences + 1,): sequence k has the rows from
            offsets[k] to offsets[k + 1].
        uncut: Offsets before the sequences were cut into pieces; None where they are
            whole.
    """

    inputs: Array
    targets: Array
    weights: Array
    offsets: Array
    uncut: Array | None = None

    @property
    def lengths(self) -> Array:
        """Rows of each sequence."""
        lengths: Array = np.diff(self.offsets)
        return lengths

    def take(self, rows: Array, start: int = 0, stop: int | None = None) -> Examples:
        """Lay a window of sequences side by side, padded to the longest of them.

        Args:
            rows: Which sequences.
            start: First timestep of the window.
            stop: The one after its last; None for all to the end.

        Returns:
            Indices as int32, all else as float32.
        """
        lengths = self.lengths[rows]
        end = max(1, lengths.max())
        steps = np.arange(start, end if stop is None else min(end, stop))
        is_there = steps < lengths[:, None]  # (batch, timesteps)
        places = np.where(is_there, self.offsets[rows][:, None] + steps, 0)
        inputs, targets = (narrow(a[places]) for a in (self.inputs, self.targets))
        for array in (inputs, targets):
            array[~is_there] = 0
        weights = self.weights[places].astype(np.float32)
        weights[~is_there] = 0
        return Examples(inputs, targets, weights)

    def pad(self) -> Examples:
        """Lay all of them side by side."""
        return self.take(np.arange(len(self.lengths)))

    def cut(self, longest: int) -> Sequences:
        """Cut sequences that are longer than that into pieces."""
        pieces = -(-self.lengths // longest)
        first = np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts = np.repeat(self.offsets[:-1], pieces)
        starts = starts + (np.arange(len(starts)) - first) * longest
        offsets = np.append(starts, self.offsets[-1])
        return self._replace(offsets=offsets, uncut=self.join().offsets)

    def join(self) -> Sequences:
        """Undo `cut`: sequences are whole again."""
        if self.uncut is None:
            return self
        return self._replace(offsets=self.uncut, uncut=None)


def narrow(array: Array) -> Array:
    """Give numbers the type that networks take."""
    kind = np.int32 if np.issubdtype(array.dtype, np.integer) else np.float32
    return array.astype(kind)


@dataclass(frozen=True)
class Dataset:
    """One source's data, ready to train on and to evaluate with.

    Args:
        inputs: Input schema, as in `models.features`.
        outputs: Output schema, as in `models.networks`.
        draw_epoch: Returns an epoch's sequences, which say how long they are and cut
            batches of themselves; every choice comes from the generator.
        held_out: What the source's evaluation needs; never trained on.
        real: A few real encoded sequences, to check the export with.
        facts: What the manifest says of the data: fingerprint, rows, ...
        baselines: Networks trained on the same examples for comparison: `memoryless`
            (the same network, shown each event alone), `simple rnn` (the same size).
        validation: Of which the loss is measured after every epoch; None without it.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    draw_epoch: Callable[[np.random.Generator], Examples | Sequences]
    held_out: Any
    real: Array
    facts: Mapping[str, Any]
    baselines: tuple[str, ...] = field(default=())
    validation: Sequences | None = None


def choose_real(lengths: Array) -> tuple[Array, int]:
    """Choose the sequences that an export is compared on.

    Args:
        lengths: Of all sequences.

    Returns:
        The first ones that are long enough, or the longest of all short; the number of
        their events to compare.
    """
    cut = np.minimum(lengths, REAL_LENGTH)
    return np.flatnonzero(cut == cut.max())[:NUM_REAL], int(cut.max())


def fingerprint_arrays(*arrays: Array) -> str:
    """Hash arrays with their types and shapes, as hexadecimal SHA-256."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
