"""Plot of what is left of a bear after sixty neutral pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from docs.plots.answers import LABELS, Explanation
from docs.plots.style import BLUE, GREEN, INK, ORANGE, PURPLE, SKY

NUM_UNITS_SHOWN = 3
LOOKS = {"bear": (ORANGE, "-"), "tree": (INK, "--"), "sofa": (BLUE, "-.")}
WOLF = LABELS.index("wolf")


def draw_memory(
    explained: Mapping[str, Explanation], exact: Mapping[str, float]
) -> Any:
    """Draw long-term memory above, P(wolf) below, over the pictures after the first.

    Args:
        explained: Programmes that differ in their first picture alone, by that picture.
        exact: P(wolf) by Bayes' rule, by the first picture.
    """
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(9, 6), sharex=True, height_ratios=(3, 2)
    )
    draw_units(above, explained["bear"], explained["tree"])
    draw_wolf(below, explained, exact)
    below.set_xlabel("pictures since the first, all neutral but the last (blurry)")
    figure.tight_layout()
    return figure


def draw_units(panel: Any, bear: Explanation, tree: Explanation) -> None:
    """Draw the units that distinguish bear from tree longest, both ways."""
    with_bear, without = bear.gates["long_term"], tree.gates["long_term"]
    apart = np.abs(with_bear[-2] - without[-2])
    shown = np.argsort(-apart)[:NUM_UNITS_SHOWN]
    pictures = np.arange(len(with_bear))
    for unit, color in zip(shown, (ORANGE, GREEN, PURPLE), strict=True):
        panel.plot(pictures, with_bear[:, unit], color=color, linewidth=1.8)
        panel.plot(
            pictures, without[:, unit], color=color, linewidth=1.2, linestyle="--"
        )
        end = (pictures[-1] + 0.8, with_bear[-1, unit])
        panel.annotate(f"unit {unit}", end, color=color, va="center", weight="bold")
    panel.plot([], [], color=INK, linewidth=1.8, label="the first picture was a bear")
    panel.plot(
        [], [], color=INK, linewidth=1.2, linestyle="--", label="it was a tree instead"
    )
    panel.legend(loc="lower right", ncols=2, bbox_to_anchor=(1, 0.98))
    panel.set_ylabel("c, long-term memory")
    panel.set_title("Long-term memory of three units of sixteen")


def draw_wolf(
    panel: Any, explained: Mapping[str, Explanation], exact: Mapping[str, float]
) -> None:
    """Draw the network's P(wolf) over the exact one."""
    for first, one in explained.items():
        color, line = LOOKS[first]
        wolf = one.probabilities[:, WOLF]
        panel.axhline(exact[first], color=SKY, linewidth=5, alpha=0.35)
        panel.plot(np.arange(len(wolf)), wolf, line, color=color, linewidth=1.5)
        panel.annotate(
            first,
            (len(wolf) - 0.2, wolf[-1] + 0.05),
            color=color,
            va="center",
            weight="bold",
        )
    panel.plot(
        [], [], color=SKY, linewidth=5, alpha=0.35, label="exact, by Bayes' rule"
    )
    panel.legend(loc="center left", bbox_to_anchor=(0.02, 0.5))
    panel.set(ylim=(-0.04, 1), xlim=(0, len(wolf) + 3), ylabel="P(wolf)")
    panel.set_title("What a blurry picture would be called")
