"""Sections of a report on forecasts: a fan, coverage, errors by distance and hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries
from training.evaluate.metric import Predict
from training.evaluate.past import forecast_past
from training.evaluate.quantiles import select, spread
from training.examples import DAY_SECONDS
from training.figures import format_figure
from training.html_report.parts import (
    Bar,
    Cell,
    HtmlTable,
    Plot,
    Section,
    Text,
    write_share,
)
from training.html_report.plots import Band, Line, draw_lines

# Rows that the fan shows, and distances with errors in the plot.
STRETCH, MAX_DISTANCES = 192, 4
BAND = (0.1, 0.9)  # of quantiles that a forecast of one value does not have itself
MAX_ROWS = 5
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Made(NamedTuple):
    """Forecasts of the held-out rows from one distance.

    Args:
        ahead: The distance.
        values: The middle one: (rows,).
        low: Lower bound of the band.
        high: Upper bound.
        level: Share of the rows that the band promises to contain.
        others: Forecasts of the past by name.
    """

    ahead: int
    values: Array
    low: Array
    high: Array
    level: float
    others: Mapping[str, Array]


def illustrate_series(
    held_out: HeldOutSeries | Sequence[HeldOutSeries], predict: Predict
) -> list[Section]:
    """Show the forecasts of a series, of several the first."""
    several = not isinstance(held_out, HeldOutSeries)
    first: HeldOutSeries = held_out[0] if several else held_out  # type: ignore
    forecast = predict(first.sequence[None])[0]
    distances = choose_distances(first.horizon)
    made = [make(first, forecast, ahead) for ahead in distances]
    text = "Of several series this is the first one." if several else ""
    return [
        Section(
            "Forecasts on held-out rows",
            [*[Text(text)] * several, plot_fan(first, made[-1], forecast)],
        ),
        Section(
            "How far off, and how often inside",
            [plot_distances(first, made), list_coverage(first, made)],
        ),
        Section(
            "Where it is right and wrong",
            [plot_hours(first, made[-1]), list_worst(first, made[-1])],
        ),
    ]


def choose_distances(horizon: int) -> list[int]:
    """Choose distances to measure: one, the horizon, and some between."""
    places = np.linspace(1, horizon, min(horizon, MAX_DISTANCES))
    return sorted({round(float(place)) for place in places})


def make(held_out: HeldOutSeries, forecast: Array, ahead: int) -> Made:
    """Take the forecasts of one distance, of shape (all rows, horizon[, quantiles]).

    The band is that of the outermost quantiles. A forecast of one value gets the
    quantiles of its own errors on the rows before the held-out part.
    """
    levels = held_out.quantiles
    one = forecast[:, ahead - 1]
    if levels:
        middle = min(range(len(levels)), key=lambda k: abs(levels[k] - 0.5))
        bounds, values = select(held_out, ahead, one), one[:, middle]
        level = levels[-1] - levels[0]
    else:
        with_band = held_out._replace(quantiles=BAND)
        bounds = select(held_out, ahead, spread(with_band, ahead, one))
        values, level = one, BAND[1] - BAND[0]
    past = forecast_past(held_out, ahead)
    others = {name: select(held_out, ahead, made) for name, made in past.items()}
    return Made(
        ahead,
        select(held_out, ahead, values),
        bounds[:, 0],
        bounds[:, -1],
        level,
        others,
    )


def find_target(held_out: HeldOutSeries) -> Array:
    """Return the values of the held-out rows."""
    return held_out.values[held_out.start :]


def find_times(held_out: HeldOutSeries) -> Array:
    """Return the times of the held-out rows, to the second."""
    days, seconds = held_out.sequence[held_out.start : len(held_out.values), :2].T
    whole = days.astype(np.int64) * DAY_SECONDS + np.round(seconds).astype(np.int64)
    times: Array = whole.astype("datetime64[s]")
    return times


def errors_of(held_out: HeldOutSeries, forecast: Array) -> float:
    """Return the mean absolute error over the mean absolute value."""
    target = find_target(held_out)
    return float(np.abs(forecast - target).mean() / np.abs(target).mean())


def find_best(held_out: HeldOutSeries, made: Made) -> str:
    """Name the best of the past at a distance."""
    errors = {name: errors_of(held_out, one) for name, one in made.others.items()}
    return min(errors, key=lambda n: errors[n] if np.isfinite(errors[n]) else np.inf)


def plot_fan(held_out: HeldOutSeries, made: Made, forecast: Array) -> Plot:
    """Draw a stretch of held-out values under what was forecast of them."""
    target, times = find_target(held_out), find_times(held_out)
    start = find_typical(np.abs(target - made.values))
    rows = np.arange(start, min(start + STRETCH, len(target)))
    width = made.level
    lines = [
        Line(f"forecast {made.ahead} ahead", rows, made.values[rows]),
        Line("what came", rows, target[rows]),
    ]
    band = Band(f"{width:.0%} of the values", rows, made.low[rows], made.high[rows])
    caption = (
        f"A stretch of the held-out rows with an error like that of all: each value, "
        f"and its forecast from {made.ahead} row{'s' * (made.ahead > 1)} before, with "
        f"the band that should contain {width:.0%} of the values"
    )
    if not held_out.quantiles:
        caption += " (from the errors on the rows that it was trained on)"
    step = max(1, len(rows) // 6)
    ticks = [(float(k), str(times[k])[:16].replace("T", " ")) for k in rows[::step]]
    return draw_lines(
        lines,
        ("", "value"),
        caption + ".",
        ticks=ticks,
        bands=[band],
        is_wide=True,
    )


def find_typical(errors: Array) -> int:
    """Find the stretch with the mean error nearest that of all rows."""
    if len(errors) <= STRETCH:
        return 0
    sums = np.concatenate([[0.0], np.cumsum(errors)])
    means = (sums[STRETCH:] - sums[:-STRETCH]) / STRETCH
    return int(np.abs(means - errors.mean()).argmin())


def plot_distances(held_out: HeldOutSeries, made: Sequence[Made]) -> Plot:
    """Draw the error by distance, the network's and that of the best of the past."""
    ahead = [one.ahead for one in made]
    best = find_best(held_out, made[-1])
    lines = [
        Line("network", ahead, [errors_of(held_out, one.values) for one in made]),
        Line(best, ahead, [errors_of(held_out, one.others[best]) for one in made]),
    ]
    caption = (
        "Mean absolute error over mean absolute value (WAPE) by how many rows ahead, "
        "beside the best way of repeating or averaging the past."
    )
    return draw_lines(lines, ("rows ahead", "WAPE"), caption)


def list_coverage(held_out: HeldOutSeries, made: Sequence[Made]) -> HtmlTable:
    """List how often values were inside of the band."""
    target = find_target(held_out)
    rows: list[list[Cell]] = []
    for one in made:
        inside = (target >= one.low) & (target <= one.high)
        share = float(inside.mean())
        width = float((one.high - one.low).mean() / np.abs(target).mean())
        rows.append(
            [
                str(one.ahead),
                write_share(one.level),
                Bar(write_share(share), share),
                write_share(float((target < one.low).mean())),
                write_share(float((target > one.high).mean())),
                format_figure(width),
            ]
        )
    headings = ["rows ahead", "should be inside", "inside", "under", "over", "width"]
    caption = "Coverage of the band; its width over the mean absolute value"
    return HtmlTable(caption, headings, rows)


def plot_hours(held_out: HeldOutSeries, made: Made) -> Plot:
    """Draw the error at the horizon by hour of the day, or by day of the week."""
    target, times = find_target(held_out), find_times(held_out)
    hours = (times.astype(np.int64) // 3600) % 24
    groups, names = hours, [f"{k}" for k in range(24)]
    what = "hour of the day"
    if len(np.unique(hours)) == 1:
        groups = (times.astype("datetime64[D]").astype(np.int64) + 3) % 7
        names, what = list(WEEKDAYS), "day of the week"
    best = find_best(held_out, made)
    there = np.unique(groups)
    scale = np.abs(target).mean()
    lines = [
        Line(name, there, average_by(np.abs(forecast - target) / scale, groups, there))
        for name, forecast in (("network", made.values), (best, made.others[best]))
    ]
    caption = (
        f"Mean absolute error {made.ahead} ahead over the mean absolute value of all "
        f"rows, by {what} of the value."
    )
    step = 3 if len(there) > 12 else 1
    ticks = [(float(k), names[k]) for k in there[::step]]
    return draw_lines(lines, (what, "error"), caption, ticks=ticks)


def average_by(numbers: Array, groups: Array, there: Array) -> list[float]:
    """Average numbers over each group."""
    return [float(numbers[groups == k].mean()) for k in there]


def list_worst(held_out: HeldOutSeries, made: Made) -> HtmlTable:
    """List the rows with the largest errors, no two of them near each other."""
    target, times = find_target(held_out), find_times(held_out)
    errors = np.abs(made.values - target)
    best = find_best(held_out, made)
    free = np.ones(len(errors), bool)
    near = max(held_out.horizon, *held_out.season_rows.values(), 1)
    rows: list[list[Cell]] = []
    for k in np.argsort(-errors, kind="stable"):
        if not free[k] or len(rows) == MAX_ROWS:
            continue
        free[max(0, k - near) : k + near] = False
        rows.append(
            [
                str(times[k]).replace("T", " "),
                *map(format_figure, (target[k], made.values[k], made.others[best][k])),
                Bar(format_figure(errors[k]), errors[k] / errors.max()),
            ]
        )
    headings = ["row", "came", "network", best, "error of the network"]
    caption = f"The most surprising rows, {made.ahead} ahead"
    return HtmlTable(caption, headings, rows)
