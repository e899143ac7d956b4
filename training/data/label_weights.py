"""Weights of a case's label by the position of the event that is asked for it.

A network that is asked early and late alike learns what the first events allow, also
where only the answer after the last event is of use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training.data.dataset import Array, Sequences
from training.data.heads import HeldOutLabels
from training.errors import ConfigError

EVEN, RISING, LAST = LABEL_WEIGHTS = ("even", "rising", "last")


def check_label_weight(held_out: HeldOutLabels, weight: str) -> None:
    """Refuse weights by position where events have labels of their own.

    Raises:
        ConfigError: They have.
    """
    if weight != EVEN and not held_out.of_case:
        raise ConfigError(
            f'data.label_weight is "{weight}"; expected "{EVEN}", as the label changes '
            "within a case of the training part, so that each event has its own. Leave "
            "it out, or check data.label."
        )


def weigh_positions(part: Sequences, held_out: Any) -> Sequences:
    """Weigh the targets of a part by their position, as a head of labels asks for it.

    The mean weight of a case stays 1, so that a learning rate suits all of them.

    Args:
        part: Training or validation part, whole cases.
        held_out: Of the head; other heads than labels leave the part unchanged.
    """
    weight = held_out.label_weight if isinstance(held_out, HeldOutLabels) else EVEN
    if weight == EVEN or not len(part.lengths):
        return part
    begins, lengths = part.offsets[:-1], part.lengths
    positions = np.arange(1, len(part.weights) + 1) - np.repeat(begins, lengths)
    asked = part.weights > 0
    factors = np.where(asked, positions, 0).astype(np.float64)
    if weight == LAST:
        latest = np.repeat(np.maximum.reduceat(factors, begins), lengths)
        factors = (asked & (factors == latest)).astype(np.float64)
    totals, counts = (np.add.reduceat(a, begins) for a in (factors, asked.astype(int)))
    scale = np.divide(counts, totals, out=np.zeros(len(begins)), where=totals > 0)
    weights: Array = factors * np.repeat(scale, lengths)
    return part._replace(weights=weights.astype(np.float32))
