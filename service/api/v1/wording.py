"""What every v1 answer of one model says: prepared once, not once a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from service.api.v1.schema import Options
from service.registry.catalog import Model


class Wording(NamedTuple):
    """A model's part of its answers.

    Attributes:
        names: Of the outputs, the main one first.
        labels: Of the main output's last axis, where it has any.
        options: What a body without options asks for.
        tail: The answer's end: version, labels and quantiles, as JSON.
    """

    names: tuple[str, ...]
    labels: Sequence[str] | None
    options: Options
    tail: bytes


def wording_of(model: Model) -> Wording:
    """Return a model's wording, prepared at the first call."""
    found: Wording | None = model.prepared.get(__name__)
    if found is None:
        found = model.prepared[__name__] = prepare(model)
    return found


def prepare(model: Model) -> Wording:
    """Write what does not change from answer to answer."""
    manifest = model.manifest
    tail: dict[str, Any] = {"model_version": str(manifest.version)}
    if manifest.labels is not None:
        tail["labels"] = manifest.labels
    if "quantiles" in manifest.output:
        tail["quantiles"] = manifest.output["quantiles"]
    return Wording(
        names=(manifest.output["name"], *manifest.output.get("others", ())),
        labels=manifest.labels,
        options=Options(True, None, to_float32(manifest.threshold)),
        # A line end, so that a shell's prompt does not stick to the answer.
        tail=b"," + orjson.dumps(tail)[1:] + b"\n",
    )


def to_float32(threshold: float | None) -> float | None:
    """Round a threshold as the probabilities are: one of 0.9 reaches 0.9."""
    return None if threshold is None else float(np.float32(threshold))
