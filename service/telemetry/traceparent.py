"""W3C Trace Context: the header `traceparent`, read strictly by the standard.

Knows no request and no log; a header that is not valid is as good as none.

Reference: W3C, Trace Context, 2021, https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Version, trace, parent, flags; what a later version adds follows another dash.
HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
INVALID_VERSION = "ff"
SAMPLED = 0x01


class TraceParent(NamedTuple):
    """Where in which trace a request was made.

    Attributes:
        trace_id: 32 hexadecimal digits, not all zero.
        parent_id: 16 hexadecimal digits, not all zero: the caller's span.
        is_sampled: Whether the caller may have recorded its part.
    """

    trace_id: str
    parent_id: str
    is_sampled: bool


def parse_traceparent(header: str | None) -> TraceParent | None:
    """Read a header; None where there is none, or none that is valid."""
    found = HEADER.fullmatch(header.strip(" \t")) if header else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == INVALID_VERSION or (version == "00" and more is not None):
        return None
    if not (trace_id.strip("0") and parent_id.strip("0")):
        return None
    return TraceParent(trace_id, parent_id, bool(int(flags, 16) & SAMPLED))
