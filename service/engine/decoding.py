"""Paths: events that may follow one another, and how the next one is chosen.

The most probable path is looked for by beam search (Lowerre, "The HARPY speech
recognition system", 1976), which is exact while every path fits the beams; samples are
drawn event by event. It does not know how a memory advances; `service.engine.forecast`
does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class DecodingPlan(NamedTuple):
    """What is asked for.

    Attributes:
        horizon: How many events ahead, 1 or more.
        samples: How many paths to draw; None looks for the most probable one.
        seed: Of the samples. A row's paths depend on it, on the row's position and on
            its memory, not on the other rows.
        beams: How many paths the search follows at a time.
    """

    horizon: int
    samples: int | None
    seed: int
    beams: int

    @property
    def num_paths(self) -> int:
        """Paths followed at a time for one row."""
        return self.beams if self.samples is None else self.samples


class Path(NamedTuple):
    """One continuation.

    Attributes:
        events: Positions of its events among the labels.
        probabilities: What the network gave each, when it was the next.
        log_probability: Natural logarithm of the probability of the whole path.
        tensors: The memory its last event is yet to advance, or has advanced.
        ahead: Probabilities of the event after it, float of shape (labels,).
    """

    events: tuple[int, ...]
    probabilities: tuple[float, ...]
    log_probability: float
    tensors: bytes | None
    ahead: np.ndarray


def extend(
    paths: Sequence[Path],
    plan: DecodingPlan,
    generator: np.random.Generator,
    end: int | None = None,
) -> list[Path]:
    """Choose the next event of each path, or the best next paths of all.

    Args:
        paths: The paths.
        plan: What is asked for.
        generator: Of the samples.
        end: The label after which nothing follows, if there is one.
    """
    over = [path for path in paths if has_ended(path, end)]
    open_paths = [path for path in paths if not has_ended(path, end)]
    if plan.samples is not None:
        drawn = iter([append_event(p, draw(p.ahead, generator)) for p in open_paths])
        return [path if has_ended(path, end) else next(drawn) for path in paths]
    candidates = over + [
        append_event(path, int(k))
        for path in open_paths
        for k in np.argsort(-path.ahead, kind="stable")[: plan.beams]
        if path.ahead[k] > 0
    ]
    candidates.sort(key=lambda path: -path.log_probability)
    return candidates[: plan.beams]


def has_ended(path: Path, end: int | None) -> bool:
    """Return whether a path has come to the end, after which nothing follows."""
    return end is not None and path.events[-1:] == (end,)


def draw(probabilities: np.ndarray, generator: np.random.Generator) -> int:
    """Draw an event by its probability."""
    reached = np.cumsum(probabilities, dtype=np.float64)
    # Not the last one's: float32 probabilities need not sum to 1.
    return int(np.searchsorted(reached, generator.random() * reached[-1], "right"))


def append_event(path: Path, event: int) -> Path:
    """Append an event to a path; its memory is computed later."""
    probability = float(path.ahead[event])
    return path._replace(
        events=(*path.events, event),
        probabilities=(*path.probabilities, probability),
        log_probability=path.log_probability + math.log(probability),
    )
