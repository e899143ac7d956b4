"""Draws a run: bars of each contender, ours apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.speed.report import format_figure
from benchmarks.speed.results import Result

# By file: from which scenarios, which figure, under which title.
PLOTS = {
    "speed-throughput": (
        ("throughput", "stateless"),
        "requests/s",
        "Requests per second, 16 connections",
    ),
    "speed-latency": (("latency",), "median ms", "Median latency in ms, 1 connection"),
    "speed-bulk": (("bulk",), "events/s", "Events per second"),
}
OURS, OTHERS = "#1f6f54", "#b8c4be"
# Cases that are the service's though not named so.
OUR_CASES = ("carryover", "single events", "256 rows a request", "lines of a stream")


def draw(results: Iterable[Result], folder: Path) -> None:
    """Draw the plots of the scenarios that were run."""
    folder.mkdir(parents=True, exist_ok=True)
    # The same figures are to make the same file: no random ids, no date.
    mpl.rcParams["svg.hashsalt"] = "carryover"
    by_name = {result.name: result for result in results}
    for file, (names, figure, title) in PLOTS.items():
        values: dict[str, float] = {}
        for name in names:
            rows = by_name[name].rows if name in by_name else {}
            # Of a contender in both, the first.
            values = {n: row[figure] for n, row in rows.items()} | values
        if values:
            draw_bars(values, title, folder / f"{file}.svg")


def draw_bars(values: Mapping[str, float], title: str, file: Path) -> None:
    """Draw one bar per name, the largest on top."""
    names = sorted(values, key=lambda name: values[name])
    figure = Figure(figsize=(7, 0.5 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    colours = [OURS if name in OUR_CASES else OTHERS for name in names]
    bars = axes.barh(names, [values[name] for name in names], color=colours)
    axes.bar_label(bars, [format_figure(values[name]) for name in names], padding=3)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xticks([])
    axes.margins(x=0.12)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
