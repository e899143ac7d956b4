"""Messages of a training: the verdict, a table of figures, and the folders.

Does not know how a figure was measured.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.evaluate.boosting.model import list_missing
from training.evaluate.metric import Metric
from training.figures import format_figure
from training.seeds import Spread
from training.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console

# Columns of a terminal, and of an output that is not one.
WIDTH = 80
# Left for the name of a metric and the column "better", borders included: a longer name
# takes two lines, seldom three.
NAMES_WIDTH = 38
# A longer word in a column of figures is broken.
MAX_WORD_LENGTH = 20


def say(line: str) -> None:
    """Print a line at once, so that progress shows through a pipe as well."""
    print(line, flush=True)


def format_table(metrics: Sequence[Metric], network: str = "network") -> str:
    """Lay metrics and their baselines out as a Markdown table, aligned as text too.

    A metric without some baseline has a dash there.
    """
    names = list(dict.fromkeys(name for m in metrics for name in m.baselines))
    rows = [["measured on held-out data", "better", network, *names]]
    for metric in metrics:
        beside = [format_figure(metric.baselines.get(name)) for name in names]
        label = f"{metric.name} ({metric.unit})"
        rows.append([label, metric.better, format_figure(metric.value), *beside])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [format_row(row, widths) for row in rows]
    rule = [
        f"{'-' * (width - 1)}{':' if k > 1 else '-'}" for k, width in enumerate(widths)
    ]
    return "\n".join([lines[0], format_row(rule, widths), *lines[1:]])


def print_table(
    metrics: Sequence[Metric],
    network: str = "network",
    console: Console | None = None,
) -> None:
    """Print metrics and their baselines as tables that fit the terminal.

    Where one table is too wide, metrics of other baselines, as of another head, have a
    table of their own; models that do not fit next to each other there are in further
    tables.

    Args:
        metrics: What was measured.
        network: What the first column of figures is called.
        console: Where to print; standard output otherwise, in 80 columns where that is
            not a terminal.
    """
    console = console or open_console()
    shown = split_columns(list_columns(metrics, network), console.width)
    groups = [metrics] if len(shown) == 1 else group_by_baselines(metrics)
    for group in groups:
        for columns in split_columns(list_columns(group, network), console.width):
            console.print(build_table(group, columns))
    sys.stdout.flush()


def list_columns(metrics: Sequence[Metric], network: str) -> list[list[str]]:
    """Return the figures of each model under its name, the network's first."""
    names = list(dict.fromkeys(name for m in metrics for name in m.baselines))
    beside = [
        [name, *(format_figure(metric.baselines.get(name)) for metric in metrics)]
        for name in names
    ]
    return [[network, *(format_figure(metric.value) for metric in metrics)], *beside]


def open_console() -> Console:
    """Open standard output, in 80 columns where it is not a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH)


def group_by_baselines(metrics: Sequence[Metric]) -> list[list[Metric]]:
    """Group metrics that follow each other and stand next to the same baselines.

    A metric with some of them, or without any, belongs to its neighbours.
    """
    groups: list[list[Metric]] = []
    known: set[str] = set()
    for metric in metrics:
        names = set(metric.baselines)
        if not groups or not (names <= known or names >= known):
            groups.append([])
            known = set()
        groups[-1].append(metric)
        known |= names
    return groups


def split_columns(
    columns: Sequence[Sequence[str]], width: int
) -> list[Sequence[Sequence[str]]]:
    """Divide columns into tables that fit next to the names of metrics."""
    room = width - NAMES_WIDTH
    tables: list[list[Sequence[str]]] = []
    left = 0
    for column in columns:
        wide = 3 + measure_words(column)
        if not tables or wide > left:
            tables.append([])
            left = room
        tables[-1].append(column)
        left -= wide
    return list(tables)


def build_table(metrics: Sequence[Metric], columns: Sequence[Sequence[str]]) -> Any:
    """Lay out a table of metrics by models, as Markdown has it where it is narrow."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.MARKDOWN)
    table.add_column("held-out data", overflow="fold")
    table.add_column("better", no_wrap=True)
    for column in columns:
        # A Text, since brackets in a name are no markup.
        name = Text(column[0])
        width = measure_words(column)
        table.add_column(name, justify="right", width=width, overflow="fold")
    for k, metric in enumerate(metrics):
        label = Text(f"{metric.name} ({metric.unit})")
        table.add_row(label, metric.better, *(column[k + 1] for column in columns))
    return table


def measure_words(column: Sequence[str]) -> int:
    """Return the least width of a column: its widest word, or a part of a long one."""
    return min(
        MAX_WORD_LENGTH, max(len(word) for cell in column for word in cell.split())
    )


def format_row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Write a row: words to the left, figures to the right."""
    padded = [
        cell.rjust(width) if k > 1 else cell.ljust(width)
        for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def format_evaluation(
    name: str,
    verdict: Verdict,
    metrics: Sequence[Metric],
    facts: Mapping[str, Any],
    seed: int,
) -> str:
    """Write the evaluation report that a version carries, the verdict first."""
    about = "\n".join(f"- {key.replace('_', ' ')}: {facts[key]}" for key in facts)
    return (
        f"{verdict.sentence}\n\n# Evaluation of {name}\n\n"
        f"{format_table(metrics)}\n\n"
        f"Baselines are measured on the same held-out data. {list_missing(facts)}"
        f"\n\n"
        f"## Data\n\n{about}\n- seed: {seed}\n"
    )


def print_verdict(
    verdict: Verdict, metrics: Sequence[Metric], facts: Mapping[str, Any]
) -> None:
    """Print whether it was worth it, then the table."""
    say(f"\n{verdict.sentence}")
    print_table(metrics)
    if missing := list_missing(facts):
        say(f"{missing}\n")


def print_parts(facts: Mapping[str, Any]) -> None:
    """Print how many events each part has, and how many a split leaves out."""
    if "train_events" not in facts:
        return
    counts = ", ".join(
        f"{facts[f'{part}_events']:,} {part}"
        for part in ("train", "validation", "test")
    )
    unused = facts["unused_events"]
    cut = f", {unused:,} unused, in cases cut at a boundary" if unused else ""
    say(f"  events      {counts}{cut} (split by {facts['split']})")
    if "note" in facts:
        say(f"  note        {facts['note']}")


def print_places(version: Path, run: Path) -> None:
    """Print where everything went."""
    say(f"\nversion  {version}")
    say(f"run      {run}")
    print_serving(version)


def print_serving(version: Path) -> None:
    """Print the command that serves a version; `make serve` looks in artifacts/."""
    name, artifacts = version.parent.name, version.parent.parent
    if artifacts == Path("artifacts"):
        say(f"serve    make serve    (all models in {artifacts}, {name} too)")
    else:
        models = shlex.quote(str(artifacts))
        say(f"serve    CARRYOVER_MODELS={models} .venv/bin/python -m service")


def print_spread(seeds: Sequence[int], spread: Sequence[Spread]) -> None:
    """Print each figure over seeds: mean, standard deviation, least and most."""
    if not spread:
        return
    say(f"over the seeds {', '.join(map(str, seeds))}:")
    for one in spread:
        say(
            f"  {one.name}: {one.mean:.4g} +- {one.deviation:.2g} {one.unit}, "
            f"{min(one.values):.4g} to {max(one.values):.4g}"
        )
