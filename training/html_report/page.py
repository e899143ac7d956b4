"""Lay the parts of a report out as a page: text escaped, one style sheet, no script.

The page carries a policy that lets it load nothing and run nothing, wherever it is
opened from; only the style sheet with the very hash is applied.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count, groupby
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training.evaluate.metric import Metric
from training.figures import format_figure
from training.html_report.parts import (
    UNNUMBERED,
    Best,
    Cell,
    HtmlTable,
    Part,
    Plot,
    Section,
    Text,
)
from training.html_report.plots import Line, draw_lines
from training.report import group_by_baselines
from training.seeds import Spread
from training.verdict import Verdict

FOLDER = Path(__file__).parent


class Heading(NamedTuple):
    """Heading of a page.

    Args:
        title: Such as `Training report`, of a model.
        lead: What its figures are, in a sentence.
    """

    title: str
    lead: str


TRAINING = Heading(
    "Training report",
    "Measured on held-out data, next to what simpler means reach on the same data.",
)


def render_page(
    name: str,
    verdict: Verdict,
    sections: Sequence[Section],
    heading: Heading = TRAINING,
) -> bytes:
    """Write the page, the verdict first; the same bytes for the same report."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["groupby_kind"] = group_by_kind
    css = (FOLDER / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    page = environment.get_template("page.html.j2").render(
        name=name,
        heading=heading,
        verdict=verdict,
        sections=number_plots(sections),
        css=Markup(css),  # of this folder
        policy=f"default-src 'none'; style-src 'sha256-{digest}'",
    )
    # A name may have half of a surrogate pair, which UTF-8 has no bytes for.
    return page.encode("utf-8", "replace")


def number_plots(sections: Sequence[Section]) -> list[Section]:
    """Give the ids of every plot the number of the plot."""
    numbers = count(1)

    def number(part: Part) -> Part:
        if not isinstance(part, Plot):
            return part
        svg = part.svg.replace(UNNUMBERED, f"plot-{next(numbers)}-")
        return replace(part, svg=svg)

    return [one._replace(parts=[number(p) for p in one.parts]) for one in sections]


def group_by_kind(parts: Sequence[Part]) -> Iterator[tuple[str, list[Part]]]:
    """Group parts of one kind that follow each other: plots stand side by side."""
    for kind, group in groupby(parts, key=lambda part: part.kind):
        yield kind, list(group)


def list_metrics(metrics: Sequence[Metric], missing: str = "") -> Section:
    """Lay metrics and their baselines out as tables; the best of a row stands out.

    Metrics of other baselines, as of another head, have a table of their own.

    Args:
        metrics: What was measured.
        missing: A line on a baseline that could not be fitted.
    """
    tables = [tabulate(group) for group in group_by_baselines(metrics)]
    if len(tables) == 1:
        tables = [replace(tables[0], caption="All figures")]
    return Section("Result", [*tables, *([Text(missing)] if missing else [])])


def tabulate(metrics: Sequence[Metric]) -> HtmlTable:
    """Lay metrics and their baselines out as a table."""
    names = list(dict.fromkeys(name for m in metrics for name in m.baselines))
    rows = [
        [
            f"{metric.name} ({metric.unit})",
            metric.better,
            *mark_best(metric, [metric.value, *map(metric.baselines.get, names)]),
        ]
        for metric in metrics
    ]
    headings = ["measured on held-out data", "better", "network", *names]
    caption = f"Next to {', '.join(names)}"
    return HtmlTable(caption, headings, rows, num_words=2)


def mark_best(metric: Metric, figures: Sequence[float | None]) -> list[Cell]:
    """Write the figures of a row, the best one of several so that it stands out."""
    known = [figure for figure in figures if figure is not None]
    best = None
    if len(known) > 1 and metric.better != "nominal":
        best = max(known) if metric.better == "higher" else min(known)
    return [
        "-"
        if figure is None
        else Best(format_figure(figure))
        if figure == best
        else format_figure(figure)
        for figure in figures
    ]


def list_spread(spread: Sequence[Spread]) -> list[Section]:
    """List the figures over several seeds, if there are several."""
    if not spread:
        return []
    rows = [
        [
            f"{one.name} ({one.unit})",
            format_figure(one.mean),
            format_figure(one.deviation),
            *map(format_figure, one.values),
        ]
        for one in spread
    ]
    seeds = [f"network {k}" for k in range(1, len(spread[0].values) + 1)]
    headings = ["figure", "mean", "deviation", *seeds]
    caption = "The same training with several seeds; the first network is published"
    return [Section("Over several seeds", [HtmlTable(caption, headings, rows)])]


def plot_curves(curves: Mapping[str, Sequence[float]]) -> Section:
    """Draw the loss of every network by epoch."""
    lines = [
        Line(name, list(range(1, len(losses) + 1)), losses)
        for name, losses in curves.items()
    ]
    caption = (
        "Loss by epoch. Still falling at the end: more epochs may help. Validation "
        "rising while training falls: fewer epochs, a smaller network or more dropout."
    )
    plot = draw_lines(lines, ("epoch", "loss"), caption)
    return Section("Learning curves", [plot])
