"""Times as the service writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def format_time(seconds: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC, such as 2026-01-31T12:00:00.250Z."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
