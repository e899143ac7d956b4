"""Comparison of a live answer with a shadow's, counted for the shadow's version."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from service.engine.rows import WHOLE, Advanced, Outcome
from service.registry.catalog import Model
from service.telemetry.traffic_metrics import (
    LIVE_ANSWER,
    SHADOW_ANSWER,
    find_shadow_tally,
)


def compare(
    outcome: Outcome, ahead: Advanced, encoded_by: Model, shadow: Model
) -> None:
    """Count how the answer of a shadow compares with the one that was sent.

    Args:
        outcome: Of the row.
        ahead: The shadow's answer.
        encoded_by: The version that the request was for.
        shadow: The shadow's version.

    Raises:
        ValueError: They answer different things.
    """
    live = outcome.model or encoded_by
    tally = find_shadow_tally(shadow.manifest.name, shadow.manifest.version)
    one, other = read_answer(outcome.outputs, live), read_answer(ahead.outputs, shadow)
    if live.manifest.labels and shadow.manifest.labels:
        agrees = decide(one, live) == decide(other, shadow)
        tally.agreed.number += agrees
        one, other = align(name_values(one, live), name_values(other, shadow))
    if one.shape != other.shape:
        raise ValueError(f"answers of shapes {one.shape} and {other.shape}")
    tally.difference.add(float(np.abs(one - other).max(initial=0.0)))
    live_surprise, surprise = outcome.outputs.get(WHOLE), ahead.outputs.get(WHOLE)
    # Nothing was expected before the first event of a sequence.
    if outcome.step > 1 and live_surprise is not None and surprise is not None:
        tally.surprise[LIVE_ANSWER].add(float(live_surprise[-1]))
        tally.surprise[SHADOW_ANSWER].add(float(surprise[-1]))


def read_answer(outputs: Mapping[str, np.ndarray], model: Model) -> np.ndarray:
    """Return a version's answer after the last event."""
    answer: np.ndarray = outputs[model.manifest.output["name"]][-1]
    return answer


def name_values(answer: np.ndarray, model: Model) -> dict[str, float]:
    """Return the probability of each label."""
    return dict(zip(model.manifest.labels or [], answer.tolist(), strict=True))


def align(
    one: dict[str, float], other: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Lay probabilities in the same order; 0 for a label that a version lacks."""
    labels = one | other
    first, second = ([v.get(label, 0.0) for label in labels] for v in (one, other))
    return np.array(first), np.array(second)


def decide(answer: np.ndarray, model: Model) -> tuple[str, set[str]]:
    """Return the most probable label, and those over the version's threshold."""
    named, threshold = name_values(answer, model), model.manifest.threshold
    decided = {n for n, p in named.items() if threshold is not None and p >= threshold}
    return max(named, key=named.__getitem__), decided
