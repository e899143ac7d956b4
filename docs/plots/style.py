"""Style of every picture of the documents. Knows nothing of what is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

# Okabe & Ito's colours, distinct with any kind of colour vision.
# Reference: Wong, Points of view: Color blindness, Nature Methods 8, 2011,
# doi 10.1038/nmeth.1618.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, SKY, YELLOW = "#CC79A7", "#56B4E9", "#E69F00"
INK, GREY, PALE = "#222222", "#767676", "#E4E4E4"

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    # White, not transparent: the documents are read on dark pages too.
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    # Glyphs as paths look the same everywhere; a fixed salt keeps the file the same.
    "svg.fonttype": "path",
    "svg.hashsalt": "carryover",
}


def use_style() -> None:
    """Apply the style, and draw without a screen."""
    mpl.use("svg")
    mpl.rcParams.update(STYLE)


def save(figure: Any, path: Path) -> None:
    """Write a figure as SVG, the same bytes for the same figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.15)
