"""Self-test at load: whether the compiled programs of a version compute the same.

Their files are the ones exported, by their hashes; but what runs them, or the machine,
need not be what they were proved on. So each program runs over a short sequence and is
compared with the program for a single event, state carried. Knows no TensorFlow: the
export proves that the programs equal the SavedModel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from service.registry.artifact import Manifest
from service.registry.backends.base import CompiledProgram, Tensors
from service.registry.encoding.events import count_columns

# Float32 rounding of one timestep, as a share of the largest number where that is
# above 1; carried on, rounding may grow: it counts once per timestep.
TOLERANCE = 1e-5
# Timesteps more than the longest program takes: rows of a batch begin apart.
NUM_MORE = 3
SEED = 20


class SelftestStep(NamedTuple):
    """One event by the single program: what went in and what came out."""

    memory: Tensors
    results: Tensors


class Mismatch(NamedTuple):
    """A program that computes something else than the one for a single event."""

    program: CompiledProgram
    name: str
    difference: float


def find_mismatch(
    manifest: Manifest, programs: Sequence[CompiledProgram]
) -> Mismatch | None:
    """Find a program that does not agree with the first, which takes a single event.

    Args:
        manifest: Of the version.
        programs: All of them, of both signatures.
    """
    single, *others = programs
    num_timesteps = max(program.timesteps for program in programs) + NUM_MORE
    sequence = draw_sequence(manifest.input, num_timesteps)
    steps = list(carry(single, sequence, manifest.memory))
    for program in others:
        got, expected = run_beside(program, sequence, steps, manifest.memory)
        for name in sorted(got.keys() & expected.keys()):
            difference = measure(got[name], expected[name])
            # Turned round, so that a NaN is no agreement.
            if not difference <= TOLERANCE * program.timesteps:
                return Mismatch(program, name, difference)
    return None


def carry(
    single: CompiledProgram, sequence: np.ndarray, layout: Mapping[str, Sequence[int]]
) -> Iterator[SelftestStep]:
    """Run a sequence one event at a time."""
    memory = {name: np.zeros((1, *size), np.float32) for name, size in layout.items()}
    for t in range(len(sequence)):
        length = np.ones(1, np.int32)
        results = single.run(
            {"sequence": sequence[None, t : t + 1], "length": length, **memory}
        )
        yield SelftestStep(memory, results)
        memory = {name: results[name] for name in layout}


def run_beside(
    program: CompiledProgram,
    sequence: np.ndarray,
    steps: Sequence[SelftestStep],
    layout: Mapping[str, Sequence[int]],
) -> tuple[Tensors, Tensors]:
    """Make one call of complete rows, each beginning at another step.

    Returns:
        What came out, and what should have.
    """
    timesteps = program.timesteps
    num_starts = len(sequence) - timesteps + 1
    starts = [row % num_starts for row in range(program.batch)]
    results = program.run(
        {
            "sequence": np.stack([sequence[s : s + timesteps] for s in starts]),
            "length": np.full(program.batch, timesteps, np.int32),
            **{
                name: np.concatenate([steps[s].memory[name] for s in starts])
                for name in layout
            },
        }
    )
    expected = {
        name: np.concatenate(
            [
                steps[s + timesteps - 1].results[name]
                if name in layout
                else join(steps[s : s + timesteps], name)
                for s in starts
            ]
        )
        for name in steps[0].results
    }
    return results, expected


def join(steps: Sequence[SelftestStep], name: str) -> np.ndarray:
    """Join an output of single timesteps: of shape (1, timesteps, ...)."""
    return np.concatenate([step.results[name] for step in steps], axis=1)


def measure(got: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, as a share of the largest number above 1."""
    scale = max(1.0, float(np.max(np.abs(expected))))
    return float(np.max(np.abs(got - expected))) / scale


def draw_sequence(schema: Mapping[str, Any], timesteps: int) -> np.ndarray:
    """Draw events of an input schema, the same at every start.

    Returns:
        int32 of shape (timesteps,), or float32 of shape (timesteps, columns).
    """
    rng = np.random.default_rng(SEED)
    if schema["kind"] in ("event", "index"):
        return rng.integers(0, count_choices(schema), timesteps).astype(np.int32)
    fields = schema.get("fields", [{"type": "vector", "size": schema.get("size")}])
    columns = [draw_field(field, timesteps, rng) for field in fields]
    return np.concatenate(columns, axis=1).astype(np.float32)


def draw_field(
    field: Mapping[str, Any], timesteps: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw the columns of one field, of shape (timesteps, columns)."""
    if field["type"] in ("category", "index"):
        return rng.integers(0, count_choices(field), (timesteps, 1))
    if field["type"] == "time":
        days = 16_000 + np.arange(timesteps)
        return np.stack([days, rng.integers(0, 86_400, timesteps)], axis=1)
    numbers = rng.normal(size=(timesteps, count_columns(dict(field))))
    drawn: np.ndarray = numbers * field.get("std", 1.0) + field.get("mean", 0.0)
    return drawn


def count_choices(schema: Mapping[str, Any]) -> int:
    """Count the events, or the names of a category."""
    return int(schema.get("size") or len(schema["vocabulary"]))
