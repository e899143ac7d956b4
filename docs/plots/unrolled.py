"""Draws the network folded, with its loop, and unfolded, one copy per event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from docs.plots.answers import LABELS, Explanation
from docs.plots.style import BLUE, GREY, INK, ORANGE, PALE

WOLF = LABELS.index("wolf")
CELL_Y, HALF = 0.0, 0.3
LONG_Y, SHORT_Y = 0.15, -0.15


def draw_unrolled(explained: Explanation, alone: Sequence[Explanation]) -> Any:
    """Draw the programme through the cell, and what it answers with and without.

    Args:
        explained: The programme, memory carried.
        alone: Each of its pictures as a programme of its own.
    """
    figure, axes = plt.subplots(figsize=(11, 3.9))
    draw_folded(axes, -2.0)
    for k, picture in enumerate(explained.pictures):
        draw_cell(axes, k, picture)
        draw_memories(axes, k, is_last=k + 1 == len(explained.pictures))
        wolf = explained.probabilities[k, WOLF]
        axes.text(k, 1.02, f"{wolf:.2f}", ha="center", weight="bold", color=INK)
        wolf = alone[k].probabilities[0, WOLF]
        axes.text(k, 1.3, f"{wolf:.2f}", ha="center", color=GREY)
    axes.text(-0.62, 1.02, "P(wolf), memory carried", ha="right", weight="bold")
    axes.text(-0.62, 1.3, "P(wolf), picture alone", ha="right", color=GREY)
    last = len(explained.pictures) - 1
    axes.text(last + 0.72, LONG_Y, "c, long-term", color=BLUE, va="center")
    axes.text(last + 0.72, SHORT_Y, "h, short-term", color=ORANGE, va="center")
    axes.set(xlim=(-3.1, last + 1.9), ylim=(-1.15, 1.5), aspect="equal")
    axes.axis("off")
    return figure


def draw_folded(axes: Any, x: float) -> None:
    """Draw one cell with memories that come back to it."""
    draw_cell(axes, x, "picture")
    for y, far, color in ((LONG_Y, 0.52, BLUE), (SHORT_Y, -0.52, ORANGE)):
        side = HALF + 0.25
        corners = [(HALF, y), (side, y), (side, far), (-side, far), (-side, y)]
        across, up = zip(*corners, strict=True)
        axes.plot([x + dx for dx in across], up, color=color, linewidth=1.8)
        draw_arrow(axes, (x - side, y), (x - HALF, y), color)
    axes.text(x + 1.1, CELL_Y, "=", fontsize=18, ha="center", va="center")


def draw_cell(axes: Any, x: float, picture: str) -> None:
    """Draw one copy of the cell, its picture below and its answer above."""
    box = FancyBboxPatch(
        (x - HALF, CELL_Y - HALF),
        2 * HALF,
        2 * HALF,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=PALE,
        edgecolor=INK,
        zorder=3,
    )
    axes.add_patch(box)
    axes.text(x, CELL_Y, "LSTM", ha="center", va="center", fontsize=9, zorder=4)
    draw_arrow(axes, (x, -0.82), (x, -HALF), INK)
    draw_arrow(axes, (x, HALF), (x, 0.95), INK)
    is_bear = picture == "bear"
    weight, color = ("bold", ORANGE) if is_bear else ("normal", INK)
    axes.text(x, -1.02, picture, ha="center", weight=weight, color=color)


def draw_memories(axes: Any, k: int, *, is_last: bool) -> None:
    """Draw both memories leaving a cell for the next."""
    reach = 0.68 if is_last else 1 - HALF
    draw_arrow(axes, (k + HALF, LONG_Y), (k + reach, LONG_Y), BLUE)
    draw_arrow(axes, (k + HALF, SHORT_Y), (k + reach, SHORT_Y), ORANGE)


def draw_arrow(
    axes: Any, start: tuple[float, float], end: tuple[float, float], color: str
) -> None:
    """Draw a straight arrow."""
    arrow = FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        mutation_scale=11,
        shrinkA=0,
        shrinkB=0,
        color=color,
        linewidth=1.8,
    )
    axes.add_patch(arrow)
