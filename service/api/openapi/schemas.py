"""Schemas in the words that generators of clients understand.

msgspec writes what JSON Schema allows; generators know less: an array needs `items`,
an enumeration a `type`, and a field with a `default` is required in some languages.
"""

from __future__ import annotations

import json
from typing import Any

Schema = dict[str, Any]
TYPES = {bool: "boolean", int: "integer", str: "string"}


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
