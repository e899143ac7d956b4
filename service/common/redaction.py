"""Redaction: values of settings as an error or a log line may show them."""

from __future__ import annotations

import re

# Not only up to the first slash: a password may have one that is not written as %2F.
USER_INFO = re.compile(r"^([a-z+]*:/{0,2})?.*@", re.DOTALL | re.IGNORECASE)
API_KEY = re.compile(r"carryover_[A-Za-z0-9_-]{20,}")
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH")
HIDDEN = "***"


def redact(url: str) -> str:
    """Return an address without user, password and options."""
    return show_value(url).partition("?")[0]


def show_value(value: str) -> str:
    """Return the value of a setting, without the user and password of an address."""
    return API_KEY.sub(HIDDEN, USER_INFO.sub(rf"\1{HIDDEN}@", value))


def show_unknown(name: str, value: str) -> str:
    """Return the value of a name that is not a setting; nothing of a secret's name."""
    return HIDDEN if SECRET_NAME.search(name.upper()) else show_value(value)
