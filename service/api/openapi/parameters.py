"""An address of Flask's as one of OpenAPI's, and the parameters in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from service.sessions.lifecycle import MAX_SESSION_BYTES

VARIABLE = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
# Names in addresses as the documents write them, where the code has another.
RENAMED = {"name": "model", "session": "id"}
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
# By Flask's name; what is not here is any text.
PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "name": ("A served model.", TEXT),
    "version": (
        "A served version of it; 0 for the newest.",
        {"type": "integer", "minimum": 0},
    ),
    "label": ("A label of one of its versions.", TEXT | {"pattern": "^[^/:]+$"}),
    "session": (
        "A session's id, percent-encoded; slashes may stand as they are.",
        TEXT | {"maxLength": MAX_SESSION_BYTES},
    ),
}
EXAMPLES: dict[str, Any] = {"version": 1, "label": "stable", "session": "ticket-42"}


def describe_path(rule: str, models: Sequence[str]) -> tuple[str, list[dict[str, Any]]]:
    """Translate a rule.

    Args:
        rule: Such as `/v1/models/<model:name>`.
        models: The served models' names.

    Returns:
        The path, such as `/v1/models/{model}`, and its parameters.
    """
    parameters = [describe_variable(name, models) for _, name in VARIABLE.findall(rule)]
    path = VARIABLE.sub(lambda v: f"{{{RENAMED.get(v[2], v[2])}}}", rule)
    return path, parameters


def describe_variable(name: str, models: Sequence[str]) -> dict[str, Any]:
    """Describe one variable of an address."""
    text, schema = PARAMETERS.get(name, ("", TEXT))
    described = {
        "name": RENAMED.get(name, name),
        "in": "path",
        "required": True,
        "description": text,
        "schema": schema,
    }
    if name == "name":
        # An enumeration would be stricter than the service, whose models come and go.
        described["examples"] = {model: {"value": model} for model in models}
    elif name in EXAMPLES:
        described["example"] = EXAMPLES[name]
    return described
