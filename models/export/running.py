"""Runners: implementations of a signature, run beside each other with memory carried.

A runner is a program or a SavedModel's signature. Does not know which difference is
too large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from models.export.compilation import Form, Program

STEPS = 1_000
# Random and real inputs take turns. No multiple of a chunk, so its last call is padded.
BLOCK = 50

Arrays = dict[str, Any]
# From named arrays to named arrays.
Call = Callable[..., Mapping[str, Any]]


class Distance(NamedTuple):
    """Errors of arrays, compared with exact ones.

    Args:
        largest: The largest difference of a number.
        squares: The sum of the squared differences.
        numbers: How many numbers.
    """

    largest: float
    squares: float
    numbers: int

    @property
    def root_mean_square(self) -> float:
        """The difference of a typical number."""
        return math.sqrt(self.squares / self.numbers)

    def join(self, other: Distance) -> Distance:
        """Return the distance of both."""
        return Distance(
            float(np.maximum(self.largest, other.largest)),
            self.squares + other.squares,
            self.numbers + other.numbers,
        )


Distances = dict[str, Distance]


class Runner(NamedTuple):
    """One implementation of a signature, to be run beside others.

    Args:
        form: Signature, and the rows and timesteps of its calls.
        call: From named arrays to named arrays.
        memory: Shapes of its memory, without the batch.
    """

    form: Form
    call: Call
    memory: Mapping[str, tuple[int, ...]]


def run_beside(
    reference: Call,
    runners: Sequence[Runner],
    sequence: Any,
    scale: Mapping[str, float | None],
    steps: int = STEPS,
) -> Iterator[tuple[int, Distances]]:
    """Carry the memories of all through a sequence, and yield who differs how far."""
    rows = largest_batch(runners, runners[0].form.signature)
    carried = begin(runners[0], rows)
    memories = [begin(runner, runner.form.batch) for runner in runners]
    for start in range(0, steps, BLOCK):
        block = sequence[:rows, start : min(start + BLOCK, steps)]
        expected, carried = advance(reference, block, carried, BLOCK)
        for k, runner in enumerate(runners):
            _, batch, timesteps = runner.form
            got, memories[k] = advance(
                runner.call, block[:batch], memories[k], timesteps
            )
            yield k, differ({**got, **memories[k]}, {**expected, **carried}, scale)


def largest_batch(runners: Sequence[Runner], signature: str) -> int:
    """Return how many sequences fill the calls of every runner of a signature."""
    return max(r.form.batch for r in runners if r.form.signature == signature)


def begin(runner: Runner | Program, batch: int) -> Arrays:
    """Make the memory of sequences that have not begun: zeros, by name."""
    return {
        name: np.zeros((batch, *shape), "float32")
        for name, shape in runner.memory.items()
    }


def advance(
    call: Call, sequence: Any, memory: Arrays, timesteps: int
) -> tuple[Arrays, Arrays]:
    """Call for some timesteps at a time, memory carried, the last call padded.

    Args:
        call: A signature or a program.
        sequence: Of shape (batch, any timesteps) or (batch, any timesteps, columns).
        memory: By name; what the call before left.
        timesteps: Timesteps of one call.

    Returns:
        Outputs by name, of shape (batch, any timesteps, ...), and the memory after.
    """
    parts: list[Arrays] = []
    for start in range(0, sequence.shape[1], timesteps):
        part = sequence[:, start : start + timesteps]
        length = part.shape[1]
        results = call(
            sequence=pad(part, timesteps),
            length=np.full(len(part), length, "int32"),
            **memory,
        )
        memory = {name: results[name] for name in memory}
        parts.append({k: v[:, :length] for k, v in results.items() if k not in memory})
    whole = {k: np.concatenate([part[k] for part in parts], axis=1) for k in parts[0]}
    return whole, memory


def pad(part: Any, timesteps: int) -> Any:
    """Add timesteps of zeros; a call of one timestep needs none, and `np.pad` costs."""
    missing = timesteps - part.shape[1]
    if not missing:
        return part
    return np.pad(part, [(0, 0), (0, missing)] + [(0, 0)] * (part.ndim - 2))


def differ(
    got: Arrays, expected: Arrays, scale: Mapping[str, float | None]
) -> Distances:
    """Measure how far every output and memory is off, by name."""
    distances: Distances = {}
    for name, array in got.items():
        wanted = expected[name][: len(array)]
        unit = scale.get(name) or np.maximum(1.0, np.abs(wanted))
        off = np.abs(array - wanted) / unit
        squares = float(np.sum(np.square(off, dtype="float64")))
        distances[name] = Distance(float(np.max(off)), squares, off.size)
    return distances


def merge(distances: Iterable[Distances]) -> Distances:
    """Join the distances of each name; a NaN stays one."""
    joined: Distances = {}
    for name, distance in (pair for each in distances for pair in each.items()):
        joined[name] = joined.get(name, Distance(0.0, 0.0, 0)).join(distance)
    return joined


def run_program(program: Program) -> Runner:
    """Load a program to be run beside others."""
    return Runner(program.form, load_program(program), program.memory)


def load_program(program: Program) -> Call:
    """Load a program as a function of named arrays, on one thread."""
    interpreter = Interpreter(model_content=program.content, num_threads=1)
    call: Call = interpreter.get_signature_runner(program.form.signature)
    return call


def load_signature(signature: Any) -> Call:
    """Make a SavedModel's signature a function of named arrays."""

    def call(**arrays: Any) -> Arrays:
        results = signature(**{k: tf.constant(v) for k, v in arrays.items()})
        return {name: tensor.numpy() for name, tensor in results.items()}

    return call
