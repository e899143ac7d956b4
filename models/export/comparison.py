"""Proof that compiled programs compute what the SavedModel does, 1,000 steps on.

Memory is carried through each program and through the SavedModel apart, so an error
that grows with the steps is seen. Does not know how a program was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from models.export.compilation import CannotCompile, Program
from models.export.verification import TOLERANCE, output_scale, random_sequence
from models.features import Schema

STEPS = 1_000
# Random and real inputs take turns. No multiple of a chunk, so its last call is padded.
BLOCK = 50
# Memories, gates and surprise are allowed more than probabilities, relative to their
# size where that is above 1: memory has no bound, and surprise is a logarithm.
OTHERS_TOLERANCE = 10 * TOLERANCE

Arrays = dict[str, Any]
# From named arrays to named arrays.
Call = Callable[..., Mapping[str, Any]]


def compare_programs(
    path: Path,
    programs: Sequence[Program],
    inputs: Schema,
    outputs: Schema,
    *,
    real: Any,
) -> dict[str, float]:
    """Run programs and the SavedModel beside each other and compare every timestep.

    Args:
        path: The SavedModel.
        programs: From `models.export.compilation.compile_programs`.
        inputs: Its input schema.
        outputs: Its output schema.
        real: A few real encoded sequences, of shape (batch, timesteps) or
            (batch, timesteps, columns).

    Returns:
        The largest difference of any output and memory by its name: probabilities as
        they are, forecasts in standard deviations of their field, others relative to
        their size where that is above 1.
    """
    loaded = tf.saved_model.load(str(path))
    rows = max(program.form.batch for program in programs)
    sequence = long_sequences(inputs, np.asarray(real), rows)
    scale = {outputs["name"]: output_scale(inputs, outputs)}
    largest: dict[str, float] = {}
    for name in sorted({program.form.signature for program in programs}):
        chosen = [program for program in programs if program.form.signature == name]
        reference = load_signature(loaded.signatures[name])
        for differences in run_beside(reference, chosen, sequence, scale):
            merge(largest, differences)
    return largest


def check_differences(largest: Mapping[str, float], output: str) -> None:
    """Refuse programs that compute something else.

    Raises:
        CannotCompile: A difference is above its tolerance; names the output.
    """
    for name, difference in largest.items():
        allowed = TOLERANCE if name == output else OTHERS_TOLERANCE
        if not difference <= allowed:  # a NaN is a difference too
            raise CannotCompile(
                f"compiled, {name} differs from the SavedModel by {difference:.2e} "
                f"within {STEPS} carried steps; at most {allowed:.0e} is allowed."
            )


def long_sequences(inputs: Schema, real: Any, rows: int) -> Any:
    """Join random and real stretches to sequences of `STEPS`, one per row."""
    sequence = random_sequence(inputs, rows, STEPS, np.random.default_rng(0))
    is_real = np.arange(STEPS) // BLOCK % 2 == 1
    events = real.reshape(-1, *real.shape[2:])
    # Every row begins elsewhere in the real events.
    start = np.arange(rows)[:, None] * len(events) // rows
    position = (start + np.arange(is_real.sum())) % len(events)
    sequence[:, is_real] = events[position]
    return sequence


def run_beside(
    reference: Call,
    programs: Sequence[Program],
    sequence: Any,
    scale: Mapping[str, float | None],
) -> Iterator[dict[str, float]]:
    """Carry the memories of all through a sequence, and yield the differences."""
    rows = max(program.form.batch for program in programs)
    calls = [load_program(program) for program in programs]
    carried = begin(programs[0], rows)
    memories = [begin(program, program.form.batch) for program in programs]
    for start in range(0, STEPS, BLOCK):
        block = sequence[:rows, start : start + BLOCK]
        expected, carried = advance(reference, block, carried, BLOCK)
        for k, (program, call) in enumerate(zip(programs, calls, strict=True)):
            _, batch, timesteps = program.form
            got, memories[k] = advance(call, block[:batch], memories[k], timesteps)
            yield differ({**got, **memories[k]}, {**expected, **carried}, scale)


def begin(program: Program, batch: int) -> Arrays:
    """Make the memory of sequences that have not begun: zeros, by name."""
    return {
        name: np.zeros((batch, *shape), "float32")
        for name, shape in program.memory.items()
    }


def advance(
    call: Call, sequence: Any, memory: Arrays, timesteps: int
) -> tuple[Arrays, Arrays]:
    """Call for so many timesteps at a time, memory carried, the last call padded.

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
        padding = [(0, 0), (0, timesteps - length)] + [(0, 0)] * (part.ndim - 2)
        results = call(
            sequence=np.pad(part, padding),
            length=np.full(len(part), length, "int32"),
            **memory,
        )
        memory = {name: results[name] for name in memory}
        parts.append({k: v[:, :length] for k, v in results.items() if k not in memory})
    whole = {k: np.concatenate([part[k] for part in parts], axis=1) for k in parts[0]}
    return whole, memory


def differ(got: Arrays, expected: Arrays, scale: Mapping[str, float | None]) -> Arrays:
    """Return the largest difference of every output and memory, by name."""
    differences: Arrays = {}
    for name, array in got.items():
        wanted = expected[name][: len(array)]
        unit = scale.get(name) or np.maximum(1.0, np.abs(wanted))
        differences[name] = float(np.max(np.abs(array - wanted) / unit))
    return differences


def merge(largest: dict[str, float], differences: Mapping[str, float]) -> None:
    """Keep the larger of two differences of each name; a NaN is the largest."""
    for name, difference in differences.items():
        largest[name] = float(np.maximum(largest.get(name, 0.0), difference))


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
