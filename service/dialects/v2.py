"""The v2 dialect: the infer call of Open Inference, with Triton's sequences.

Knows the JSON and the binary form of a request; neither routes nor status lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from service.catalog import Model
from service.dialects.v2_body import read_form
from service.dialects.v2_events import encode_rows
from service.dialects.v2_forms import Column, Remembering, Request, Wanted
from service.dialects.v2_outputs import choose_outputs
from service.dialects.v2_parameters import read_memory
from service.dialects.v2_raw import read_raw
from service.errors import InvalidRequest
from service.idempotency import FINGERPRINT_BYTES
from service.rows import Row


def parse(
    data: bytes,
    header_length: int | None,
    model: Model,
    *,
    max_rows: int,
    key: str | None = None,
    scope: str = "",
) -> Request:
    """Parse the body of an infer call.

    Args:
        data: The body, decompressed.
        header_length: How many bytes of it are JSON, if it says so; 0 for a body that
            is the one input.
        model: Whose events it holds.
        max_rows: Most rows accepted.
        key: Idempotency key the request has beside the body, if any.
        scope: What the address says besides the model, for the key's fingerprint.

    Raises:
        InvalidRequest: The body cannot be used.
    """
    if header_length == 0:
        form, columns = read_raw(data, model)
    else:
        form, columns = read_form(data, header_length)
    memory = read_memory(form.parameters)
    named = {column.name: column for column in columns}
    sequences = encode_rows(named, model, max_rows=max_rows)
    is_remembered = memory.session is not None or memory.token is not None
    if is_remembered and len(sequences) > 1:
        raise InvalidRequest(
            f"the request has {len(sequences)} rows and one memory; a sequence "
            "advances one row at a time. Send one row, of as many events as there are."
        )
    outputs = choose_outputs(form, memory, model)
    if not is_remembered:
        rows = [build_row(sequence, memory) for sequence in sequences]
        return Request(rows, form.id, memory, outputs)
    (sequence,) = sequences
    name = Name(memory.key or key)
    if name.key is not None:
        digest = digest_request(sequence, memory, outputs, scope)
        name = Name(name.key, digest)
    rows = [build_row(sequence, memory, name, find_events(named, len(sequence)))]
    return Request(rows, form.id, memory, outputs)


class Name(NamedTuple):
    """What tells a request from others: its key, and the digest of what it asks for."""

    key: str | None = None
    fingerprint: bytes = b""


NAMELESS = Name()


def build_row(
    sequence: np.ndarray,
    memory: Remembering,
    name: Name = NAMELESS,
    events: list[str] | None = None,
) -> Row:
    """Hand a row and its memory to the engine's form."""
    return Row(
        sequence=sequence,
        session=memory.session,
        token=memory.token or None,
        seal_memory=memory.token is not None,
        at=memory.at,
        start=memory.start,
        end=memory.end,
        ttl_seconds=memory.ttl_seconds,
        is_strict=memory.session is not None,
        is_last_only=memory.is_last_only,
        key=name.key,
        fingerprint=name.fingerprint,
        events=events,
    )


def find_events(columns: Mapping[str, Column], length: int) -> list[str] | None:
    """Return a row's events by name, where they came so."""
    column = columns.get("sequence")
    if column is None or not isinstance(column.values, list):
        return None
    return column.values[:length]


def digest_request(
    sequence: np.ndarray, memory: Remembering, outputs: Sequence[Wanted], scope: str
) -> bytes:
    """Digest what is asked for, not its form.

    The same request in JSON and in binary, under another request id, is the same.
    """
    asked = [(wanted.name, wanted.num_classes) for wanted in outputs]
    options = repr((scope, memory._replace(key=None, sequence_id=None), asked))
    digest = blake2b(options.encode(), digest_size=FINGERPRINT_BYTES)
    digest.update(sequence.tobytes())
    return digest.digest()
