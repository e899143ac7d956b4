"""The v1 dialect: TensorFlow Serving's and KServe V1's predict call, with memory.

Knows the JSON of `:predict` and `:explain`; neither routes nor status lines. A body
of the right form is decoded at once; any other is read again, carefully, so that one
bad row spoils no other (`diagnose`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET

from service.api.long_json import is_decoded_at_once
from service.api.problems import too_many_rows
from service.api.v1 import spelling
from service.api.v1.body_reader import load_body
from service.api.v1.columns import read_columns
from service.api.v1.diagnose import (
    Form,
    check_member,
    load_json,
    read_carefully,
    read_row,
    unreadable_refused,
    wrong_form,
)
from service.api.v1.row import check_columns, parse_row, refuse_excess
from service.api.v1.schema import (
    ObjectRow,
    Options,
    ParsedPredict,
    ParsedRow,
    PredictBody,
)
from service.api.v1.spelling import WORDING, Wording, prepare_wording, to_float32
from service.common.loop import LARGE_BYTES, long_work, take_break
from service.engine.idempotency import Idempotency, stamp
from service.engine.rows import Refused, Row
from service.errors import EmptySequence, InvalidRequest
from service.registry.artifact import Manifest
from service.registry.catalog import Model

DECODER = msgspec.json.Decoder(PredictBody)
ROW_DECODER = msgspec.json.Decoder(ObjectRow | list[Any])
UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
SIGNATURE = "serving_default"


def parse_body(
    data: bytes,
    model: Model,
    *,
    max_rows: int,
    explain: bool = False,
    idempotency: Idempotency | None = None,
    timeout_seconds: float = math.inf,
) -> ParsedPredict:
    """Parse the body of a predict or explain call; a large one with breaks.

    Args:
        data: The body.
        model: Model of the rows' events.
        max_rows: Most rows accepted.
        explain: Whether every timestep is to be shown.
        idempotency: The request's key and fingerprint, if it has a key.
        timeout_seconds: Seconds after which a large body is given up.

    Returns:
        The options and the rows; a bad row of `instances` is refused and spoils no
        other.

    Raises:
        InvalidRequest: The body as a whole cannot be used.
    """
    if len(data) <= LARGE_BYTES:
        forms: Sequence[Form | str]
        try:
            body = DECODER.decode(data)
            forms = body.instances or []
        except UNREADABLE:
            body, forms = read_carefully(data, model.manifest)
        return parse_rows(body, forms, model, max_rows, explain, idempotency)
    with long_work(len(data), timeout_seconds):
        decoded = decode_large(data, max_rows)
        return parse_rows(*decoded, model, max_rows, explain, idempotency)


def parse_rows(
    body: PredictBody,
    forms: Sequence[Form | str],
    model: Model,
    max_rows: int,
    explain: bool,
    idempotency: Idempotency | None,
) -> ParsedPredict:
    """Parse a decoded body; see `parse`."""
    options = check_body(body, model)
    field = "inputs" if options.is_columnar else "instances"
    if options.is_columnar:
        forms = read_columns(body.inputs, model.manifest, max_rows)
    if not 0 < len(forms) <= max_rows:
        refuse_number(len(forms), max_rows, field)
    is_last_only = options.is_last_only and not explain
    rows: list[ParsedRow] = []
    for k, form in enumerate(forms):
        where = f"{field}[{k}]"
        if isinstance(form, str):
            form = decode_row(form, model, where)
        if idempotency is not None:
            choose_id(form, k, idempotency)
        rows.append(parse_row(where, form, model, is_last_only))
        if k:
            take_break()
    is_usual = body.memory_format == "sealed" and idempotency is None
    if options.is_columnar or not is_usual:
        rows = complete_rows(rows, body, options, idempotency)
    return ParsedPredict(options, rows)


def complete_rows(
    rows: list[ParsedRow],
    body: PredictBody,
    options: Options,
    idempotency: Idempotency | None,
) -> list[ParsedRow]:
    """Hand rows what the body and its headers ask for all of them."""
    if options.is_columnar:
        refuse_tensor(rows)
    if body.memory_format == "plain":
        rows = [parsed.replace(row=ask_plain(parsed.row)) for parsed in rows]
    if idempotency is not None:
        rows = [
            parsed.replace(row=stamp(parsed.row, k, idempotency))
            for k, parsed in enumerate(rows)
        ]
    return rows


def choose_id(form: Form, position: int, idempotency: Idempotency) -> None:
    """Give a row that starts a sequence without an id the one a repeat will get."""
    if isinstance(form, ObjectRow):
        name = f"{idempotency.key}\0{position}\0".encode() + idempotency.fingerprint
        spelling.choose_id(form, name)


def decode_large(data: bytes, max_rows: int) -> tuple[PredictBody, list[str]]:
    """Decode a large body, up to the first thing that is wrong with it.

    Its rows are left as text.

    Raises:
        InvalidJson: It is not JSON.
        InvalidRequest: It does not have the right form.
        TooManyRows: It has more rows.
    """
    with unreadable_refused():
        text = data.decode()

        def check_name(name: str) -> None:
            check_member(name)
            if name == "inputs":
                check_columns(text)

        document = load_body(
            text, "instances", max_rows, msgspec.json.encode, check_name
        )
    rows: list[str] = []
    if isinstance(document, dict) and isinstance(document.get("instances"), list):
        rows, document["instances"] = document["instances"], []
    try:
        return msgspec.convert(document, PredictBody), rows
    except msgspec.ValidationError as error:
        raise wrong_form(error, "the body", PredictBody) from None


def decode_row(row: str, model: Model, where: str) -> Form:
    """Decode a row that was left as text."""
    if (refused := refuse_excess(row, where, model)) is not None:
        return refused
    if is_decoded_at_once(row):
        with suppress(*UNREADABLE):
            decoded: Form = ROW_DECODER.decode(row)
            return decoded
    value = load_json(row.encode())
    if isinstance(value, list) and len(value) > model.encoder.max_events:
        return value  # refused for its length, whatever is in it
    return read_row(value, model.manifest, where)


def ask_plain(row: Row | Refused) -> Row | Refused:
    """Ask for a row's memory in the open, where the client holds it."""
    if isinstance(row, Row) and row.seal_memory:
        return row.replace(is_plain=True)
    return row


def refuse_tensor(rows: Sequence[ParsedRow]) -> None:
    """Refuse columns, one tensor of all rows, where any of them is bad.

    Raises:
        CarryoverError: That of the first bad row.
    """
    for parsed in rows:
        if isinstance(parsed.row, Refused):
            raise parsed.row.error


def check_body(body: PredictBody, model: Model) -> Options:
    """Refuse a body that asks for what there is not; return what it asks for."""
    is_columnar = body.inputs is not UNSET
    if (body.instances is not UNSET) is is_columnar:
        refuse_keys(is_columnar)
    if body.signature_name and body.signature_name != SIGNATURE:
        refuse_signature(body.signature_name)
    wording: Wording = model.prepared.get(WORDING) or prepare_wording(model)
    default = wording.options
    top, threshold = body.top, body.threshold
    if body.returned == "last" and top is None and threshold is None:
        return default._replace(is_columnar=True) if is_columnar else default
    check_labels(body, model.manifest)
    reached = default.threshold if threshold is None else to_float32(threshold)
    return Options(body.returned == "last", top, reached, is_columnar)


def check_labels(body: PredictBody, manifest: Manifest) -> None:
    """Refuse to choose labels of a model that has none.

    Raises:
        InvalidRequest: `top` or `threshold` is there, and the model has no labels.
    """
    chooses_labels = body.top is not None or body.threshold is not None
    if manifest.labels is None and chooses_labels:
        raise InvalidRequest(
            f"top and threshold choose labels; {manifest.name} has none, it answers "
            f"{manifest.output['name']}. Leave them out."
        )


def refuse_number(num_rows: int, max_rows: int, field: str = "instances") -> NoReturn:
    """Refuse a body without rows, or with more than the service accepts.

    Raises:
        EmptySequence: There is no row.
        TooManyRows: There are some.
    """
    if not num_rows:
        raise EmptySequence(f"{field} is empty; send at least one row.")
    raise too_many_rows(field, num_rows, max_rows)


def refuse_keys(has_both: bool) -> NoReturn:
    """Refuse a body with neither rows nor columns, or with both.

    Raises:
        InvalidRequest: Always.
    """
    if has_both:
        raise InvalidRequest(
            "the body has both instances and inputs; send rows as instances, or "
            "columns as inputs.",
            error="Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist ",
        )
    raise InvalidRequest(
        "the body has neither instances nor inputs; expected rows, such as "
        '{"instances": [["first event", "second event"]]}.',
        error="Missing 'inputs' or 'instances' key",
    )


def refuse_signature(name: str) -> NoReturn:
    """Refuse a signature the service does not serve.

    Raises:
        InvalidRequest: Always.
    """
    text = f'Serving signature name: "{name[:80]}" not found in signature def'
    raise InvalidRequest(
        f'{text}. Leave it out, or send "{SIGNATURE}".',
        error=text,
    )
