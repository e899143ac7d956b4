"""The validation part of series as sequences with a loss measured while training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data.dataset import Array, Sequences


def ask_validation(
    sequences: Sequence[Array],
    edges: Sequence[tuple[int, int]],
    *,
    window: int,
    horizon: int,
    value: int,
) -> Sequences | None:
    """Ask at each validation row for the next values; None where there is no such row.

    Args:
        sequences: Of each series, float32 of shape (rows, columns).
        edges: Of each series, its first validation row and the one after its last.
        window: Rows before the part that are shown, and do not count.
        horizon: Values to forecast.
        value: Column of the value.
    """
    parts = [
        ask_one(sequence, first, last, window, horizon, value)
        for sequence, (first, last) in zip(sequences, edges, strict=True)
        if first < last and last - horizon >= first
    ]
    if not parts:
        return None
    inputs, targets, weights = (
        np.concatenate(arrays) for arrays in zip(*parts, strict=True)
    )
    lengths = [len(part[0]) for part in parts]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Sequences(inputs, targets, weights, offsets)


def ask_one(
    sequence: Array, first: int, last: int, window: int, horizon: int, value: int
) -> tuple[Array, Array, Array]:
    """Make inputs, targets and weights of one series.

    The last row trained on counts too: training has seen none of the values after it.
    """
    rows = np.arange(max(0, first - window), last - horizon)
    ahead = rows[:, None] + np.arange(1, horizon + 1)  # (rows, horizon)
    counted = (rows >= first - 1).astype(np.uint8)
    return sequence[rows], sequence[ahead, value], counted
