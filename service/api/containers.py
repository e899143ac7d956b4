"""Number of the lists and objects in a JSON text.

Each costs hundreds of bytes and a third of a microsecond, in two bytes of text. A
million of them, decoded or freed at once, would stop the event loop.
"""

from __future__ import annotations

import re

from service.common.loop import LONG_LIST_BYTES, take_break

# So many are decoded, and freed, in some milliseconds, however deep they lie.
MAX_AT_ONCE = 20_000
# Besides those of events and memory: the row itself, its options, a little nesting.
NUM_OTHERS = 1_000
STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def is_decoded_at_once(text: str) -> bool:
    """Return whether decoding the text as a whole stops the event loop only shortly."""
    return len(text) <= LONG_LIST_BYTES and count_containers(text, MAX_AT_ONCE) <= (
        MAX_AT_ONCE
    )


def count_containers(text: str, limit: int) -> int:
    """Count the lists and objects of JSON; up to the limit, an upper bound of them."""
    if len(text) <= limit:
        return 0
    number = count_brackets(text)
    if number > limit:
        for string in STRING.finditer(text):
            number -= count_brackets(string[0])
            take_break()
    return number


def count_brackets(text: str) -> int:
    """Count what opens a list or an object, within strings too."""
    return text.count("[") + text.count("{")
