"""Predictions of a model itself, to compare its stream with, and their precision.

Knows no streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from models.keras_graph import find_graph
from models.ports import split_sequence
from models.rounding import (
    find_mask_values,
    leave_out_nonfinite,
    measure_rounding,
)
from models.schemas import output_names
from models.wrapping import Wrapped
from training.errors import MAX_REASON_LENGTH, ModelError, find_layer, quote, shorten

ROWS = 3

Arrays = dict[str, Any]


def find_rows(model: keras.Model) -> int | None:
    """Find the batch size that a model insists on."""
    rows: int | None = find_graph(model).inputs[0].shape[0]
    return rows


def is_stateful(model: keras.Model) -> bool:
    """Return whether a model keeps its memory from call to call."""
    return any(getattr(layer, "stateful", False) for layer in model._flatten_layers())


def predict_prefixes(
    model: keras.Model, wrapped: Wrapped, sequence: Any
) -> Iterator[tuple[int, Any, Arrays]]:
    """Yield how many events the model was given in all, the last part, and its outputs.

    A stateful model is given part after part and keeps its memory between, another all
    events so far; either as many at a time as it was made for.
    """
    fixed = None if wrapped.window else wrapped.timesteps
    keeps = is_stateful(model) and not wrapped.window
    reset(model)
    start = 0
    for stop in choose_stops(sequence.shape[1], wrapped, fixed):
        if not keeps:
            reset(model)
            start = stop - fixed if fixed else 0
        part = pad_window(sequence[:, start:stop], wrapped)
        yield stop, part, predict(model, wrapped, part)
        start = stop


def choose_stops(events: int, wrapped: Wrapped, fixed: int | None) -> list[int]:
    """Choose prefixes: each place where masked events begin and end, and its ends."""
    if fixed:
        return list(range(fixed, events + 1, fixed))
    places = [1, 2, 3, events // 2, events // 2 + 1, events // 2 + 2]
    places += [events - 2, events - 1, events]
    places += [(wrapped.window or 1) + k for k in (-1, 0, 1)]
    return sorted({place for place in places if 1 <= place <= events})


def predict(model: keras.Model, wrapped: Wrapped, part: Any) -> Arrays:
    """Compute what model.predict does, without compiling it for every length."""
    tensors = split_sequence(part, wrapped.ports, wrapped.inputs)
    arrays = [keras.ops.convert_to_numpy(tensor) for tensor in tensors]
    given = keras.tree.pack_sequence_as(find_graph(model)._inputs_struct, arrays)
    predicted = keras.tree.map_structure(
        lambda x: np.asarray(keras.ops.convert_to_numpy(x), "float32"),
        run(model, given, training=False),
    )
    return name_predictions(predicted, output_names(wrapped.outputs))


def run(model: Any, given: Any, **options: Any) -> Any:
    """Call a model.

    Raises:
        ModelError: It fails on what it was given.
    """
    try:
        return model(given, **options)
    except NameError:  # a fault of the code, whatever the numbers
        raise
    except Exception as error:
        events = given.get("sequence") if isinstance(given, dict) else None
        events = keras.tree.flatten(given)[0] if events is None else events
        raise ModelError(
            f"the model fails{find_layer(error)} on numbers from {np.min(events):.3g} "
            f"to {np.max(events):.3g}: {shorten(quote(error), MAX_REASON_LENGTH)}. A "
            "client may send any number: clip it before that layer, or use another "
            "layer."
        ) from error


def find_slack(
    model: keras.Model, wrapped: Wrapped, part: Any, name: str, expected: Any
) -> Any:
    """Measure how far rounding moves a model's own outputs, if it keeps nothing."""
    if is_stateful(model):
        return np.zeros_like(expected)
    return measure_rounding(
        lambda events: predict(model, wrapped, events)[name],
        part,
        expected,
        [*find_mask_values(wrapped.network), wrapped.padding],
    )


def differ(got: Any, expected: Any, slack: Any = 0.0) -> float:
    """Measure the largest difference, relative to the size where that is above 1.

    Args:
        got: From the stream, or from another batch.
        expected: From the model, of the same shape.
        slack: How far each number may be off besides.
    """
    # Not finite in both is no difference: a mean of events that are all masked.
    got, expected = leave_out_nonfinite(got, expected)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    off = np.maximum(np.abs(got - expected) - slack, 0)
    return float(np.max(off, initial=0)) / scale


def pad_window(part: Any, wrapped: Wrapped) -> Any:
    """Cut or pad events in front, to the window a model is served on."""
    if wrapped.window is None:
        return part
    part = part[:, -wrapped.window :]
    missing = [(0, 0), (wrapped.window - part.shape[1], 0)]
    missing += [(0, 0)] * (part.ndim - 2)
    return np.pad(part, missing, constant_values=wrapped.padding)


def reset(model: keras.Model) -> None:
    """Clear what a stateful model keeps."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            layer.reset_states()


def name_predictions(predicted: Any, names: list[str]) -> Arrays:
    """Give what a model predicted the names of the schema."""
    if isinstance(predicted, Mapping) and len(names) > 1:
        return {name: predicted[name] for name in names}
    return dict(zip(names, keras.tree.flatten(predicted), strict=True))
