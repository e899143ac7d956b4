"""Events that a model takes, from its own schema: examples that work as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from service.registry.artifact import Manifest


def example_events(manifest: Manifest, count: int) -> list[Any]:
    """Make events of a model's own, as a client would write them."""
    schema = manifest.input
    if schema["kind"] == "event":
        return list(islice(cycle(schema["vocabulary"]), count))
    if schema["kind"] == "record":
        return [example_record(schema["fields"], k) for k in range(count)]
    return [example_value({**schema, "type": schema["kind"]}, k) for k in range(count)]


def example_record(fields: Sequence[dict[str, Any]], k: int) -> dict[str, Any]:
    """Make the k-th record."""
    return {field["name"]: example_value(field, k) for field in fields}


def example_value(field: dict[str, Any], k: int) -> Any:
    """Make the k-th value of a field: half an hour apart, about its mean."""
    kind = field["type"]
    if kind == "time":
        return f"2014-12-01T{8 + k // 2:02d}:{k % 2 * 30:02d}:00"
    if kind == "category":
        return field["vocabulary"][k % len(field["vocabulary"])]
    if kind == "index":
        return k % field["size"]
    if kind == "vector":
        return [0.5] * field["size"]
    return round(field.get("mean", 0.0), 1) + k
