"""Times as the service writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def format_time(seconds: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC, such as 2026-01-31T12:00:00.250Z."""
    return format_milliseconds(round(seconds * 1e6) // 1000)


# What ISO 8601 has room for. A clock that is wrong by millennia costs no answer: the
# last instant stands for all after it.
FIRST_MILLISECOND, LAST_MILLISECOND = -62_135_596_800_000, 253_402_300_799_999


# Every answer names a time, and those of one tick name the same.
@lru_cache(maxsize=256)
def format_milliseconds(milliseconds: int) -> str:
    """Write milliseconds since 1970."""
    bounded = max(FIRST_MILLISECOND, min(milliseconds, LAST_MILLISECOND))
    second, rest = divmod(bounded, 1000)
    return f"{format_second(second)}.{rest:03d}Z"


@lru_cache(maxsize=256)
def format_second(second: int) -> str:
    """Write a whole second."""
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()
