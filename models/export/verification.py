"""Proof that a SavedModel computes what the live network does.

Loads the folder as anyone would and compares `advance` and `explain` with the network
on real and random sequences, whole and split in two with the memory carried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.schemas import COLUMNS, Schema, num_columns
from models.streaming import StreamingNetwork

# Largest difference allowed between the exported and the live network: probabilities
# are compared as they are, forecasts in standard deviations of their field. Rounding in
# float32 over hundreds of timesteps stays below 1e-6.
TOLERANCE = 1e-5
# Two batch sizes and three lengths, so that no shape was baked in by accident.
BATCH_SIZES = (1, 3)
LENGTHS = (1, 2, 17)
PADDING = 2


class ExportError(Exception):
    """The exported network does not compute what the live one does."""


def verify_export(
    path: Path,
    network: keras.Model,
    streaming: StreamingNetwork,
    inputs: Schema,
    outputs: Schema,
    *,
    real: Any,
) -> None:
    """Load a SavedModel and compare it with the live network.

    Raises:
        ExportError: A difference is above `TOLERANCE`; names signature and case.
    """
    loaded = tf.saved_model.load(str(path))
    scale = output_scale(inputs, outputs)
    for label, sequence in example_sequences(inputs, np.asarray(real)):
        expected = network(sequence, training=False).numpy() / scale
        for name in ("advance", "explain"):
            for split in {0, sequence.shape[1] // 2}:
                got = run_split(loaded.signatures[name], streaming, sequence, split)
                check(f"{name} on {label}", got[outputs["name"]] / scale, expected)


def check(case: str, got: Any, expected: Any) -> None:
    """Refuse an export whose outputs differ."""
    difference = float(np.max(np.abs(got - expected)))
    if not difference <= TOLERANCE:  # a NaN is a difference too
        raise ExportError(
            f"the exported {case} differs from the live network by {difference:.2e}; "
            f"at most {TOLERANCE:.0e} is allowed. Nothing was published."
        )


def output_scale(inputs: Schema, outputs: Schema) -> float:
    """Return the unit in which differences are measured."""
    if outputs["kind"] != "forecast":
        return 1.0
    stds = {f["name"]: f["std"] for f in inputs["fields"] if f["type"] == "number"}
    return float(stds[outputs["field"]])


def example_sequences(inputs: Schema, real: Any) -> Iterator[tuple[str, Any]]:
    """Yield real and random sequences of several batch sizes and lengths."""
    yield "real sequences", real
    rng = np.random.default_rng(0)
    for batch in BATCH_SIZES:
        for length in LENGTHS:
            yield (
                f"{batch} random of {length}",
                random_sequence(inputs, batch, length, rng),
            )


def random_sequence(
    inputs: Schema, batch: int, length: int, rng: np.random.Generator
) -> Any:
    """Draw encoded sequences of the right form: events, or columns a day would have."""
    if inputs["kind"] == "event":
        size = len(inputs["vocabulary"])
        return rng.integers(0, size, (batch, length)).astype("int32")
    columns = rng.normal(size=(batch, length, num_columns(inputs)))
    start = 0
    for field in inputs["fields"]:
        if field["type"] == "number":
            columns[..., start] = columns[..., start] * field["std"] + field["mean"]
        elif field["type"] == "category":
            size = len(field["vocabulary"])
            columns[..., start] = rng.integers(0, size, (batch, length))
        else:
            columns[..., start] = 16_000 + np.arange(length)
            columns[..., start + 1] = rng.integers(0, 86_400, (batch, length))
        start += COLUMNS[field["type"]]
    return columns.astype("float32")


def run_split(
    signature: Any, streaming: StreamingNetwork, sequence: Any, split: int
) -> Mapping[str, Any]:
    """Run a signature over a sequence in two calls, memory carried, padding added."""
    batch = len(sequence)
    memory = {
        name: np.zeros((batch, *shape), "float32")
        for name, shape in streaming.memory.items()
    }
    parts: list[Mapping[str, Any]] = []
    for part in (sequence[:, :split], sequence[:, split:]):
        if not part.shape[1]:
            continue
        padding = [(0, 0), (0, PADDING)] + [(0, 0)] * (part.ndim - 2)
        length = np.full(batch, part.shape[1], "int32")
        tensors = {"sequence": np.pad(part, padding), "length": length, **memory}
        results = signature(**{k: tf.constant(v) for k, v in tensors.items()})
        memory = {name: results[name].numpy() for name in streaming.memory}
        parts.append(
            {k: v.numpy()[:, :-PADDING] for k, v in results.items() if k not in memory}
        )
    return {k: np.concatenate([part[k] for part in parts], axis=1) for k in parts[0]}
