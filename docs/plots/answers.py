"""Asks a running service, and lays its answers out as arrays."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

LABELS = ("dog", "wolf", "fish")


class Explanation(NamedTuple):
    """Answer of `:explain` to a programme, event by event.

    Args:
        pictures: The events.
        probabilities: Of shape (events, labels).
        gates: Gates and memories of the first layer by name, each (events, units).
    """

    pictures: tuple[str, ...]
    probabilities: Any
    gates: dict[str, Any]


def explain(address: str, pictures: Sequence[str]) -> Explanation:
    """Ask `nature` for its answer after every picture, and for its gates.

    Raises:
        ValueError: The model has other labels than the lesson's.
    """
    body = {"instances": [list(pictures)], "return": "all"}
    request = urllib.request.Request(
        f"{address}/v1/models/nature:explain", json.dumps(body).encode()
    )
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)
    if tuple(answer["labels"]) != LABELS:
        raise ValueError(f"labels are {answer['labels']}; expected {list(LABELS)}.")
    (row,) = answer["predictions"]
    gates = {name: np.array(values) for name, values in row["layers"][0].items()}
    return Explanation(tuple(pictures), np.array(row["probabilities"]), gates)


def format_gates(explained: Explanation) -> str:
    """Lay the gates out as a Markdown table, averaged over the units."""
    lines = [
        "| picture | learn i | forget f | remember, size of c | use o | P(wolf) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    gates = explained.gates
    for k, picture in enumerate(explained.pictures):
        figures = (
            gates["learn"][k].mean(),
            gates["forget"][k].mean(),
            np.abs(gates["long_term"][k]).mean(),
            gates["use"][k].mean(),
            explained.probabilities[k, LABELS.index("wolf")],
        )
        cells = " | ".join(f"{figure:.2f}" for figure in figures)
        lines.append(f"| {picture} | {cells} |")
    return "\n".join(lines)
