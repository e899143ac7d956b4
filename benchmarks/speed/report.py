"""Writes results down as Markdown."""

from __future__ import annotations

from benchmarks.speed.results import Result, Target


def format_result(result: Result) -> str:
    """Write one scenario's title, table and targets."""
    names = list(dict.fromkeys(name for row in result.rows.values() for name in row))
    lines = [f"### {result.title}", ""]
    lines += [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for contender, row in result.rows.items():
        cells = (format_figure(row[name]) if name in row else "" for name in names)
        lines.append(f"| {contender} | {' | '.join(cells)} |")
    lines += ["", *map(format_target, result.targets)]
    if result.note:
        lines += ["", result.note]
    return "\n".join([*lines, ""])


def format_target(target: Target) -> str:
    """Write what a ratio is and was to be."""
    sign = ">=" if target.is_at_least else "<="
    verdict = "met" if target.is_met else "**not met**"
    ratio, limit = format_figure(target.ratio), f"{target.limit:g}"
    return f"- {target.text}: {ratio} (target {sign} {limit}, {verdict})"


def format_figure(value: float) -> str:
    """Write three digits that matter, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
