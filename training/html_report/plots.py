"""The pictures of a report: lines, a reliability diagram, a fan, as SVG text.

The same bytes for the same figures, whatever the user's matplotlib is set to.
Matplotlib is imported once something is drawn: a second that no other command pays.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array
from training.html_report.parts import UNNUMBERED, Plot
from training.html_report.svg import COLOURS, clean_svg

LINE_COLOURS = [COLOURS[name] for name in ("one", "two", "three", "four")]
NARROW, WIDE, SQUARE = (4.8, 3.0), (9.8, 3.2), (4.8, 3.6)
MAX_NAME_LENGTH = 30
# Of a legend in a row, in letters: room, and what a line takes before its name.
NARROW_ROOM, WIDE_ROOM, HANDLE = 58, 120, 8
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a name with two dollars is no formula
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: to select, to read aloud, small
    "svg.hashsalt": "carryover",
}


class Line(NamedTuple):
    """A line of a plot.

    Args:
        name: In the legend.
        x: Where.
        y: How much.
        is_dashed: Whether it is dashed.
    """

    name: str
    x: Array | Sequence[float]
    y: Array | Sequence[float]
    is_dashed: bool = False


class Band(NamedTuple):
    """An area between two lines."""

    name: str
    x: Array
    low: Array
    high: Array


@contextmanager
def drawing(size: tuple[float, float], rows: Sequence[float] = (1,)) -> Iterator[Any]:
    """Yield a figure and its axes, one above the other, in the report's style."""
    # Its first import may take long and says so, in the middle of the progress.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    default: dict[Any, Any] = {
        k: v for k, v in mpl.rcParamsDefault.items() if k != "backend"
    }
    with mpl.rc_context({**default, **STYLE}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names may have letters its font lacks
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
        yield figure, axes


def finish(figure: Any, caption: str, *, is_wide: bool = False) -> Plot:
    """Write a figure as a part of the page."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    svg = clean_svg(written.getvalue(), UNNUMBERED, caption)
    return Plot(svg, caption, is_wide)


def plain(name: str) -> str:
    """Make a name printable and short enough for a legend."""
    printable = "".join(c if c.isprintable() else "?" for c in name)
    kept = printable[:MAX_NAME_LENGTH]
    return kept if kept == printable else kept + "..."


def draw_lines(
    lines: Sequence[Line],
    labels: tuple[str, str],
    caption: str,
    *,
    ticks: Sequence[tuple[float, str]] = (),
    bands: Sequence[Band] = (),
    is_wide: bool = False,
) -> Plot:
    """Draw lines over one axis.

    Args:
        lines: The network's first.
        labels: Of both axes.
        caption: What it shows.
        ticks: Places of the horizontal axis with their names, if not its numbers.
        bands: Areas under the lines, each in the colour of the line at its place.
        is_wide: Whether it takes the page's whole width.
    """
    with drawing(WIDE if is_wide else NARROW) as (figure, (axes,)):
        for k, band in enumerate(bands):
            colour = LINE_COLOURS[k % len(LINE_COLOURS)]
            add_band(axes, band, colour)
        for k, line in enumerate(lines):
            add_line(axes, line, LINE_COLOURS[k % len(LINE_COLOURS)])
        axes.set(xlabel=labels[0], ylabel=labels[1])
        if not ticks:
            axes.xaxis.get_major_locator().set_params(integer=True)
        else:
            places, names = zip(*ticks, strict=True)
            axes.set_xticks(places, names)
        if lines or bands:
            add_legend(axes, is_wide=is_wide)
        return finish(figure, caption, is_wide=is_wide)


def add_legend(axes: Any, *, is_wide: bool = False) -> None:
    """Add a legend above the axes, where it hides no line: in one row if there is room.

    Without room, one name stands below the other.
    """
    handles, names = axes.get_legend_handles_labels()
    room = WIDE_ROOM if is_wide else NARROW_ROOM
    is_row = sum(len(name) + HANDLE for name in names) <= room
    axes.figure.legend(
        handles, names, loc="outside upper left", ncols=len(names) if is_row else 1
    )


def add_band(axes: Any, band: Band, colour: str) -> None:
    """Add an area between two lines."""
    axes.fill_between(
        band.x,
        band.low,
        band.high,
        color=colour,
        alpha=0.25,
        linewidth=0,
        label=plain(band.name),
    )


def add_line(axes: Any, line: Line, colour: str) -> None:
    """Add a line; a point where it is too short to be seen otherwise."""
    axes.plot(
        line.x,
        line.y,
        color=colour,
        label=plain(line.name),
        linestyle="--" if line.is_dashed else "-",
        marker="o" if len(line.x) <= 30 else "",
        markersize=3.5,
        linewidth=1.6,
    )


def draw_reliability(
    lines: Sequence[Line], shares: Array, edges: Array, caption: str
) -> Plot:
    """Draw how often is right what was given how much, over how often it was.

    Args:
        lines: By mean confidence, the share that is right.
        shares: Share of the answers in each bin of confidence, the network's.
        edges: Edges of the bins.
        caption: What it shows.
    """
    with drawing(SQUARE, (3, 1)) as (figure, (above, below)):
        exact = Line("as sure as right", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
        above.plot(exact.x, exact.y, color=COLOURS["grid"], label=exact.name)
        for k, line in enumerate(lines):
            add_line(above, line, LINE_COLOURS[k])
        above.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
        above.legend(loc="upper left")
        below.bar(
            edges[:-1],
            shares,
            width=np.diff(edges) * 0.9,
            align="edge",
            color=LINE_COLOURS[0],
        )
        below.set(xlabel="probability of the most probable", xlim=(0, 1))
        below.set(ylabel="share")
        return finish(figure, caption)


def draw_against(
    lines: Sequence[Line],
    labels: tuple[str, str],
    caption: str,
    *,
    span: tuple[float, float],
    ticks: Sequence[tuple[float, str]] = (),
    bands: Sequence[Band] = (),
) -> Plot:
    """Draw lines over a grey diagonal: what came over what was said of it.

    Args:
        lines: The network's first.
        labels: Of both axes.
        caption: What it shows.
        span: Of both axes.
        ticks: Places of both axes with their names; they are logarithmic then.
        bands: Areas under the lines.
    """
    with drawing(SQUARE) as (figure, (axes,)):
        axes.plot(span, span, color=COLOURS["grid"], linewidth=2, label="exact")
        for band, colour in zip(bands, LINE_COLOURS, strict=False):
            add_band(axes, band, colour)
        for line, colour in zip(lines, LINE_COLOURS, strict=False):
            add_line(axes, line, colour)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        if ticks:
            places, names = zip(*ticks, strict=True)
            axes.set(xscale="log", yscale="log")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks([], minor=True)
                axis.set_ticks(places, names)
        add_legend(axes)
        return finish(figure, caption)
