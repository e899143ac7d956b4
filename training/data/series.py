"""Time series to forecast: schemas, normalisation, and how an epoch is cut.

The first rows are trained on, the last are held out, all series at one time; means,
standard deviations and names come from the former alone. Reading the file is
`training.data.series_file`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from models.schemas import DEFAULT_TIME_FEATURES, TIME_FEATURES
from training.data.dataset import Array, Dataset, Examples
from training.data.event_log import MISSING_POLICIES
from training.data.series_facts import describe_series, describe_windows
from training.data.series_file import (
    Series,
    SeriesColumns,
    SeriesFile,
    read_series,
    refuse_lost,
)
from training.data.series_splits import Bounds, Shares, check_bounds, find_bounds
from training.data.series_validation import ask_validation
from training.data.series_windows import check_validation, mark_series
from training.errors import ConfigError, DataError
from training.sections import ONCE, RISING, between, each, inside, one_of

# More timesteps would make the export's comparison slow and prove nothing further.
REAL_TIMESTEPS = 64
# Place of the value among the columns, after the two of the time.
VALUE = 2
# Series of a file for which boosted trees are fitted, each by trees of its own.
MAX_BOOSTED = 20


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
    case: str = ""
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    time_format: str = ""
    missing: Annotated[str, one_of(*MISSING_POLICIES)] = "refuse"
    validation: Annotated[float, between(0, 0.9)] = 0.0
    origins: Annotated[int, between(1, 100)] = 1
    origin: Annotated[int, between(0, 99)] = 0
    windows: str = ""


class HeldOutSeries(NamedTuple):
    """A whole series and where its held-out part begins.

    Args:
        sequence: float32 of shape (rows, columns): days, seconds of the day, value,
            further numbers and categories.
        values: float64 of shape (rows,).
        start: First held-out row.
        horizon: How many rows ahead to forecast.
        season_rows: Length of each season in rows, for the baselines.
        quantiles: Which quantiles the forecast has; empty for one value.
        validation: First row that is neither trained on nor held out, if not `start`.
        boosted: Whether boosted trees are fitted to it; there may be many series.
        windows: int32 of shape (rows,): numbers of the labelled windows that rows are
            in, 0 outside; None without labels.
    """

    sequence: Array
    values: Array
    start: int
    horizon: int
    season_rows: dict[str, int]
    quantiles: tuple[float, ...] = ()
    validation: int | None = None
    boosted: bool = True
    windows: Array | None = None


def load_series(options: SeriesOptions, seed: int) -> Dataset:
    """Read series and divide them.

    Raises:
        DataError: The file cannot be read, is too short, or its values are all equal.
    """
    del seed  # the data are what they are
    path = Path(options.file)
    check_validation(options.windows, options.validation)
    file = read_series(path, find_columns(options))
    marks = mark_series(
        path,
        options.windows,
        file,
        options.time_format,
        is_named=bool(options.case),
    )
    bounds = find_bounds([one.clocks for one in file.series], split_shares(options))
    longest = max((options.season_rows or {"none": 0}).values())
    values = [one.values for one in file.series]
    check_bounds(path, values, bounds, options.window, options.horizon, longest)
    fields = input_fields(path, file, bounds, options)
    # Each (rows, columns), up to where its held-out part ends.
    sequences = [
        lay_out(path, one, bound, fields)
        for one, bound in zip(file.series, bounds, strict=True)
    ]
    held_out = hold_out(file, sequences, bounds, marks, options)
    trained = [s[: b.train] for s, b in zip(sequences, bounds, strict=True)]
    trained = [s for s in trained if len(s) >= options.window + options.horizon]
    return Dataset(
        inputs={"kind": "record", "fields": fields},
        outputs=output_schema(options.horizon, options.quantiles),
        draw_epoch=lambda rng: draw_windows(trained, options, rng),
        held_out=held_out[0] if len(file.series) == 1 else held_out,
        validation=ask_validation(
            sequences,
            [(bound.train, bound.start) for bound in bounds],
            window=options.window,
            horizon=options.horizon,
            value=VALUE,
        ),
        real=trained[0][None, :REAL_TIMESTEPS],
        facts={
            **describe_series(file, bounds, options),
            **describe_windows(marks, bounds, options),
        },
    )


def find_columns(options: SeriesOptions) -> SeriesColumns:
    """Read the roles of columns from the options."""
    return SeriesColumns(
        options.time_column,
        options.value_column,
        options.case or None,
        options.numbers,
        options.categories,
        options.missing,
        options.time_format or None,
    )


def split_shares(options: SeriesOptions) -> Shares:
    """Read how to divide from the options.

    Raises:
        ConfigError: There is no such origin.
    """
    if options.origin >= options.origins:
        raise ConfigError(
            f"data.origin is {options.origin}; expected 0 to {options.origins - 1}, as "
            f"data.origins is {options.origins}."
        )
    return Shares(options.held_out, options.validation, options.origins, options.origin)


def hold_out(
    file: SeriesFile,
    sequences: Sequence[Array],
    bounds: Sequence[Bounds],
    marks: Sequence[Array | None],
    options: SeriesOptions,
) -> list[HeldOutSeries]:
    """Hand the series with enough held-out rows to their evaluation.

    Args:
        file: The series.
        sequences: Of each, float32 of shape (rows, columns), from `lay_out`.
        bounds: Of each.
        marks: Of each, int32 of shape (rows,): numbers of labelled windows, or None.
        options: Horizon, seasons and quantiles.
    """
    return [
        HeldOutSeries(
            sequence=sequence,
            values=one.values[: bound.stop],
            start=bound.start,
            horizon=options.horizon,
            season_rows=options.season_rows or {},
            quantiles=options.quantiles or (),
            validation=bound.train if bound.train != bound.start else None,
            boosted=len(file.series) <= MAX_BOOSTED,
            windows=None if marked is None else marked[: bound.stop],
        )
        for sequence, one, bound, marked in zip(
            sequences, file.series, bounds, marks, strict=True
        )
        if bound.is_scored(options.horizon)
    ]


def input_fields(
    path: Path, file: SeriesFile, bounds: Sequence[Bounds], options: SeriesOptions
) -> list[dict[str, Any]]:
    """Describe the fields of a row, fitted on the training parts.

    Raises:
        DataError: A field is named twice, or its values do not change.
    """
    trained = [b.train for b in bounds]
    pairs = list(zip(file.series, trained, strict=True))
    mean, std = measure_scale(path, np.concatenate([s.values[:n] for s, n in pairs]))
    fields = list(input_schema(mean, std, options.time_features)["fields"])
    for k, name in enumerate(options.numbers):
        numbers = np.concatenate([s.numbers[:n, k] for s, n in pairs])
        refuse_lost(f"{path}: data.numbers {name}", numbers)
        own = {"mean": float(numbers.mean()), "std": float(numbers.std()) or 1.0}
        fields.append({"name": name, "type": "number", **own})
    for k, name in enumerate(options.categories):
        codes = np.concatenate([s.categories[:n, k] for s, n in pairs])
        names = [file.names[k][code] for code in np.unique(codes)]
        fields.append({"name": name, "type": "category", "vocabulary": names})
    names = [field["name"] for field in fields]
    if len(set(names)) < len(names):
        raise DataError(
            f"data.numbers and data.categories name {', '.join(names[2:])}; expected "
            "each once, and neither time nor value. Rename the column."
        )
    return fields


def lay_out(
    path: Path, series: Series, bound: Bounds, fields: Sequence[dict[str, Any]]
) -> Array:
    """Lay the columns of a series side by side: float32 of shape (rows, columns).

    Raises:
        DataError: A held-out row has a name that training has not seen.
    """
    columns = [series.days, series.seconds, series.values, *series.numbers.T]
    vocabularies = [f for f in fields if f["type"] == "category"]
    for field, names, codes in zip(
        vocabularies, series.names, series.categories.T, strict=True
    ):
        index = {name: k for k, name in enumerate(field["vocabulary"])}
        places = np.array([index.get(name, -1) for name in names])[codes]
        if (places[: bound.stop] < 0).any():
            unseen = names[codes[int(np.argmax(places < 0))]]
            raise DataError(
                f"{path}: {field['name']} {unseen!r} is not in the training part, so "
                "that nothing can be learnt of it. Leave the column out."
            )
        columns.append(places)
    return np.stack(columns, axis=-1).astype(np.float32)[: bound.stop]


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
    refuse_lost(f"{path}: data.value_column", values)
    return mean, std


def draw_windows(
    sequences: Sequence[Array], options: SeriesOptions, rng: np.random.Generator
) -> Examples:
    """Cut the training parts of all series into windows."""
    parts = [cut_windows(sequence, options, rng) for sequence in sequences]
    return Examples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def cut_windows(
    sequence: Array, options: SeriesOptions, rng: np.random.Generator
) -> Examples:
    """Cut the training part into windows, from another offset every epoch.

    Args:
        sequence: float32 of shape (rows, columns).
        options: Window length, distance between windows, horizon.
        rng: Draws the offset.

    Returns:
        Windows and, at each timestep, the next `horizon` values. All timesteps count,
        so the network also learns to forecast after few rows.
    """
    window, horizon = options.window, options.horizon
    last = len(sequence) - window - horizon
    starts = np.arange(
        rng.integers(0, min(options.stride, last + 1)), last + 1, options.stride
    )
    rows = starts[:, None] + np.arange(window)  # (batch, timesteps)
    ahead = rows[..., None] + np.arange(1, horizon + 1)  # (batch, timesteps, horizon)
    return Examples(
        sequence[rows], sequence[ahead, VALUE], np.ones(rows.shape, np.float32)
    )
