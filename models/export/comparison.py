"""Proof that compiled programs compute what the SavedModel does, 1,000 steps on.

Memory is carried through each program and through the SavedModel apart, so an error
that grows with the steps is seen. Where the two part although neither is wrong, the
network in float64 decides. Does not know how a program was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from models.export.compilation import CannotCompile, Form, Program
from models.export.loading import load_saved_model
from models.export.running import (
    BLOCK,
    STEPS,
    Call,
    Distance,
    Distances,
    Runner,
    largest_batch,
    load_signature,
    merge,
    run_beside,
    run_program,
)
from models.export.truth import truth_call, widen_network
from models.export.verification import TOLERANCE, output_scale, random_sequence
from models.features import Schema

# Memories, gates and surprise are allowed more than probabilities, relative to their
# size where that is above 1: memory has no bound, and surprise is a logarithm.
OTHERS_TOLERANCE = 10 * TOLERANCE
# A memory that counts, with forget gates near 1, adds up roundings, and where its units
# tip over it magnifies them: of the bundled `nature` network a typical number is 1e-7
# off in any implementation (SavedModel, LiteRT with and without XNNPACK, NumPy) and one
# of 10,000 up to 4e-5, elsewhere in each. So where two implementations part, all have
# to be nearer to the truth than the tolerance but for rare moments.
TYPICAL, RARE = 0.1, 10
# Two implementations that round differently are within this of each other.
AS_NEAR = 2


class Errors(NamedTuple):
    """Distances from the network in float64, by the name of an output or memory.

    Args:
        programs: Those of each program.
        saved_model: Those of the SavedModel.
    """

    programs: list[Distances]
    saved_model: Distances


def compare_programs(
    path: Path,
    programs: Sequence[Program],
    inputs: Schema,
    outputs: Schema,
    *,
    real: Any,
    steps: int = STEPS,
) -> dict[str, float]:
    """Run programs and the SavedModel beside each other and compare every timestep.

    Args:
        path: The SavedModel.
        programs: From `models.export.compilation.compile_programs`.
        inputs: Its input schema.
        outputs: Its output schema.
        real: A few real encoded sequences, of shape (batch, timesteps) or
            (batch, timesteps, columns).
        steps: How many are carried.

    Returns:
        The largest difference of any output and memory by its name: probabilities as
        they are, forecasts in standard deviations of their field, others relative to
        their size where that is above 1.
    """
    signatures = load_saved_model(path).signatures
    references = {name: load_signature(call) for name, call in signatures.items()}
    runners = [run_program(program) for program in programs]
    distances = compare_runners(
        references, runners, inputs, outputs, real=real, steps=steps
    )
    return {name: distance.largest for name, distance in merge(distances).items()}


def compare_with_truth(
    path: Path,
    network: keras.Model,
    programs: Sequence[Program],
    inputs: Schema,
    outputs: Schema,
    *,
    real: Any,
) -> Errors:
    """Compare the programs, and the SavedModel, with the network in float64.

    Raises:
        ValueError: Keras cannot make the network again from its description.
        TypeError: The same.
    """
    signatures = load_saved_model(path).signatures
    wide = widen_network(network)
    runners = [run_program(program) for program in programs]
    truth = {name: truth_call(wide, outputs, name) for name in signatures_of(runners)}
    saved = [
        Runner(
            Form(name, largest_batch(runners, name), BLOCK),
            load_signature(signatures[name]),
            programs[0].memory,
        )
        for name in truth
    ]
    errors = compare_runners(truth, [*runners, *saved], inputs, outputs, real=real)
    return Errors(errors[: len(runners)], merge(errors[len(runners) :]))


def compare_runners(
    references: Mapping[str, Call],
    runners: Sequence[Runner],
    inputs: Schema,
    outputs: Schema,
    *,
    real: Any,
    steps: int = STEPS,
) -> list[Distances]:
    """Return each runner's distances from the reference of its signature."""
    rows = max(runner.form.batch for runner in runners)
    sequence = long_sequences(inputs, np.asarray(real), rows)
    # What the event alone says is in the same unit as what it says with a memory.
    unit = output_scale(inputs, outputs)
    scale = {outputs["name"]: unit, f"alone_{outputs['name']}": unit}
    distances: list[Distances] = [{} for _ in runners]
    for name in signatures_of(runners):
        chosen = [k for k, r in enumerate(runners) if r.form.signature == name]
        beside = run_beside(
            references[name], [runners[k] for k in chosen], sequence, scale, steps
        )
        for k, more in beside:
            distances[chosen[k]] = merge([distances[chosen[k]], more])
    return distances


def signatures_of(runners: Sequence[Runner]) -> list[str]:
    """List the signatures that runners implement, each once."""
    return sorted({runner.form.signature for runner in runners})


def check_differences(
    largest: Mapping[str, float], output: str, steps: int = STEPS
) -> None:
    """Refuse programs that are not near the SavedModel.

    Raises:
        CannotCompile: A difference is above its tolerance; names the output.
    """
    for name, difference in largest.items():
        allowed = allow(name, output)
        if not difference <= allowed:  # a NaN is a difference too
            raise CannotCompile(
                f"compiled, {name} differs from the SavedModel by {difference:.2e} "
                f"within {steps} carried steps; at most {allowed:.0e} is allowed."
            )


def check_errors(errors: Errors, output: str) -> None:
    """Refuse programs, or a SavedModel, farther from the truth than float32 must be.

    Raises:
        CannotCompile: An error is above what is allowed; names the output.
    """
    for name, distance in named(errors):
        typical, largest = distance.root_mean_square, distance.largest
        allowed = allow(name, output)
        if not (typical <= allowed * TYPICAL and largest <= allowed * RARE):
            raise CannotCompile(
                f"compiled, {name} is {typical:.2e} (root mean square; at most "
                f"{allowed * TYPICAL:.0e}) and {largest:.2e} (at most "
                f"{allowed * RARE:.0e}) off the network in float64 within {STEPS} "
                "carried steps."
            )


def check_as_near(errors: Errors) -> None:
    """Refuse programs farther from the truth than the SavedModel is.

    Where a memory magnifies roundings, everything in float32 ends far from the truth,
    and the programs are no worse a choice than the SavedModel.

    Raises:
        CannotCompile: A program is farther; names the output.
    """
    for distances in errors.programs:
        for name, distance in distances.items():
            saved = errors.saved_model[name]
            if not (
                distance.root_mean_square <= AS_NEAR * saved.root_mean_square
                and distance.largest <= AS_NEAR * saved.largest
            ):
                raise CannotCompile(
                    f"compiled, {name} is {distance.root_mean_square:.2e} off the "
                    f"network in float64, the SavedModel {saved.root_mean_square:.2e} "
                    f"(root mean square, within {STEPS} carried steps)."
                )


def named(errors: Errors) -> Iterator[tuple[str, Distance]]:
    """Yield each distance with the name of its output or memory."""
    for distances in (*errors.programs, errors.saved_model):
        yield from distances.items()


def allow(name: str, output: str) -> float:
    """Return how far an output or memory may be off."""
    return TOLERANCE if name == output else OTHERS_TOLERANCE


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
