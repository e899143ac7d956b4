"""Text of times and of settings, as answers, errors and log lines show them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

# Not only up to the first slash: a password may have one that is not written as %2F.
USER_INFO = re.compile(r"^([a-z+]*:/{0,2})?.*@", re.DOTALL | re.IGNORECASE)
API_KEY = re.compile(r"carryover_[A-Za-z0-9_-]{20,}")
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH")
HIDDEN = "***"


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


def redact(url: str) -> str:
    """Return an address without user, password and options."""
    return show_value(url).partition("?")[0]


def show_value(value: str) -> str:
    """Return the value of a setting, without the user and password of an address."""
    return API_KEY.sub(HIDDEN, USER_INFO.sub(rf"\1{HIDDEN}@", value))


def show_unknown(name: str, value: str) -> str:
    """Return the value of a name that is not a setting; nothing of a secret's name."""
    return HIDDEN if SECRET_NAME.search(name.upper()) else show_value(value)
