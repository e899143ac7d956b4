"""Sections of a report on times: coverage of quantiles, errors by size and position."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.durations import HeldOutTimes
from training.evaluate.durations import (
    Waits,
    choose_unit,
    count_times,
    wait,
)
from training.evaluate.guesses import SEQUENCE_BITS
from training.evaluate.metric import NETWORK, Predict
from training.figures import format_figure
from training.html_report.classified import find_positions
from training.html_report.parts import (
    Bar,
    Cell,
    HtmlTable,
    Plot,
    Section,
)
from training.html_report.plots import Band, Line, draw_against, draw_lines

# Events that are forecast alike, drawn as one point: how many points, how many events.
MAX_GROUPS, MIN_EVENTS = 10, 20
SPREAD = (0.1, 0.5, 0.9)  # of what came, in such a group
MAX_ROWS = 5
# Places on an axis of times, in seconds.
TICKS = (
    *((1, "1 s"), (60, "1 min"), (3_600, "1 h"), (86_400, "1 day")),
    *((864_000, "10 days"), (8_640_000, "100 days"), (86_400_000, "1,000 days")),
)


class Timed(NamedTuple):
    """Forecasts of times on held-out data.

    Args:
        held_out: What was asked.
        unit: Of all times, in words.
        second: A second in this unit.
        waits: The network's answers and those of its baselines, by name.
        write_event: Writes an encoded event as text.
    """

    held_out: HeldOutTimes
    unit: str
    second: float
    waits: Mapping[str, Waits]
    write_event: Callable[[Any], str]

    @property
    def middle(self) -> int:
        """Place of the median among the quantiles."""
        return self.held_out.quantiles.index(0.5)

    def find_errors(self, name: str) -> Array:
        """Return the absolute errors of a median, of shape (events,)."""
        one = self.waits[name]
        errors: Array = np.abs(one.made[:, self.middle] - one.targets)
        return errors

    def find_best(self) -> str:
        """Name the baseline with the lowest mean error."""
        others = [name for name in self.waits if name != NETWORK]
        return min(others, key=lambda name: self.find_errors(name).mean())


def illustrate_times(
    held_out: HeldOutTimes, predict: Predict, write_event: Callable[[Any], str]
) -> list[Section]:
    """Show how often quantiles hold, and where the median is far off."""
    counted = held_out.train.targets[held_out.train.weights > 0]
    unit, size = choose_unit(counted)
    predicts = {NETWORK: predict, **count_times(held_out)}
    waits = {name: wait(held_out.test, one, size) for name, one in predicts.items()}
    timed = Timed(held_out, unit, 1 / size, waits, write_event)
    return [
        Section(
            "How often quantiles hold",
            [plot_shares(timed), plot_against(timed)],
        ),
        Section(
            "Where it is far off",
            [plot_errors(timed), list_worst(timed)],
        ),
    ]


def plot_shares(timed: Timed) -> Plot:
    """Draw the share of times up to each quantile over the quantile's level."""
    levels = timed.held_out.quantiles
    lines = [
        Line(name, levels, measure_shares(timed.waits[name]))
        for name in (NETWORK, timed.find_best())
    ]
    caption = (
        "Reliability: the share of times that were at most their quantile, by the "
        "level of the quantile. Under the grey line times last longer than the network "
        "says, over it they are shorter."
    )
    labels = ("quantile", "share of times up to it")
    return draw_against(lines, labels, caption, span=(0.0, 1.0))


def measure_shares(waits: Waits) -> list[float]:
    """Return the share of times up to each quantile."""
    shares: list[float] = (waits.targets[:, None] <= waits.made).mean(axis=0).tolist()
    return shares


def plot_against(timed: Timed) -> Plot:
    """Draw what came over the median that was forecast."""
    waits = timed.waits[NETWORK]
    made, came = group_by_forecast(waits.made[:, timed.middle], waits.targets)
    # In seconds; shorter ones are drawn as one second.
    shown = np.maximum(np.column_stack([made, came]) / timed.second, 1.0)
    made, low, half, high = shown.T
    span = (float(shown.min()), float(shown.max()))
    inside = [(s, name) for s, name in TICKS if span[0] <= s <= span[1]]
    is_log = len(inside) > 1
    band = Band(f"{SPREAD[0]:.0%} to {SPREAD[-1]:.0%} of what came", made, low, high)
    caption = (
        "What came over what was forecast: events that are forecast "
        "alike are one point, at the median of what came, with the band that contains "
        f"{SPREAD[-1] - SPREAD[0]:.0%} of them. A good forecast lies on the grey line; "
        "a flat line says that it gives short times and long ones alike."
    )
    return draw_against(
        [Line("median of what came", made, half)],
        ("forecast", "what came") if is_log else ("forecast, s", "what came, s"),
        caption,
        span=span,
        ticks=inside if is_log else (),
        bands=[band],
    )


def group_by_forecast(made: Array, came: Array) -> tuple[Array, Array]:
    """Group events by what was forecast of them, about as many in each.

    Events with the same forecast are in one group.

    Returns:
        The median forecast of each group, and the quantiles `SPREAD` of what came, of
        shape (groups, 3).
    """
    order = np.argsort(made, kind="stable")
    groups = min(MAX_GROUPS, max(1, len(order) // MIN_EVENTS))
    rank = np.searchsorted(made[order], made[order], "left")
    begins = np.flatnonzero(np.diff(rank * groups // len(order))) + 1
    parts = np.split(order, begins)
    middles = np.array([np.median(made[part]) for part in parts])
    return middles, np.array([np.quantile(came[part], SPREAD) for part in parts])


def plot_errors(timed: Timed) -> Plot:
    """Draw the mean error of the median by the number of events known."""
    place = timed.waits[NETWORK].place
    there = [(k, one) for k, one in enumerate(find_positions(place)) if one[1].any()]
    lines = [
        Line(
            name,
            [k for k, _ in there],
            [float(timed.find_errors(name)[chosen].mean()) for _, (_, chosen) in there],
        )
        for name in (NETWORK, timed.find_best())
    ]
    ticks = [(float(k), str(low)) for k, (low, _) in there]
    caption = (
        f"Mean error of the median by how many events of the case were known, in "
        f"{timed.unit}: lower is better."
    )
    return draw_lines(lines, ("events known, from", timed.unit), caption, ticks=ticks)


def list_worst(timed: Timed) -> HtmlTable:
    """List the events with the largest errors, one of each case."""
    waits, test = timed.waits[NETWORK], timed.held_out.test
    errors, cases = timed.find_errors(NETWORK), waits.block >> SEQUENCE_BITS
    order = np.argsort(-errors, kind="stable")
    _, first = np.unique(cases[order], return_index=True)
    rows: list[list[Cell]] = []
    for k in order[np.sort(first)][:MAX_ROWS]:
        step = int(waits.place[k]) - 1
        event = test.inputs[test.offsets[cases[k]] + step]
        made = waits.made[k]
        rows.append(
            [
                timed.write_event(event),
                str(step + 1),
                *map(format_figure, (waits.targets[k], made[timed.middle])),
                f"{format_figure(made[0])} to {format_figure(made[-1])}",
                Bar(format_figure(errors[k]), errors[k] / errors.max()),
            ]
        )
    low, high = timed.held_out.quantiles[0], timed.held_out.quantiles[-1]
    headings = [
        *("after", "events known", "came", "median"),
        *(f"quantiles {low:g} to {high:g}", "error"),
    ]
    caption = f"The largest errors, one of each case, in {timed.unit}"
    return HtmlTable(caption, headings, rows)
