"""Types of settings: how each is written, and which values it may have.

msgspec checks the values; `read_text` makes one of the text of an environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

RuntimeChoice = Literal["auto", "litert", "tensorflow"]
# Of `service.sessions.version_policy`, which imports the networks' side; a test
# compares the two.
PolicyName = Literal["pin", "replay", "reset", "refuse"]
POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)
MAX_PORT = 65_535
MAX_FLOAT = 1.7976931348623157e308
# Schemes of the stores of sessions, and how an address of each is written. What opens
# them, `service.stores.schemes`, imports the settings' side; a test compares.
STORE_FORMS = {
    "lmdb": "lmdb://PATH",
    "redis": "redis://HOST",
    "rediss": "rediss://HOST",
    "memory": "memory://",
}
RATE = r"[1-9][0-9]{0,8}/(second|minute|hour|day)"


class Setting(NamedTuple):
    """One row of the table: attribute, type, default, meaning."""

    name: str
    kind: Any
    default: Any
    help: str


def setting(default: Any, text: str) -> Any:
    """Declare a setting by its default and its meaning."""
    meaning = {"default": default, "help": text}
    return field(default_factory=lambda: default, metadata=meaning)


def read_text(kind: Any, text: str) -> Any:
    """Read a value of a type from its text.

    Args:
        kind: One of the types below.
        text: The variable's value in the environment.

    Raises:
        ValueError: It is not one of the type.
    """
    read = find_extra(kind).get("read", get_args(kind)[0])
    value = text if read is str or get_args(read) else read(text)
    return msgspec.convert(value, kind)


def find_expected(kind: Any) -> str:
    """Return which values a type has, as an error names them."""
    return str(find_extra(kind)["expected"])


def find_extra(kind: Any) -> dict[str, Any]:
    """Return what a type says besides its limits."""
    return next(meta.extra for meta in get_args(kind)[1:] if meta.extra)


def is_expected(expected: str, read: Callable[[str], Any] | None = None) -> Meta:
    """Say which values a type has, and how they are read if not by its constructor."""
    return Meta(
        extra={"expected": expected} | ({"read": read} if read is not None else {})
    )


def list_store_forms() -> str:
    """Write how the address of a store may be written: `lmdb://PATH, ... or ...`."""
    *most, last = STORE_FORMS.values()
    return f"{', '.join(most)} or {last}"


def read_pairs(kind: Any) -> Callable[[str], dict[str, Any]]:
    """Return a function that reads `name=value` pairs with commas between."""

    def read(text: str) -> dict[str, Any]:
        pairs = [part.partition("=") for part in text.split(",") if part]
        if not all(name and equals for name, equals, _ in pairs):
            raise ValueError
        return {name.strip(): read_text(kind, value) for name, _, value in pairs}

    return read


def read_shares(text: str) -> dict[str, float]:
    """Read `name=share` pairs with commas between."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    return {name.strip(): float(value) for name, _, value in pairs}


def read_policy(text: str) -> str:
    """Read the policy of a pair, which may have spaces around it."""
    return text.strip()


def seconds_or_never(text: str) -> float:
    """Read a finite duration above 0 in seconds, or 0."""
    value: float = 0.0 if text == "0" else read_text(PositiveSeconds, text)
    return value


Text = Annotated[str, is_expected("text")]
PositiveInt = Annotated[int, Meta(ge=1), is_expected("a whole number of at least 1")]
Natural = Annotated[int, Meta(ge=0), is_expected("a whole number of at least 0")]
Port = Annotated[
    int, Meta(ge=1, le=MAX_PORT), is_expected("a whole number from 1 to 65535")
]
PositiveSeconds = Annotated[
    float, Meta(gt=0, le=MAX_FLOAT), is_expected("a number of seconds above 0")
]
SecondsOrNever = Annotated[
    float, is_expected("a number of seconds above 0, or 0", seconds_or_never)
]
OnOrOff = Annotated[Literal["on", "off"], is_expected("on or off")]
PlainMemory = Annotated[
    Literal["off", "show", "accept"], is_expected("off, show or accept")
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    is_expected("debug, info, warning or error"),
]
Runtime = Annotated[RuntimeChoice, is_expected("auto, litert or tensorflow")]
StoreAddress = Annotated[
    str,
    Meta(pattern=rf"\A({'|'.join(STORE_FORMS)})://"),
    is_expected(list_store_forms()),
]
RateStore = Annotated[
    str,
    Meta(pattern=r"\A(memory://\Z|redis://|rediss://)"),
    is_expected("memory://, redis://HOST or rediss://HOST"),
]
Rate = Annotated[
    str,
    Meta(pattern=rf"\A({RATE})?\Z"),
    is_expected("requests in a time: 100/second, 6000/minute"),
]
VersionPolicy = Annotated[PolicyName, is_expected("pin, replay, reset or refuse")]
PolicyByModel = Annotated[
    Mapping[str, PolicyName],
    is_expected(
        "model=policy pairs with commas between: nature=replay,taxi=reset",
        read_pairs(Annotated[PolicyName, is_expected("", read_policy)]),
    ),
]
SecondsByModel = Annotated[
    Mapping[str, float],
    is_expected(
        "model=seconds pairs with commas between: nature=3600,taxi=600",
        read_pairs(PositiveSeconds),
    ),
]
ShareByModel = Annotated[
    Mapping[Annotated[str, Meta(min_length=1)], Annotated[float, Meta(gt=0, le=1)]],
    is_expected(
        "model=share pairs, above 0 to 1, with commas between: visits=0.1", read_shares
    ),
]
RateByTenant = Annotated[
    Mapping[str, str],
    is_expected(
        "tenant=rate pairs with commas between: acme=100/second",
        read_pairs(Annotated[str, Meta(pattern=rf"\A{RATE}\Z"), is_expected("")]),
    ),
]
