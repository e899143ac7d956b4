"""Draws docs/explanation/lesson.md's pictures from a running service's own answers.

    make serve
    .venv/bin/python -m docs.plots.lesson --address http://127.0.0.1:8080

Prints the document's table of gates too. Knows nothing of how it is drawn
(`docs.plots.gates`, `docs.plots.unrolled`, `docs.plots.memory`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from docs.plots.answers import explain, format_gates
from docs.plots.gates import draw_gates
from docs.plots.memory import draw_memory
from docs.plots.style import save, use_style
from docs.plots.unrolled import draw_unrolled

IMAGES = Path(__file__).parents[1] / "images"
PROGRAMME = ("squirrel", "tree", "bear", "squirrel", "tree", "blurry")
NUM_NEUTRAL = 60
NEUTRAL = ("squirrel", "tree", "person") * (NUM_NEUTRAL // 3)
# What is shown before the neutral pictures, and what Bayes' rule says of the wolf.
BEGINNINGS = {"bear": 0.8, "tree": 0.15, "sofa": 0.0}


def main() -> None:
    """Ask the service, draw, print the table."""
    parser = argparse.ArgumentParser(prog="python -m docs.plots.lesson")
    parser.add_argument("--address", default="http://127.0.0.1:8080")
    address = parser.parse_args().address
    use_style()
    explained = explain(address, PROGRAMME)
    alone = [explain(address, (picture,)) for picture in PROGRAMME]
    long = {
        first: explain(address, (first, *NEUTRAL, "blurry")) for first in BEGINNINGS
    }
    save(draw_unrolled(explained, alone), IMAGES / "lesson-unrolled.svg")
    save(draw_gates(explained), IMAGES / "lesson-gates.svg")
    save(draw_memory(long, BEGINNINGS), IMAGES / "lesson-memory.svg")
    print(format_gates(explained))


if __name__ == "__main__":
    main()
