"""A time series to forecast: schemas, normalisation, and how an epoch is cut.

The first rows are trained on, the last are held out; mean and standard deviation come
from the former alone. Reading the file is `training.data.csv_series`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from models.schemas import DEFAULT_TIME_FEATURES, TIME_FEATURES
from training.data.csv_series import Series, read_series
from training.data.dataset import Array, Dataset, Examples
from training.errors import DataError
from training.sections import ONCE, RISING, between, each, inside, one_of

# More timesteps would make the export's comparison slow and prove nothing further.
REAL_TIMESTEPS = 64


@dataclass(frozen=True)
class SeriesOptions:
    """The `[data]` keys of source `series`."""

    source: Annotated[str, one_of("series")]
    file: str
    time_column: str
    value_column: str
    horizon: Annotated[int, between(1, 1000)]
    held_out: Annotated[float, inside(0, 1)]
    window: Annotated[int, between(2, 100_000)]
    stride: Annotated[int, between(1, 100_000)]
    season_rows: Annotated[dict[str, int] | None, each(between(1, 1_000_000))] = None
    quantiles: Annotated[tuple[float, ...] | None, each(inside(0, 1)), RISING] = None
    time_features: Annotated[tuple[str, ...], each(one_of(*TIME_FEATURES)), ONCE] = (
        DEFAULT_TIME_FEATURES
    )


class HeldOutSeries(NamedTuple):
    """The whole series and where its held-out part begins.

    Args:
        sequence: float32 of shape (rows, 3): days, seconds of the day, value.
        values: float64 of shape (rows,).
        start: First held-out row.
        horizon: How many rows ahead to forecast.
        season_rows: Length of each season in rows, for the baselines.
        quantiles: Which quantiles the forecast has; empty for one value.
    """

    sequence: Array
    values: Array
    start: int
    horizon: int
    season_rows: dict[str, int]
    quantiles: tuple[float, ...] = ()


def load_series(options: SeriesOptions, seed: int) -> Dataset:
    """Read a series and divide it.

    Raises:
        DataError: The file cannot be read, is too short, or its values are all equal.
    """
    del seed  # the data are what they are
    path = Path(options.file)
    series = read_series(path, options.time_column, options.value_column)
    start = split_row(path, series, options)
    mean, std = measure_scale(path, series.values[:start])
    columns = (series.days, series.seconds, series.values)
    sequence = np.stack(columns, axis=-1).astype(np.float32)  # (rows, 3)
    held_out = HeldOutSeries(
        sequence,
        series.values,
        start,
        options.horizon,
        options.season_rows or {},
        options.quantiles or (),
    )
    return Dataset(
        inputs=input_schema(mean, std, options.time_features),
        outputs=output_schema(options.horizon, options.quantiles),
        draw_epoch=lambda rng: cut_windows(sequence[:start], options, rng),
        held_out=held_out,
        real=sequence[None, :REAL_TIMESTEPS],
        facts={
            "source": "series",
            "fingerprint": series.fingerprint,
            "rows": len(sequence),
            "held_out_rows": len(sequence) - start,
            "gaps": series.gaps,
        },
    )


def input_schema(
    mean: float, std: float, time_features: Sequence[str] = DEFAULT_TIME_FEATURES
) -> dict[str, Any]:
    """Describe one event: `{"time": ..., "value": ...}`."""
    time: dict[str, Any] = {"name": "time", "type": "time"}
    # The default goes without saying: a version's fingerprint stays what it was.
    if tuple(time_features) != DEFAULT_TIME_FEATURES:
        time["features"] = list(time_features)
    value = {"name": "value", "type": "number", "mean": mean, "std": std}
    return {"kind": "record", "fields": [time, value]}


def output_schema(
    horizon: int, quantiles: Sequence[float] | None = None
) -> dict[str, Any]:
    """Describe the answer: the next values or their quantiles, at every timestep."""
    name = "forecast"
    levels = {"quantiles": list(quantiles)} if quantiles else {}
    return {"kind": name, "name": name, "field": "value", "horizon": horizon, **levels}


def split_row(path: Path, series: Series, options: SeriesOptions) -> int:
    """Find the first held-out row.

    Raises:
        DataError: A part is too short for a window or a forecast, or all zero.
    """
    rows, horizon = len(series.values), options.horizon
    start = int(rows * (1 - options.held_out))
    if start < options.window + horizon or rows - start <= horizon:
        raise DataError(
            f"{path} has {rows} rows, {start} of them to train on and {rows - start} "
            f"held out; expected at least {options.window + horizon} (data.window + "
            f"data.horizon) and {horizon + 1}. Bring more rows or lower data.window."
        )
    longest = max((options.season_rows or {"none": 0}).values())
    if longest + horizon > start:
        raise DataError(
            f"{path} has {start} rows before the held-out part; a season of {longest} "
            "rows needs more. Leave it out of data.season_rows."
        )
    if not series.values[start:].any():
        raise DataError(
            f"{path}: the last {rows - start} values are all 0; an error relative to "
            "them has no meaning. Raise data.held_out or check data.value_column."
        )
    return start


def measure_scale(path: Path, values: Array) -> tuple[float, float]:
    """Return mean and standard deviation of the training part.

    Raises:
        DataError: All values are equal, so there is nothing to forecast.
    """
    mean, std = float(values.mean()), float(values.std())
    if not std > 0:
        raise DataError(
            f"{path}: all {len(values)} values to train on are {values[0]}; expected "
            "values that change. Check data.value_column."
        )
    return mean, std


def cut_windows(
    sequence: Array, options: SeriesOptions, rng: np.random.Generator
) -> Examples:
    """Cut the training part into windows, from another offset every epoch.

    Args:
        sequence: float32 of shape (rows, columns), the value last.
        options: Window length, distance between windows, horizon.
        rng: Draws the offset.

    Returns:
        Windows and, at each timestep, the next `horizon` values. All timesteps count,
        so the network also learns to forecast with little behind it.
    """
    window, horizon = options.window, options.horizon
    last = len(sequence) - window - horizon
    starts = np.arange(
        rng.integers(0, min(options.stride, last + 1)), last + 1, options.stride
    )
    rows = starts[:, None] + np.arange(window)  # (batch, timesteps)
    ahead = rows[..., None] + np.arange(1, horizon + 1)  # (batch, timesteps, horizon)
    return Examples(
        sequence[rows], sequence[ahead, -1], np.ones(rows.shape, np.float32)
    )
