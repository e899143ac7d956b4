"""Drift report: a table, a verdict and an HTML page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.drift.checks import (
    DRIFTED_GAP,
    DRIFTED_KS,
    DRIFTED_PSI,
    DRIFTED_SURPRISE,
    MIN_SESSIONS,
    WATCHED_PSI,
    BinnedNames,
    Drift,
)
from training.html_report.page import Heading, render_page
from training.html_report.parts import Bar, HtmlTable, Section, Text, write_share
from training.printable import escape_controls
from training.report import open_console
from training.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = ("figure", "change", "drift from", "noise", "state", "what changed")
HEADING = Heading(
    "Drift report", "Captured events, compared with the held-out part of the version."
)
READING = (
    "PSI is the population stability index of the shares of names: "
    f"{WATCHED_PSI:g} is watched, {DRIFTED_PSI:g} is drift (Siddiqi 2006). KS is the "
    f"largest difference of two distributions of a number: {DRIFTED_KS:g} is drift. A "
    f"mean surprise that rose by {DRIFTED_SURPRISE:.0%} is drift, and so is a network "
    f"that is surer than it is right by {DRIFTED_GAP:.0%} more than when it was "
    "trained. A change counts only where it is above the noise, which sampling alone "
    "exceeds in 1 of 1000 samples of as many sessions. In PSI and KS each session "
    "counts once, however long it is. Noise that is above a limit means that the "
    "sample is too small to see such a change."
)


def conclude(title: str, drift: Drift) -> str:
    """Say in a sentence whether events have drifted."""
    sample = drift.sample
    size = f"{sample.num_sessions} sessions, {sample.num_events} events"
    if not drift.checks:
        return (
            f"{title}: nothing can be said of {size}; expected {MIN_SESSIONS} sessions "
            "or more. Capture more"
        )
    if not drift.drifted:
        watched = [c.name for c in drift.checks if c.state == "watched"]
        more = f"; watch {', '.join(watched)}" if watched else ""
        return f"{title} has not drifted: {size}{more}"
    reasons = [f"{c.name} {c.figure:.3g} ({c.detail})" for c in drift.drifted]
    return f"{title} has drifted: {'; '.join(reasons)}; {size}"


def list_rows(drift: Drift) -> list[list[str]]:
    """Write the checks as rows."""
    return [
        [c.name, f"{c.figure:.3f}", f"{c.limit:g}", f"{c.noise:.3f}", c.state, c.detail]
        for c in drift.checks
    ]


def print_checks(drift: Drift, console: Console | None = None) -> None:
    """Print the checks as a table that fits the terminal.

    Args:
        drift: What was found.
        console: Where to print; standard output otherwise.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.MARKDOWN)
    for heading in HEADINGS:
        is_text = heading in (HEADINGS[0], HEADINGS[-1])
        # Figures and states are short, names of columns and events may be long.
        table.add_column(heading, overflow="fold", no_wrap=not is_text)
    for row in list_rows(drift):
        # Brackets in a name are no markup, and its controls no commands.
        table.add_row(*(Text(escape_controls(cell)) for cell in row))
    (console or open_console()).print(table)
    sys.stdout.flush()


def write_page(title: str, drift: Drift) -> bytes:
    """Write the page."""
    verdict = Verdict(conclude(title, drift), not drift.drifted)
    sections = [Section("How to read it", [Text(READING)])]
    if drift.checks:
        table = HtmlTable("All checks", HEADINGS, list_rows(drift), num_words=1)
        sections.insert(0, Section("Result", [table]))
    sections += [show_names(name, drift.names[name]) for name in drift.names]
    return render_page(title, verdict, sections, HEADING)


def show_names(name: str, shares: BinnedNames) -> Section:
    """Show the shares of a field's names."""
    most = max([*shares.reference, *shares.captured])
    rows: Sequence[Sequence[str | Bar]] = [
        [
            label,
            Bar(write_share(before), before / most),
            Bar(write_share(now), now / most),
        ]
        for label, before, now in zip(*shares, strict=True)
    ]
    headings = ["name", "when trained", "captured"]
    caption = "The most frequent names; each share is of all events"
    return Section(f"Shares of {name}", [HtmlTable(caption, headings, rows)])
