"""The v1 dialect a line at a time: the rows and answers of `:stream`.

A line is what a row of `instances` is, its answer what stands in `predictions`; what
a body says once, the query says. Knows neither streams nor sessions that failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import orjson

from service.api.long_json import JSON_OPTIONS, is_decoded_at_once
from service.api.problems import problem
from service.api.v1.diagnose import Form, load_json, read_row, wrong_form
from service.api.v1.excess import refuse_excess
from service.api.v1.line_reader import Line
from service.api.v1.parse import UNREADABLE, check_body
from service.api.v1.render import render_row
from service.api.v1.row import parse_row
from service.api.v1.row_texts import write_texts
from service.api.v1.schema import (
    ObjectRow,
    Options,
    ParsedRow,
    PredictBody,
    Returned,
    Threshold,
    Top,
)
from service.engine.rows import Refused, Result
from service.errors import CarryoverError, InvalidJson
from service.registry.catalog import Model

DECODER = msgspec.json.Decoder(ObjectRow | list[Any])
LINE_OPTIONS = JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE


class Query(msgspec.Struct, forbid_unknown_fields=True, rename={"returned": "return"}):
    """The query of `:stream`: what the body of `:predict` says for all rows."""

    returned: Returned = "last"
    top: Top | None = None
    threshold: Threshold | None = None


def read_query(arguments: Mapping[str, str]) -> Query:
    """Read the query.

    Raises:
        UnknownField: It has a parameter that does not exist.
        InvalidRequest: A parameter has no right value.
    """
    try:
        return msgspec.convert(dict(arguments), Query, strict=False)
    except msgspec.ValidationError as error:
        raise wrong_form(error, "the query", Query) from None


def choose_options(query: Query, model: Model) -> Options:
    """Choose how a model's answers are written.

    Raises:
        InvalidRequest: The query asks for labels the model has not.
    """
    body = PredictBody([], msgspec.UNSET, query.returned, query.top, query.threshold)
    return check_body(body, model)


def parse_line(line: Line, model: Model, *, is_last_only: bool) -> ParsedRow:
    """Parse one line; a bad one is refused."""
    if isinstance(line.content, CarryoverError):
        return ParsedRow(Refused(line.content))
    where = f"line {line.number}"
    form = decode_line(line.content, model, where)
    return parse_row(where, form, model, is_last_only)


def decode_line(content: bytes, model: Model, where: str) -> Form:
    """Decode one line; a very long one, or one that is not right, with care."""
    with suppress(*UNREADABLE):
        text = content.decode()
        if (refused := refuse_excess(text, where, model)) is not None:
            return refused
        if is_decoded_at_once(text):
            form: Form = DECODER.decode(content)
            return form
    return read_line(content, model, where)


def read_line(content: bytes, model: Model, where: str) -> Form:
    """Diagnose a malformed line: what is wrong with it."""
    try:
        return read_row(load_json(content), model.manifest, where)
    except InvalidJson as error:
        text = error.detail.partition("; expected")[0].removeprefix("the body")
        return Refused(
            InvalidJson(
                f"{where}{text}; expected a row, such as "
                '["first event", "second event"].',
                **error.members,
            )
        )


def render_lines(
    lines: Sequence[Line],
    parsed: Sequence[ParsedRow],
    results: Sequence[Result],
    options: Options,
    common: Model,
) -> bytes:
    """Write the answers of lines that came together."""
    texts = None
    if options.is_last_only:
        texts = write_texts(parsed, results, options, common)
    if texts is not None:
        return b"\n".join(texts) + b"\n"
    return b"".join(
        [
            render_line(line, row, result, options, common)
            for line, row, result in zip(lines, parsed, results, strict=True)
        ]
    )


def render_line(
    line: Line, parsed: ParsedRow, result: Result, options: Options, common: Model
) -> bytes:
    """Write one line's answer."""
    if isinstance(result, CarryoverError):
        answer: Any = problem(result) | {"line": line.number}
        if parsed.row.session is not None:
            answer["session"] = parsed.row.session
    else:
        answer = render_row(parsed, result, options, common, explain=False)
        if parsed.warning is not None and isinstance(answer, dict):
            answer["warnings"] = [parsed.warning]
    return orjson.dumps(answer, option=LINE_OPTIONS)
