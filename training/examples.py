"""Example sequences for the manifest: real encoded data, written as clients send it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from models.schemas import COLUMNS
from training.data.dataset import Array

MAX_EXAMPLES = 3
MAX_EVENTS = 64
DAY_SECONDS = 86_400


def write_examples(inputs: Mapping[str, Any], real: Array) -> list[dict[str, Any]]:
    """Write the first real sequences by name.

    Args:
        inputs: Input schema of events or records.
        real: Encoded sequences, (batch, timesteps) or (batch, timesteps, columns).

    Returns:
        `{"name": ..., "sequence": [...]}` each.
    """
    return [
        {
            "name": f"real sequence {number}",
            "sequence": [write_event(inputs, event) for event in row[:MAX_EVENTS]],
        }
        for number, row in enumerate(real[:MAX_EXAMPLES].tolist(), start=1)
    ]


def write_event(inputs: Mapping[str, Any], encoded: Any) -> Any:
    """Write one event: its name, or its fields."""
    if inputs["kind"] == "event":
        return inputs["vocabulary"][encoded]
    columns = iter(encoded)
    record = {f["name"]: write_field(f, columns) for f in inputs["fields"]}
    # Left out, or JSON has no word for it.
    return {name: value for name, value in record.items() if value == value}


def write_field(field: Mapping[str, Any], columns: Iterator[float]) -> Any:
    """Write a field from as many columns as it takes."""
    values = [next(columns) for _ in range(COLUMNS[field["type"]])]
    if field["type"] == "time":
        time = datetime.fromtimestamp(values[0] * DAY_SECONDS + values[1], UTC)
        return time.strftime("%Y-%m-%dT%H:%M:%S")
    if field["type"] == "category":
        return field["vocabulary"][int(values[0])]
    return values[0]
