"""Weights of targets by their label: rare labels count as much as frequent ones.

They multiply the weights of events in training; validation and evaluation stay as the
data are. Probabilities of a network trained so are those of data balanced so.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from models.schemas import list_heads
from training.data.dataset import Array, Dataset, Examples, Sequences
from training.errors import ConfigError
from training.training_section import BALANCED, TrainingConfig

CLASSIFIERS = ("label", "sequence_label", "next_event")

Drawn = Examples | Sequences
Draw = Callable[[np.random.Generator], Drawn]


def check_classified(dataset: Dataset, training: TrainingConfig) -> None:
    """Refuse keys about labels where there are none, before the training.

    Raises:
        ConfigError: No output is a classifier, or none has a label that is weighed.
    """
    heads = [h for h in list_heads(dataset.outputs) if h["kind"] in CLASSIFIERS]
    for name in ("label_smoothing", "class_weights"):
        value = getattr(training, name)
        if value and not heads:
            raise ConfigError(
                f"training.{name} is {value!r}; expected a task with labels or next "
                f"events, and this one is {dataset.outputs['kind']}. Leave it out."
            )
    if isinstance(training.class_weights, dict):
        labels = [label for head in heads for label in head["labels"]]
        for label in training.class_weights:
            refuse_unknown_label(label, labels)


def refuse_unknown_label(label: str, labels: list[str]) -> None:
    """Refuse a label that no output has.

    Raises:
        ConfigError: No output has it.
    """
    if label in labels:
        return
    near = difflib.get_close_matches(label, labels, n=3) or labels[:10]
    raise ConfigError(
        f"training.class_weights names {label!r}, which is not a label; expected "
        f"labels such as {', '.join(map(repr, near))}. Correct the name."
    )


def weigh(draw: Draw, outputs: Mapping[str, Any], given: Any, seed: int) -> Draw:
    """Multiply the weights of an epoch's targets by those of their labels.

    Args:
        draw: Draws an epoch.
        outputs: The output schema.
        given: `balanced`, or weights by label; None leaves epochs as they are.
        seed: Of the epoch in which labels are counted.
    """
    if given is None:
        return draw
    heads = list_heads(outputs)
    counted = draw(np.random.default_rng(seed))
    tables = [
        find_table(head, *take_head(counted, k, len(heads)), given)
        for k, head in enumerate(heads)
    ]

    def draw_weighted(rng: np.random.Generator) -> Drawn:
        drawn = draw(rng)
        weights = drawn.weights.astype(np.float32)
        for k, table in enumerate(tables):
            if table is not None:
                targets, own = take_head(drawn, k, len(heads))
                factors = table[targets.astype(np.int64)]
                if len(heads) == 1:
                    weights = own.astype(np.float32) * factors
                else:
                    weights[..., k] *= factors
        return drawn._replace(weights=weights)

    return draw_weighted


def take_head(drawn: Drawn, k: int, count: int) -> tuple[Array, Array]:
    """Take targets and weights of one head; several lie side by side."""
    if count == 1:
        return drawn.targets, drawn.weights
    return drawn.targets[..., k], drawn.weights[..., k]


def find_table(
    head: Mapping[str, Any], targets: Array, weights: Array, given: Any
) -> Array | None:
    """Find the weight of each label of a head; None where it has no labels.

    Balanced is n / (labels * n of the label), so that the mean over all events is 1. A
    label that is not in the epoch weighs 1.
    """
    if head["kind"] not in CLASSIFIERS:
        return None
    labels = head["labels"]
    if given != BALANCED:
        return np.array([given.get(label, 1.0) for label in labels], np.float32)
    counts = np.bincount(targets[weights > 0].astype(np.int64), minlength=len(labels))
    seen = np.count_nonzero(counts)
    table = np.where(counts, counts.sum() / (seen * np.maximum(counts, 1)), 1.0)
    return table.astype(np.float32)
