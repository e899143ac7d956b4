"""Sequences that are hard to stream, and what an event becomes before an Embedding.

A proof on normal numbers alone never meets a mask. So values that a model masks come at
the beginning, inside and at the end, with the boundaries of every input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from models.export.examples import random_sequence
from models.keras_graph import find_graph, rerun
from models.rounding import find_mask_values
from models.wrapping import Wrapped
from training.errors import ModelError

# Rows of a proof, so that most of a vocabulary comes.
MAX_ROWS = 40
# Rows with random static inputs; those after them have zeros.
ROWS_APART = 2
# Numbers far outside of what a normalised input has, and the plainest ones.
BOUNDARIES = (0.0, 1.0, -1.0, 100.0, -100.0)


def draw_hard(wrapped: Wrapped, rows: int, events: int) -> Any:
    """Draw a proof's sequences, of shape (rows, events) or (rows, events, columns)."""
    rng = np.random.default_rng(0)
    if wrapped.inputs["kind"] in ("event", "index"):
        return draw_indices(count_events(wrapped), rows, events, rng)
    sequence = random_sequence(wrapped.inputs, rows, events, rng)
    start = 0
    for port in wrapped.ports:
        columns = sequence[..., start : start + port.columns]
        start += port.columns
        if port.is_static:
            # Not zeros, but in the last of many: forgotten values are zeros too.
            columns[...] = columns[:, :1]
            columns[ROWS_APART:] = 0
            continue
        indices = port.size if port.type == "index" else port.indices
        marks = (0, indices - 1) if indices else BOUNDARIES
        for k, at in enumerate(rng.permutation(events)[: 2 * len(marks)]):
            columns[k % rows, at] = marks[k % len(marks)]
        # Last, so that whole events equal the value at the places that matter.
        for value in [0] if indices else find_mask_values(wrapped.network):
            columns[place_marks(rows, events)] = value
    return sequence


def leave_out_statics(wrapped: Wrapped, sequence: Any) -> Any:
    """Leave static inputs out of all events of a sequence but the first, as clients do.

    In every other row: they may as well come with each event.
    """
    given, start = sequence.copy(), 0
    for port in wrapped.ports:
        if port.is_static:
            given[::2, 1:, start : start + port.columns] = np.nan
        start += port.columns
    return given


def draw_indices(size: int, rows: int, events: int, rng: np.random.Generator) -> Any:
    """Draw indices: all of a small vocabulary, the first where masks matter."""
    many = np.concatenate(
        [rng.permutation(size) for _ in range(-(-rows * events // size))]
    )
    sequence = many[: rows * events].reshape(rows, events)
    sequence[place_marks(rows, events)] = 0
    sequence[0, events // 3] = size - 1
    return sequence.astype("int32")


def place_marks(rows: int, events: int) -> tuple[Any, Any]:
    """Choose places for masked values: the beginning, inside and the end."""
    inside = [events // 2, events // 2 + 1]
    chosen = [[0, 1, *inside, events - 1], [inside[0]], [0, events - 2, events - 1]]
    pairs = {
        (row, min(max(at, 0), events - 1))
        for row in range(rows)
        for at in chosen[row % len(chosen)]
    }
    # One timestep stays whole in every row, or a short row would be masked throughout.
    pairs = {(r, at) for r, at in pairs if events > 1 or r == 0}
    where, when = zip(*sorted(pairs), strict=True)
    return np.array(where), np.array(when)


def count_events(wrapped: Wrapped) -> int:
    """Count the events of a vocabulary, or the indices."""
    inputs = wrapped.inputs
    return inputs.get("size") or len(inputs["vocabulary"])


def choose_rows(wrapped: Wrapped, rows: int, events: int) -> int:
    """Choose more rows than these where the vocabulary is larger."""
    if wrapped.inputs["kind"] not in ("event", "index"):
        return rows
    return max(rows, min(MAX_ROWS, -(-count_events(wrapped) // events)))


def check_lookups(wrapped: Wrapped, sequence: Any) -> None:
    """Refuse a model with an Embedding that lacks, or confuses, what events become.

    Args:
        wrapped: The model.
        sequence: A proof's events.

    Raises:
        ModelError: Arithmetic or a lookup before it makes one index of two events, or
            one that the Embedding does not have.
    """
    fed: list[tuple[Any, Any]] = []

    def visit(operation: Any, tensors: Sequence[Any]) -> None:
        if isinstance(operation, keras.layers.Embedding):
            fed.append((operation, tensors[0]))

    (declared,) = wrapped.network.inputs
    given = keras.Input(declared.shape[1:], dtype=declared.dtype)
    rerun(find_graph(wrapped.network), [given], visit)
    if not fed:
        return
    is_index = wrapped.inputs["kind"] in ("event", "index")
    size = count_events(wrapped) if is_index else len(sequence)
    events = np.arange(size, dtype="int32")[None] if is_index else sequence
    results = keras.Model(given, [tensor for _, tensor in fed])(events)
    indices = [
        np.asarray(keras.ops.convert_to_numpy(x)).reshape(size, -1)
        for x in keras.tree.flatten(results)
    ]
    for (embedding, _), index in zip(fed, indices, strict=True):
        check_range(embedding, index)
    if is_index:
        check_distinct(wrapped, np.concatenate(indices, axis=1).astype("int64"))


def check_range(embedding: keras.layers.Embedding, index: Any) -> None:
    """Refuse indices that an Embedding does not have.

    Raises:
        ModelError: An index is below 0, or not below the size of the Embedding.
    """
    low, high = int(index.min()), int(index.max())
    if low < 0 or high >= embedding.input_dim:
        raise ModelError(
            f"the events become the indices {low} to {high} before layer "
            f"{embedding.name!r} (Embedding); expected 0 to {embedding.input_dim - 1}. "
            "Give as many names with --events as the Embedding has, leave out what is "
            "computed before it, or clip that to these indices."
        )


def check_distinct(wrapped: Wrapped, indices: Any) -> None:
    """Refuse events that become the same index.

    Raises:
        ModelError: Two events become one index.
    """
    first: dict[bytes, int] = {}
    for k, index in enumerate(indices):
        other = first.setdefault(index.tobytes(), k)
        if other != k:
            names = wrapped.inputs.get("vocabulary", range(len(indices)))
            raise ModelError(
                f"the events {names[other]!r} and {names[k]!r} become the same index "
                "before the Embedding; expected one each. A client sends index k for "
                "line k of --events: leave out the arithmetic or the lookup before "
                "the Embedding."
            )
