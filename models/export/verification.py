"""Proof that a SavedModel computes what the live network does.

Loads the folder as anyone would and compares `advance` and `explain` with the network
on real and random sequences, whole and split in two with the memory carried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.export.examples import random_sequence as random_sequence
from models.export.loading import load_saved_model
from models.rounding import TOLERANCE as TOLERANCE
from models.rounding import (
    find_mask_values,
    leave_out_nonfinite,
    measure_rounding,
    tolerance,
)
from models.schemas import Schema, output_names
from models.streaming import StreamingNetwork, name_outputs

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

    Probabilities are compared as they are, forecasts in standard deviations of their
    field.

    Raises:
        ExportError: A difference is above what rounding does; names signature and case.
    """
    loaded = load_saved_model(path)
    scale, allowed = output_scale(inputs, outputs), tolerance(network)
    for label, sequence in example_sequences(inputs, np.asarray(real)):
        live = name_outputs(network(sequence, training=False), outputs)
        for name in ("advance", "explain"):
            for split in {0, sequence.shape[1] // 2}:
                got = run_split(loaded.signatures[name], streaming, sequence, split)
                for output in output_names(outputs):
                    expected = live[output].numpy()
                    slack = partial(
                        find_slack, network, outputs, output, sequence, expected
                    )
                    case = f"{name} on {label}"
                    check(case, got[output], expected, scale, allowed, slack)


def find_slack(
    network: keras.Model, outputs: Schema, output: str, sequence: Any, expected: Any
) -> Any:
    """Measure how far rounding moves an output of the live network."""

    def call(events: Any) -> Any:
        return name_outputs(network(events, training=False), outputs)[output].numpy()

    return measure_rounding(call, sequence, expected, find_mask_values(network))


def check(
    case: str,
    got: Any,
    expected: Any,
    scale: float | None = 1.0,
    allowed: float = TOLERANCE,
    slack: Callable[[], Any] = lambda: 0.0,
) -> None:
    """Refuse an export with other outputs.

    Args:
        case: Signature and sequence.
        got: An output of every timestep.
        expected: From the live network; of the last timestep where there is but one.
        scale: The unit of differences; None for the size where that is above 1.
        allowed: The largest difference in that unit.
        slack: Measures how far each number may be off besides, where one is.

    Raises:
        ExportError: The outputs differ by more than is allowed.
    """
    if np.ndim(expected) < np.ndim(got):
        got = got[:, -1]
    got, expected = leave_out_nonfinite(got, expected)
    unit = scale or max(1.0, float(np.max(np.abs(expected))))
    off = np.abs(got - expected)
    if not np.max(off) / unit <= allowed:  # a NaN is a difference too
        off = np.maximum(off - np.nan_to_num(slack()), 0)
    difference = float(np.max(off)) / unit
    if not difference <= allowed:
        raise ExportError(
            f"the exported {case} differs from the live network by {difference:.2e}; "
            f"at most {allowed:.0e} is allowed, and nothing was published. Use other "
            "layers in place of those that depend on more than their input."
        )


def output_scale(inputs: Schema, outputs: Schema) -> float | None:
    """Return the unit in which differences are measured.

    None for values of unknown range: their own size where that is above 1.
    """
    if outputs["kind"] in ("values", "duration") or "others" in outputs:
        return None
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


def run_split(
    signature: Any, streaming: StreamingNetwork, sequence: Any, split: int
) -> Mapping[str, Any]:
    """Run a signature over a sequence in two calls, memory carried, padding added."""
    batch = len(sequence)
    memory = {
        name: np.zeros((batch, *shape), streaming.dtype)
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
