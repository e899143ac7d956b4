"""Store addresses: an URL's parts, its options, and how it may be shown.

It does not know which stores there are.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

from service.common.redaction import redact


def split_options(url: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """Split a store's URL from the options after its question mark.

    Args:
        url: The store's URL.
        known: The options this store has.

    Returns:
        The URL without options, and the options.

    Raises:
        ValueError: An option is unknown or given twice, or is no `name=value`.
    """
    head, _, query = url.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        pairs = [(query, "")]
    options = dict(pairs)
    unknown = sorted(options.keys() - set(known))
    if unknown or len(options) < len(pairs):
        what = f"unknown: {', '.join(unknown)}" if unknown else "given twice"
        # A password that is not written as the address needs it may contain a ?.
        what = "unknown" if "@" in query else what
        raise ValueError(
            f"An option of the memory store {redact(url)!r} is {what}; expected "
            f"{', '.join(f'{name}=...' for name in known)}, each once and parted by "
            "&. Fix what follows the question mark."
        )
    return head, options


def choose(options: dict[str, str], name: str, *choices: str) -> str:
    """Return an option's value, which must be one of the choices; the first if absent.

    Raises:
        ValueError: It is not one of them.
    """
    value = options.get(name, choices[0])
    if value not in choices:
        raise ValueError(
            f"The memory store's option {name} has an unknown value; expected "
            f"{' or '.join(f'{name}={choice}' for choice in choices)}."
        )
    return value
