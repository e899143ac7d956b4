"""Responses of a call: its own type, problem documents, and schemas spelt out.

msgspec writes what JSON Schema allows; generators of clients know less: an array needs
`items`, an enumeration a `type`, and a field with a `default` is required in some
languages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from service.api.openapi.operation import Operation
from service.api.problems import PROBLEM_JSON, RETRY_AFTER_SECONDS, status_of
from service.errors import CarryoverError

REQUEST_ID = {
    "X-Request-Id": {
        "description": "The request's id in the log.",
        "schema": {"type": "string"},
    }
}
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which another try is worth it.",
        "schema": {"type": "integer", "minimum": 1},
    }
}

BYTES = {"type": "string", "format": "binary"}
Schema = dict[str, Any]
TYPES = {bool: "boolean", int: "integer", str: "string"}


class Problem(msgspec.Struct):
    """An error, as RFC 9457 has it; facts a program can act on are further members.

    Attributes:
        type: Always "about:blank"; `code` distinguishes errors.
        title: The code in words.
        status: The HTTP status, or what a row's would be.
        detail: What came, what was expected, and how to fix it.
        error: TensorFlow Serving's words where it has some, else the detail.
        code: Stable name of the error.
    """

    type: str
    title: str
    status: int
    detail: str
    error: str
    code: str


def describe_responses(
    call: Operation,
    more_errors: Iterable[type[CarryoverError]],
    schema_of: dict[int, Any],
) -> dict[str, Any]:
    """Describe a call's answers by status."""
    success = describe_success(call, schema_of)
    responses: dict[str, Any] = {str(status): success for status in call.statuses}
    by_status: dict[int, list[type[CarryoverError]]] = {}
    for cls in sorted(call.all_errors().union(more_errors), key=lambda cls: cls.code):
        by_status.setdefault(status_of(cls("")), []).append(cls)
    for status, classes in sorted(by_status.items()):
        responses[str(status)] = describe_problem(
            status, classes, schema_of[id(Problem)]
        )
    for status, answer in call.other_answers.items():
        content = responses[str(status)]["content"]
        content[call.media_types[1]] = {"schema": schema_of[id(answer)]}
    return responses


def describe_success(call: Operation, schema_of: dict[int, Any]) -> dict[str, Any]:
    """Describe what a call answers when all went well."""
    described: dict[str, Any] = {"description": "Done.", "headers": REQUEST_ID}
    if not call.is_answer_empty:
        known = {"type": "object"} if call.answer is None else None
        schema = spell_out(known or schema_of[id(call.answer)])
        described["content"] = {
            call.media_types[1]: {"schema": schema},
            **{media_type: {"schema": BYTES} for media_type in call.more_answers},
        }
    return described


def describe_problem(
    status: int, classes: list[type[CarryoverError]], schema: dict[str, Any]
) -> dict[str, Any]:
    """Describe the errors of one status, each by its code."""
    lines = [f"- `{cls.code}`: {first_line(cls)}" for cls in classes]
    codes = {"properties": {"code": {"enum": [cls.code for cls in classes]}}}
    described = spell_out(schema | codes)
    is_busy = any(cls in RETRY_AFTER_SECONDS for cls in classes)
    return {
        "description": "\n".join([HTTPStatus(status).phrase, "", *lines]),
        "headers": REQUEST_ID | (RETRY_AFTER if is_busy else {}),
        "content": {PROBLEM_JSON: {"schema": described}},
    }


def first_line(cls: type[CarryoverError]) -> str:
    """Say what an error means: the first line of its class."""
    return (cls.__doc__ or "").partition("\n")[0]


def spell_out(schema: Schema) -> Schema:
    """Return a schema that says explicitly what msgspec leaves implied."""
    spelled = {word: spell_word(word, value) for word, value in schema.items()}
    if isinstance(spelled.get("type"), list):
        spelled["anyOf"] = [spell_out({"type": kind}) for kind in spelled.pop("type")]
    if "enum" in spelled:
        spelled |= spell_choices(spelled.pop("enum"))
    if spelled.get("type") == "array":
        spelled.setdefault("items", {})
    if spelled.get("type") == "object" and "properties" not in spelled:
        spelled.setdefault("additionalProperties", {})
    if "default" in spelled:
        default = spelled.pop("default")
        if default is not None:
            text = f"{spelled.get('description', '')} Default: {json.dumps(default)}."
            spelled["description"] = text.strip()
    return spelled


def spell_word(word: str, value: Any) -> Any:
    """Spell out the schemas that a word of a schema contains."""
    if word == "properties":
        return {name: spell_out(schema) for name, schema in value.items()}
    if word in ("anyOf", "oneOf", "allOf"):
        return [spell_out(schema) for schema in value]
    if word in ("items", "additionalProperties") and isinstance(value, dict):
        return spell_out(value)
    return value


def spell_choices(values: list[Any]) -> Schema:
    """Describe a choice of values of one type; generators have no enumeration of true.

    Raises:
        TypeError: The values have several types.
    """
    (kind,) = {TYPES[type(value)] for value in values}
    if len(values) == 1:
        return {"type": kind, "const": values[0]}
    return {"type": kind, "enum": values}
