"""Paths: events that may follow one another; how one is chosen, and memory advances.

The most probable path is looked for by beam search (Lowerre, "The HARPY speech
recognition system", 1976), which is exact while every path fits the beams; samples are
drawn event by event. The memory of a path advances by its last event.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from service.engine.execution import advance_batch, split_memory
from service.engine.resume import ResumeState
from service.errors import CarryoverError
from service.registry.catalog import Model

# The memory tensor that contains a network's prediction of the next event.
EXPECTED = "expected"


class DecodingPlan(NamedTuple):
    """Options of a forecast's decoding: beam search or sampling.

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
    """One path of a forecast.

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


def find_end(model: Model) -> int | None:
    """Return the position of the label after which nothing follows, if there is one."""
    end = model.manifest.output.get("end")
    return None if end is None else (model.manifest.labels or []).index(end)


def begin_paths(
    model: Model, pasts: Mapping[int, ResumeState], deadline: float
) -> dict[int, Path | CarryoverError]:
    """Run the rows' own events, and note what the network expects after them."""
    begun: dict[int, Path | CarryoverError] = {}
    running = {
        k: resume_state
        for k, resume_state in pasts.items()
        if len(resume_state.sequence)
    }
    for k, resume_state in pasts.items():
        if k not in running:
            begun[k] = Path(
                (),
                (),
                0.0,
                resume_state.tensors,
                read_expected(model, resume_state.tensors),
            )
    if running:
        advanced = advance_batch(
            model,
            "advance",
            [resume_state.sequence for resume_state in running.values()],
            [resume_state.tensors for resume_state in running.values()],
            deadline=deadline,
            is_last_only=True,
        )
        name = model.manifest.output["name"]
        for k, ahead in zip(running, advanced, strict=True):
            if isinstance(ahead, CarryoverError):
                begun[k] = ahead
            else:
                begun[k] = Path((), (), 0.0, ahead.tensors, ahead.outputs[name][-1])
    return begun


def read_expected(model: Model, tensors: bytes | None) -> np.ndarray:
    """Read from a memory the prediction of the next event."""
    packed = np.frombuffer(tensors or model.no_memory, model.memory_dtype)[None]
    expected: np.ndarray = split_memory(packed, model)[EXPECTED][0]
    return expected


def advance_paths(
    model: Model, paths: dict[int, list[Path]], deadline: float
) -> dict[int, CarryoverError]:
    """Advance the memory of every path by its last event, in one batch.

    Returns:
        The rows of which a path led to something that is not a number.
    """
    end = find_end(model)
    flat = [
        (k, path)
        for k, own in paths.items()
        for path in own
        if not has_ended(path, end)
    ]
    if not flat:
        return {}
    advanced = advance_batch(
        model,
        "advance",
        [np.array([path.events[-1]], model.encoder.dtype) for _, path in flat],
        [path.tensors for _, path in flat],
        deadline=deadline,
        is_last_only=True,
    )
    failed: dict[int, CarryoverError] = {}
    name = model.manifest.output["name"]
    results = iter(advanced)
    for k, own in paths.items():
        paths[k] = []
        for path in own:
            ahead = path if has_ended(path, end) else next(results)
            if isinstance(ahead, CarryoverError):
                failed[k] = ahead
            elif isinstance(ahead, Path):
                paths[k].append(ahead)
            else:
                last = ahead.outputs[name][-1]
                paths[k].append(path._replace(tensors=ahead.tensors, ahead=last))
    return failed
