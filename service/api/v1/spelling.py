"""Spelling: how other servers' clients write, and what they are answered with.

TensorFlow Serving: `{"b64": "..."}` is a string in base64, and "" after the last event
pads a row to the length of others; only what failed to encode is looked at. OpenVINO
Model Server: `sequence_id` 42 with `sequence_control_input` is session "42". Their
clients may match on an error's text: it stands in `error`, where `detail` has the
service's. What is the same in all answers of a model is prepared once.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import orjson
from msgspec import UNSET

from service.api.v1.schema import ObjectRow, Options, ParsedPredict
from service.common.loop import take_break
from service.engine.rows import Result
from service.errors import InvalidEvent, InvalidRequest, SessionGone, SessionLive
from service.registry.catalog import Model

# Values that are looked at in a fraction of a millisecond.
PIECE_VALUES = 1024
CONTAINERS = frozenset((dict, list))
SEQUENCE_START, SEQUENCE_END = 1, 2
MAX_SEQUENCE_ID = 2**64 - 1
NO_IDS: tuple[Any, ...] = (UNSET, 0, "", [0], [""])
# Ids the service chooses survive JavaScript: its integers end here.
MAX_CHOSEN_ID = 2**53 - 1
WORDING = "v1.wording"  # in a model's `prepared`
# OpenVINO Model Server's, for rows that came with a `sequence_id`.
SEQUENCE_TEXTS = {
    SessionLive: "Sequence with provided ID already exists",
    SessionGone: "Sequence with provided ID does not exist",
}


def normalize_events(sequence: list[Any]) -> list[Any] | None:
    """Rewrite a sequence that failed to encode; None if nothing can be normalized.

    Raises:
        InvalidEvent: A b64 value is not base64 of UTF-8 text.
    """
    end = len(sequence)
    while end and sequence[end - 1] == "":
        end -= 1
    try:
        normalized = decode(sequence[:end])
    except RecursionError:
        return None
    return normalized if normalized and normalized != sequence else None


def decode(value: Any) -> Any:
    """Decode b64 values wherever they stand in an event."""
    if isinstance(value, list):
        items: list[Any] = []
        for start in range(0, len(value), PIECE_VALUES):
            take_break()
            piece = value[start : start + PIECE_VALUES]
            # Texts and numbers have no b64 value in them: most lists are only those.
            has_containers = not CONTAINERS.isdisjoint(map(type, piece))
            items += map(decode, piece) if has_containers else piece
        return items
    if not isinstance(value, dict):
        return value
    if value.keys() == {"b64"}:
        return decode_base64(value["b64"])
    return {name: decode(item) for name, item in value.items()}


def decode_base64(text: Any) -> str:
    """Decode one base64 value, its padding there or not.

    Raises:
        InvalidEvent: It is not base64 of UTF-8 text.
    """
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, validate=True).decode()
    except (AttributeError, binascii.Error, ValueError):
        raise InvalidEvent(
            "the sequence holds a b64 value that is not base64 of UTF-8 text; expected "
            'the text itself, or such as {"b64": "YmVhcg=="}.'
        ) from None


def choose_id(row: ObjectRow, name: bytes) -> None:
    """Give a row that starts a sequence without an id the same id at each repeat.

    Args:
        row: The row; its sequence_id is set.
        name: What a repeat of the row has in common with it, and no other row.
    """
    begins = row.sequence_control_input in (SEQUENCE_START, [SEQUENCE_START])
    if begins and row.sequence_id in NO_IDS:
        number = int.from_bytes(blake2b(name, digest_size=16).digest())
        row.sequence_id = 1 + number % MAX_CHOSEN_ID


def read_sequence(row: ObjectRow) -> int | str:
    """Say a row's sequence in the words of sessions.

    Args:
        row: The row; its session, start and end are set.

    Returns:
        The sequence's id: as it came, or chosen here for one that starts without.

    Raises:
        InvalidRequest: The row has a session too, no id where it needs one, or one
            that no sequence can have.
    """
    if row.session is not UNSET:
        raise InvalidRequest(
            "the row has both session and sequence_id, which name the same thing; send "
            "one of them."
        )
    control = row.sequence_control_input
    flag = 0 if control is UNSET else only(control, "sequence_control_input")
    given = 0 if row.sequence_id is UNSET else only(row.sequence_id, "sequence_id")
    if not given and flag != SEQUENCE_START:
        raise InvalidRequest(
            "the row has no sequence_id, or 0; expected the id of its sequence, or "
            "sequence_control_input 1, which starts one under an id chosen here.",
            error="Sequence ID has not been provided in request inputs",
        )
    if isinstance(given, int) and given > MAX_SEQUENCE_ID:
        raise InvalidRequest(
            f"sequence_id has {given.bit_length()} bits; expected 1 to "
            f"{MAX_SEQUENCE_ID}, or text. Send a smaller number, or send it as text."
        )
    chosen: int | str = given or 1 + secrets.randbelow(MAX_CHOSEN_ID)
    row.session = str(chosen)
    row.start = row.start or flag == SEQUENCE_START
    row.end = row.end or flag == SEQUENCE_END
    return chosen


def only(value: Any, name: str) -> Any:
    """Take the one element of a tensor of shape [1], or a value that stands alone.

    Raises:
        InvalidRequest: The tensor has no element, or several.
    """
    if not isinstance(value, list):
        return value
    if len(value) != 1:
        raise InvalidRequest(
            f"{name} has {len(value)} values; a row is part of one sequence. Send one."
        )
    return value[0]


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
