"""What a user reads when a network is trained: the verdict, a table, where all is.

Does not know how a figure was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.evaluate.boosting.model import list_missing
from training.evaluate.metric import Metric
from training.seeds import Spread
from training.verdict import Verdict


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


def format_row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Write a row: words to the left, figures to the right."""
    padded = [
        cell.rjust(width) if k > 1 else cell.ljust(width)
        for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def format_figure(figure: float | None) -> str:
    """Write a figure to four significant digits, or a dash without one."""
    return "-" if figure is None else f"{figure:.4g}"


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
    say(f"\n{verdict.sentence}\n\n{format_table(metrics)}\n")
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


def print_places(name: str, version: Path, run: Path) -> None:
    """Print where everything went."""
    say(f"\nversion  {version}")
    say(f"run      {run}")
    say(f"serve    make serve    (all models in {version.parent.parent}, {name} too)")


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
