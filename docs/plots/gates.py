"""Draws the four gates at work: every unit at every event."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from docs.plots.answers import Explanation

# Purple to orange and one hue dark to light: both survive any kind of colour vision.
SIGNED, SHARE = "PuOr_r", "cividis"


def draw_gates(explained: Explanation) -> Any:
    """Draw learned, forget, long-term and short-term memory, units by events."""
    gates = explained.gates
    # The units that the bear changed most on top: the same order in every panel.
    bear = explained.pictures.index("bear")
    change = gates["long_term"][-1] - gates["long_term"][bear - 1]
    order = np.argsort(-change)
    panels = [
        ("learn", "i * g, taken from the picture", gates["learn"] * gates["candidate"]),
        ("forget", "f, share of c that is kept", gates["forget"]),
        ("remember", "c, long-term memory", gates["long_term"]),
        ("use", "h = o * tanh(c), short-term memory", gates["short_term"]),
    ]
    figure, axes = plt.subplots(1, 4, figsize=(11, 4.6), sharey=True)
    for panel, (name, words, values) in zip(axes, panels, strict=True):
        draw_panel(
            panel, explained.pictures, values[:, order], is_share=name == "forget"
        )
        panel.set_title(name, fontweight="bold", pad=18)
        panel.text(0, 1.02, words, transform=panel.transAxes, fontsize=8.5)
    axes[0].invert_yaxis()  # shared: inverts them all
    axes[0].set_ylabel("16 units, those the bear raised on top", fontsize=9)
    figure.tight_layout(w_pad=1.2)
    return figure


def draw_panel(
    panel: Any, pictures: tuple[str, ...], values: Any, *, is_share: bool
) -> None:
    """Draw one quantity, of shape (events, units), with its scale below."""
    reach = 1.0 if is_share else float(np.abs(values).max())
    image = panel.pcolormesh(
        values.T,
        cmap=SHARE if is_share else SIGNED,
        vmin=0 if is_share else -reach,
        vmax=reach,
        edgecolors="white",
        linewidth=0.6,
    )
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    panel.set_xticks(np.arange(len(pictures)) + 0.5, pictures, rotation=90)
    panel.set_yticks([])
    bear = panel.get_xticklabels()[pictures.index("bear")]
    bear.set_fontweight("bold")
    bar = plt.colorbar(image, ax=panel, orientation="horizontal", pad=0.2, aspect=14)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8)
