"""Proof that a stream answers what `model.predict` does, whatever the model.

Random sequences go through it singly and through the model whole. Knows no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from models.keras_graph import find_graph, find_operations
from models.refusals import describe
from models.rounding import tolerance
from models.schemas import output_names
from models.wrapping import Wrapped
from training.errors import ModelError
from training.hard_sequences import (
    check_lookups,
    choose_rows,
    draw_hard,
    leave_out_statics,
)
from training.independence import check_rows
from training.reference import (
    ROWS,
    Arrays,
    differ,
    find_rows,
    find_slack,
    is_stateful,
    predict_prefixes,
    run,
)

EVENTS = 24
# Two lengths, so that no output has the right shape by accident.
SHORT_EVENTS = (1, 7)
# How far from 1 probabilities may add up.
SUM_TOLERANCE = 1e-3


class Stepper(NamedTuple):
    """A stream that can be advanced.

    Args:
        advance: From named arrays to named arrays: the traced signature that is
            published.
        memory: Shape of each memory tensor without the batch axis.
        dtype: Of the memory.
    """

    advance: Callable[..., Mapping[str, Any]]
    memory: Mapping[str, tuple[int, ...]]
    dtype: str


class Proof(NamedTuple):
    """Result of a proof: the sequences, and the largest difference.

    Args:
        rows: Sequences.
        events: Events of each.
        difference: The largest of an output.
        sequence: The sequences, encoded.
        reference: What the stream was compared with.
    """

    rows: int
    events: int
    difference: float
    sequence: Any
    reference: str = "model.predict"


def prove(model: keras.Model, wrapped: Wrapped, stream: Stepper) -> Proof:
    """Compare a stream, step by step, with the model it was made from.

    Args:
        model: As loaded. What it keeps from call to call is reset.
        wrapped: The same, wrapped.
        stream: The same, streaming.

    Raises:
        ModelError: They differ, an output is never finite, or labels stand for
            numbers that are not probabilities.
    """
    rows = find_rows(model) or ROWS
    fixed = None if wrapped.window else wrapped.timesteps
    calls = -(-EVENTS // fixed) if fixed and is_stateful(model) else 1
    events = calls * fixed if fixed else max(EVENTS, (wrapped.window or 0) + 3)
    if not find_rows(model):
        rows = choose_rows(wrapped, rows, events)
    sequence = draw_hard(wrapped, rows, events)
    check_lookups(wrapped, sequence)
    check_rows(model, wrapped, sequence)
    names = output_names(wrapped.outputs)
    check_timesteps(stream, sequence, names)
    streamed = run_stream(stream, leave_out_statics(wrapped, sequence), names)
    check_finite(streamed)
    if "labels" in wrapped.outputs:
        check_probabilities(wrapped, streamed[wrapped.outputs["name"]])
    largest, reference = 0.0, name_reference(model, wrapped, fixed)
    for stop, part, predicted in predict_prefixes(model, wrapped, sequence):
        for name, expected in predicted.items():
            got = find_part(streamed[name], expected, stop)
            difference = differ(got, expected)
            if not difference <= tolerance(model):
                slack = find_slack(model, wrapped, part, name, expected)
                difference = differ(got, expected, slack)
            refuse_difference(model, reference, name, stop, difference)
            largest = float(np.maximum(largest, difference))
    return Proof(rows, events, largest, sequence, reference)


def name_reference(model: keras.Model, wrapped: Wrapped, fixed: int | None) -> str:
    """Say what an answer is that a stream was compared with."""
    if wrapped.window:
        return f"model.predict of the last {wrapped.window} events"
    if is_stateful(model):
        return "the stateful model in consecutive calls"
    if fixed:
        return f"model.predict after {fixed} events"
    return "model.predict of all events so far"


def guess_cause(model: keras.Model) -> str:
    """Say what probably makes a stream differ from its model."""
    if is_stateful(model):
        return (
            "Some of its layers are stateful, and the others begin at zeros in every "
            "call, while a session keeps the memory of all. Make all recurrent layers "
            "stateful, or none."
        )
    for operation in find_operations(find_graph(model)):
        if not type(operation).__module__.startswith("keras."):
            return (
                f"{describe(operation)} is not a layer of Keras, and probably mixes "
                "timesteps or has a memory of its own. Put a layer of Keras in its "
                "place, or serve the model on its last N events with --window N."
            )
    return (
        "An operation of the model probably mixes timesteps, such as a mean over them, "
        "or loses digits, such as the variance of large and nearly equal numbers. Use "
        "another in its place."
    )


def refuse_difference(
    model: keras.Model, reference: str, name: str, stop: int, difference: float
) -> None:
    """Refuse a stream that differs from its model.

    Raises:
        ModelError: The difference is above the tolerance.
    """
    allowed = tolerance(model)
    if not difference <= allowed:  # a NaN is a difference too
        raise ModelError(
            f"output {name!r} of the model, given {stop} events one at a time, "
            f"differs from {reference} by {difference:.2e}; at most {allowed:.0e} is "
            f"allowed. {guess_cause(model)} Nothing was published."
        )


def check_timesteps(stream: Stepper, sequence: Any, names: list[str]) -> None:
    """Refuse a stream that does not answer one output per event.

    Raises:
        ModelError: An operation joins the timesteps, picks one or drops some.
    """
    for events in SHORT_EVENTS:
        part = np.repeat(sequence[:, :1], events, axis=1)
        results, _ = step(stream, part, begin(stream, len(part)), names)
        for name, output in results.items():
            if tuple(output.shape[:2]) != part.shape[:2]:
                raise ModelError(
                    f"output {name!r} of the model has shape {tuple(output.shape)} for "
                    f"{len(part)} sequences of {events} events; expected one output "
                    "per event. An operation of the model joins timesteps, or takes "
                    "some of them, as x[:, -1] does. Use return_sequences=False in the "
                    "recurrent layer before it instead."
                )


def run_stream(stream: Stepper, sequence: Any, names: list[str]) -> Arrays:
    """Run a stream one event at a time: outputs of shape (batch, timesteps, ...)."""
    memory = begin(stream, len(sequence))
    parts: list[Arrays] = []
    for k in range(sequence.shape[1]):
        results, memory = step(stream, sequence[:, k : k + 1], memory, names)
        parts.append(results)
    return {n: np.concatenate([part[n] for part in parts], axis=1) for n in names}


def begin(stream: Stepper, rows: int) -> Arrays:
    """Make the memory of sequences that have not begun: zeros, by name."""
    layout = stream.memory.items()
    return {name: np.zeros((rows, *shape), stream.dtype) for name, shape in layout}


def step(
    stream: Stepper, events: Any, memory: Arrays, names: list[str]
) -> tuple[Arrays, Arrays]:
    """Run a stream over some events: its outputs, and the memory after."""
    length = np.full(len(events), events.shape[1], "int32")
    given = {"sequence": events, "length": length, **memory}
    results = run(lambda arrays: stream.advance(**arrays), given)
    after = {name: results[name] for name in memory}
    return {name: results[name] for name in names}, after


def find_part(streamed: Any, expected: Any, stop: int) -> Any:
    """Return what the stream said where the model did.

    Args:
        streamed: Of shape (batch, timesteps, ...).
        expected: Of shape (batch, the last timesteps before `stop`, ...), or (batch,
            ...) for a model with one output per sequence.
        stop: How many events the model was given in all.
    """
    if expected.ndim == streamed.ndim:
        return streamed[:, stop - expected.shape[1] : stop]
    return streamed[:, stop - 1]


def check_finite(streamed: Arrays) -> None:
    """Refuse a model with an output that is never a finite number.

    A service answers an error where a number is not finite, so to every call.

    Raises:
        ModelError: An output is never finite.
    """
    for name, output in streamed.items():
        if not np.isfinite(output).any():
            raise ModelError(
                f"output {name!r} of the model is not a finite number after any event; "
                "its weights are probably those of a training that diverged. Save the "
                "model from before, or train it again with a smaller learning rate."
            )


def check_probabilities(wrapped: Wrapped, output: Any) -> None:
    """Refuse labels for numbers that are no probabilities.

    Raises:
        ModelError: A number is not between 0 and 1, or they do not add up to 1.
    """
    within = (output >= 0).all() and (output <= 1 + SUM_TOLERANCE).all()
    sums = np.abs(output.sum(axis=-1) - 1) <= SUM_TOLERANCE
    if not within or (wrapped.outputs["kind"] == "next_event" and not sums.all()):
        raise ModelError(
            f"the model's output runs from {output.min():.3g} to {output.max():.3g}; "
            "labels name probabilities, from 0 to 1, and of events to come adding up "
            'to 1. End the model with activation="softmax", or leave --labels and '
            "--task out to serve the numbers as they are."
        )
