"""Times as the service writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def format_time(seconds: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC, such as 2026-01-31T12:00:00.250Z."""
    microseconds = round(seconds * 1e6)
    second, rest = divmod(microseconds, 1_000_000)
    return f"{format_second(second)}.{rest // 1000:03d}Z"


# Every answer names a time, and most of a second's name the same second.
@lru_cache(maxsize=256)
def format_second(second: int) -> str:
    """Write a whole second."""
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()
