"""Split of series: at one time for all of them, rows before it trained on.

A rolling-origin backtest divides the held-out part into blocks: for each, all rows
before it are trained on and its own are held out (Tashman, Out-of-sample tests of
forecasting accuracy, International Journal of Forecasting 16(4), 2000,
doi 10.1016/S0169-2070(00)00065-0). Knows times, no networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.splits import count_share
from training.errors import DataError


class Shares(NamedTuple):
    """Shares of a split of series.

    Args:
        held_out: Share of all rows, the last ones.
        validation: Share of the rows before those.
        origins: Blocks of the held-out part.
        origin: The one that is held out, counted from 0.
    """

    held_out: float
    validation: float = 0.0
    origins: int = 1
    origin: int = 0


class Bounds(NamedTuple):
    """Rows of one series: trained on until `train`, held out from `start` to `stop`."""

    train: int
    start: int
    stop: int

    def is_scored(self, horizon: int) -> bool:
        """Return whether enough is held out to measure a forecast."""
        return self.stop - self.start > horizon


def find_bounds(clocks: Sequence[Array], shares: Shares) -> list[Bounds]:
    """Divide all series at the same times.

    Args:
        clocks: Of each series, its times, rising.
        shares: How much is held out.
    """
    pooled = np.sort(np.concatenate(clocks))
    num_held_out = count_share(len(pooled), shares.held_out)
    first = len(pooled) - num_held_out
    start, stop = (
        first + num_held_out * block // shares.origins
        for block in (shares.origin, shares.origin + 1)
    )
    train = start
    if shares.validation:
        train = start - count_share(start, shares.validation)
    edges = [pooled[place] for place in (train, start, stop) if place < len(pooled)]
    bounds = []
    for own in clocks:
        places = [int(np.searchsorted(own, edge)) for edge in edges]
        places += [len(own)] * (3 - len(places))
        bounds.append(Bounds(*places))
    return bounds


def check_bounds(
    path: Path,
    values: Sequence[Array],
    bounds: Sequence[Bounds],
    window: int,
    horizon: int,
    season: int,
) -> None:
    """Refuse series too short to train on or to measure, or without meaning.

    Raises:
        DataError: No series is long enough, a season is too long, or all is zero.
    """
    longest = max(bounds, key=lambda bound: bound.train)
    scored = [bound for bound in bounds if bound.is_scored(horizon)]
    if longest.train < window + horizon or not scored:
        rows = longest.stop
        raise DataError(
            f"{path} has {rows} rows, {longest.train} of them to train on and "
            f"{rows - longest.start} held out; expected at least {window + horizon} "
            f"(data.window + data.horizon) and {horizon + 1}. Bring more rows or lower "
            "data.window."
        )
    shortest = min(bound.start for bound in scored)
    if season + horizon > shortest:
        raise DataError(
            f"{path} has {shortest} rows before the held-out part; a season of "
            f"{season} rows needs more. Leave it out of data.season_rows."
        )
    for own, bound in zip(values, bounds, strict=True):
        held_out = own[bound.start : bound.stop]
        if bound.is_scored(horizon) and not held_out.any():
            raise DataError(
                f"{path}: the last {len(held_out)} values are all 0; an error relative "
                "to them has no meaning. Raise data.held_out or check "
                "data.value_column."
            )
