"""Proof that a model answers every sequence of a batch as it does alone.

A service runs the sequences of several clients in one batch. A model that scales by the
largest number of the whole batch would answer one client by what another sent.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from models.keras_graph import find_graph
from models.ports import split_sequence
from models.refusals import describe
from models.rounding import tolerance
from models.wrapping import Wrapped
from training.errors import MAX_REASON_LENGTH, ModelError, find_layer, quote, shorten
from training.reference import (
    differ,
    find_rows,
    find_slack,
    is_stateful,
    pad_window,
    predict,
)

# Of a model for any number of events: enough for a mask and what follows it.
EVENTS = 7
APART = (
    "A service runs the sequences of several clients in one batch. Use a layer that "
    "treats every sequence alone."
)


def check_rows(model: keras.Model, wrapped: Wrapped, sequence: Any) -> None:
    """Refuse a model that mixes the sequences of a batch.

    Args:
        model: As loaded.
        wrapped: The same, wrapped.
        sequence: A proof's events, of several rows.

    Raises:
        ModelError: It does; names the layer.
    """
    if find_rows(model) or is_stateful(model) or len(sequence) < 2:
        return  # made for a batch of its own
    fixed = None if wrapped.window else wrapped.timesteps
    part = pad_window(sequence[:, : fixed or EVENTS], wrapped)
    rows = (part[:1], part[-1:])
    alone = [predict(model, wrapped, row) for row in rows]
    try:
        together = predict(model, wrapped, part)
    except ModelError as error:
        cause = error.__cause__ or error
        raise ModelError(
            f"the model runs on one sequence and fails{find_layer(cause)} on "
            f"{len(part)} at once: {shorten(quote(cause), MAX_REASON_LENGTH)}. {APART}"
        ) from error
    for name, outputs in together.items():
        ends = (outputs[:1], outputs[-1:]) if len(outputs) == len(part) else (outputs,)
        near = [
            is_near(model, wrapped, single, name, got, one[name])
            for single, got, one in zip(rows, ends, alone, strict=False)
        ]
        if not all(near):
            where = find_mixing(model, wrapped, part)
            raise ModelError(
                f"output {name!r} of the model is another for a sequence alone and in "
                f"a batch of {len(part)}, because {where} mixes them. {APART}"
            )


def is_near(
    model: keras.Model, wrapped: Wrapped, row: Any, name: str, got: Any, alone: Any
) -> bool:
    """Return whether a row of a batch equals the same alone, but for rounding."""
    if got.shape != alone.shape:
        return False
    if differ(got, alone) <= tolerance(model):
        return True
    slack = find_slack(model, wrapped, row, name, alone)
    return differ(got, alone, slack) <= tolerance(model)


def find_mixing(model: keras.Model, wrapped: Wrapped, part: Any) -> str:
    """Name the first layer that gives the first row other numbers in a batch."""
    whole, single = (run_layers(model, wrapped, x) for x in (part, part[:1]))
    for (operation, results), (_, alone) in zip(whole, single, strict=True):
        for result, one in zip(results, alone, strict=True):
            is_row = len(result) == len(part) and len(one) == 1
            if not is_row or differ(result[:1], one) > tolerance(model):
                return describe(operation)
    return "an operation"


def run_layers(
    model: keras.Model, wrapped: Wrapped, part: Any
) -> list[tuple[Any, list[Any]]]:
    """Run a model layer by layer: each with the arrays that it gives."""
    found: list[tuple[Any, list[Any]]] = []

    def replace(operation: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            results = operation(*args, **kwargs)
            arrays = map(keras.ops.convert_to_numpy, keras.tree.flatten(results))
            found.append((operation, [np.atleast_1d(x) for x in arrays]))
            return results

        return run

    tensors = split_sequence(part, wrapped.ports, wrapped.inputs)
    find_graph(model)._run_through_graph(tensors, operation_fn=replace)
    return found
