"""Words of v1's answers: a model's own, prepared once, and other servers' errors.

Clients of TensorFlow Serving and OpenVINO Model Server may match on an error's text: it
stands in `error`, where `detail` has the service's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from service.api.v1.schema import Options, ParsedPredict
from service.engine.rows import Result
from service.errors import SessionGone, SessionLive
from service.registry.catalog import Model

WORDING = "v1.wording"  # in a model's `prepared`
# OpenVINO Model Server's, for rows that came with a `sequence_id`.
SEQUENCE_TEXTS = {
    SessionLive: "Sequence with provided ID already exists",
    SessionGone: "Sequence with provided ID does not exist",
}


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


def prepare_wording(model: Model) -> Wording:
    """Write what does not change from answer to answer, once a model."""
    manifest = model.manifest
    tail: dict[str, Any] = {"model_version": str(manifest.version)}
    if manifest.labels is not None:
        tail["labels"] = manifest.labels
    if "quantiles" in manifest.output:
        tail["quantiles"] = manifest.output["quantiles"]
    wording = model.prepared[WORDING] = Wording(
        names=(manifest.output["name"], *manifest.output.get("others", ())),
        labels=manifest.labels,
        options=Options(True, None, to_float32(manifest.threshold)),
        # A line end, so that a shell's prompt does not stick to the answer.
        tail=b"," + orjson.dumps(tail)[1:] + b"\n",
    )
    return wording


def to_float32(threshold: float | None) -> float | None:
    """Round a threshold as the probabilities are: one of 0.9 reaches 0.9."""
    return None if threshold is None else float(np.float32(threshold))


def servable_not_found(name: str, version: int | None) -> str:
    """Say what TensorFlow Serving says when a prediction finds no model."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return f"Servable not found for request: {asked}"


def no_versions(name: str, version: int | None) -> str:
    """Say what TensorFlow Serving says when a status or metadata finds no model."""
    if version is None:
        return f"Could not find any versions of model {name}"
    return f"Could not find version {version} of model {name}"


def reword(request: ParsedPredict, results: Sequence[Result]) -> None:
    """Say in OpenVINO Model Server's words why a sequence cannot continue."""
    for parsed, result in zip(request.rows, results, strict=True):
        if parsed.sequence_id is not None and isinstance(
            result, SessionLive | SessionGone
        ):
            result.members["error"] = SEQUENCE_TEXTS[type(result)]
