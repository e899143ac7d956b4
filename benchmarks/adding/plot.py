"""Draws where the simple RNN stops: error against updates, for both lengths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from docs.plots.style import BLUE, INK, ORANGE, save, use_style

LOOKS = {
    "rnn": (ORANGE, "--", "simple RNN, 64 units"),
    "lstm": (BLUE, "-", "LSTM, 32 units"),
}


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Draw every seed's curve, a panel per length.

    Args:
        result: What `result.json` holds.
        path: The SVG to write.
    """
    use_style()
    from matplotlib import pyplot as plt

    lengths = sorted({one["timesteps"] for one in result["runs"]})
    figure, axes = plt.subplots(1, len(lengths), figsize=(9, 3.6), sharey=True)
    for panel, length in zip(axes, lengths, strict=True):
        for one in result["runs"]:
            if one["timesteps"] == length:
                draw_curves(panel, one, result["point_updates"])
        panel.axhline(result["baseline_mse"], color=INK, linewidth=1, zorder=1)
        panel.set(title=f"T = {length} timesteps", xlabel="updates (64 sequences each)")
        panel.set(yscale="log", xlim=(0, result["updates"]), ylim=(4e-5, 0.6))
    axes[0].set_ylabel("mean squared error")
    axes[-1].text(
        result["updates"], 0.26, "always answering 1: 0.1667", color=INK, ha="right"
    )
    axes[-1].legend(loc="lower left")
    figure.tight_layout()
    save(figure, path)
    plt.close(figure)


def draw_curves(panel: Any, run: Mapping[str, Any], point_updates: int) -> None:
    """Draw one cell's curves, one per seed."""
    color, line, label = LOOKS[run["cell"]]
    for k, curve in enumerate(run["curves"]):
        updates = (np.arange(len(curve)) + 1) * point_updates
        panel.plot(
            updates,
            curve,
            line,
            color=color,
            linewidth=1.5,
            alpha=0.9,
            label=None if k else label,
        )
