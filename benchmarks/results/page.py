"""Writes `docs/explanation/results.md` from the records, and measures nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.results.problem import NETWORK, Figure, Problem, Variant
from benchmarks.results.records import Record
from benchmarks.results.speed import format_speed
from benchmarks.results.summary import Summary, best_baseline, summarize
from benchmarks.training.limits import read_result

INTRODUCTION = """\
# Results on public data

What `python -m training fit` reaches on data that others have published figures for.
`make results DATA=folder` trains what is missing here and writes this page; each
training is kept in [results.json](results.json) with its date, code and configuration.
A data set that the folder lacks is skipped. Where each comes from is in its section;
put its files into a folder as they are named there.

All networks are trained by the pipeline that publishes models: its splits, baselines
and verdict. No weight, threshold or baseline depends on a test part. What was tried
stays in the tables, next to its loss on the validation part, which chooses; where a
second network was tried after the first one's test figure was known, the section says
so. A figure is a mean over seeds, +- its standard deviation. Minutes are those of a
processor, for one seed with all its parts: other programs ran on the same two cores, so
that a clock would mislead.
*Found before* are figures of tries that this page does not repeat.
"""
HEADER = ("data", "network", "asked", "reached", "best baseline here", "")


def write_page(
    problems: Sequence[Problem], records: Mapping[str, Record], page: Path
) -> None:
    """Write the page."""
    page.write_text(format_page(problems, records), encoding="utf-8")


def format_page(problems: Sequence[Problem], records: Mapping[str, Record]) -> str:
    """Write what was asked first, then a section for each data set."""
    rows = [
        row_of_target(problem, variant, records)
        for problem in problems
        for variant in problem.variants
        if variant.limit is not None
    ]
    sections = [format_problem(problem, records) for problem in problems]
    parts = [INTRODUCTION, "## What was asked\n", format_table(HEADER, rows), *sections]
    return "\n".join([*parts, format_speed(read_result())])


def row_of_target(
    problem: Problem, variant: Variant, records: Mapping[str, Record]
) -> tuple[str, ...]:
    """Write one thing that was asked, and what came."""
    figure = problem.figures[0]
    sign = ">=" if figure.better == "higher" else "<="
    asked = f"{figure.name} {sign} {show(figure, variant.limit or 0.0)}"
    link = f"[{problem.name}](#{anchor(problem.title)})"
    found = summarize(problem, variant, records)
    if found is None:
        return link, variant.name, asked, "-", "-", f"not measured: {variant.reason}"
    value = found.figures[figure.name][NETWORK].mean
    is_met = figure.reaches(value, variant.limit or 0.0)
    best = best_baseline(figure, found)
    beside = f"{best[0]} {show(figure, best[1])}" if best else "-"
    return (
        link,
        variant.name,
        asked,
        show_spread(figure, found, NETWORK),
        beside,
        "reached" if is_met else "**not reached**",
    )


def format_problem(problem: Problem, records: Mapping[str, Record]) -> str:
    """Write a section: where from, how measured, the table, the verdicts."""
    files = ", ".join(f"`{name}`" for name in problem.files)
    lines = [
        f"## {problem.title}\n",
        f"- Data: {problem.source}" + (f" Files: {files}." if files else ""),
        f"- Protocol: {problem.protocol}",
        f"- Hyper-parameters: {problem.chosen}",
        "",
    ]
    found = [(v, summarize(problem, v, records)) for v in problem.variants]
    names = [figure.name for figure in problem.figures]
    header = ("", *names, "seeds", "validation loss", "CPU minutes", "measured")
    rows = [row for variant, one in found for row in rows_of(problem, variant, one)]
    rows += [reported_row(problem, name) for name in problem.reported]
    lines.append(format_table(header, rows))
    lines += [
        f"- {variant.name}: *{text}*"
        for variant, one in found
        if one
        for text in one.verdicts
    ]
    if problem.note:
        lines += ["", problem.note]
    return "\n".join(lines) + "\n"


def rows_of(
    problem: Problem, variant: Variant, found: Summary | None
) -> Iterable[tuple[str, ...]]:
    """Write the row of a network, and those of its baselines."""
    if found is None:
        dashes = ["-"] * len(problem.figures) + [""] * 3
        return [(f"**{variant.name}**", *dashes, f"not measured: {variant.reason}")]
    rows = []
    names = dict.fromkeys(who for by_who in found.figures.values() for who in by_who)
    for who in names:
        cells = [
            show_spread(figure, found, who) if who in found.figures[figure.name] else ""
            for figure in problem.figures
        ]
        if who == NETWORK:
            minutes = f"{found.cpu_minutes:.1f}"
            loss = "" if found.validation is None else f"{found.validation:.4f}"
            facts = (found.seeds, loss, minutes, found.measured)
            rows.append((f"**{variant.name}**", *cells, *facts))
        else:
            rows.append((who, *cells, "", "", "", "with it"))
    return rows


def reported_row(problem: Problem, name: str) -> tuple[str, ...]:
    """Write a figure that this page does not measure."""
    values = problem.reported[name]
    cells = [
        show(figure, values[figure.name]) if figure.name in values else ""
        for figure in problem.figures
    ]
    return (f"{name}", *cells, "", "", "", "reported")


def anchor(heading: str) -> str:
    """Return the address that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def show(figure: Figure, value: float) -> str:
    """Write a figure."""
    return f"{value:.{figure.digits}f}"


def show_spread(figure: Figure, found: Summary, who: str) -> str:
    """Write a figure with its deviation, where there are several seeds."""
    one = found.figures[figure.name][who]
    shown = show(figure, one.mean)
    if math.isnan(one.deviation) or (who != NETWORK and one.deviation < 1e-9):
        return shown
    return f"{shown} +- {one.deviation:.{figure.digits}f}"


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
