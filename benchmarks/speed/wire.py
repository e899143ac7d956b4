"""Wire format of each contender: its request, and the probabilities of its answer.

Knows every wire format, so that nothing else needs to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.model import EVENTS

# Events of a window, for peers that remember nothing and are sent the past again.
WINDOW = 20
FIRST_WINDOW = [k % len(EVENTS) for k in range(WINDOW)]
# Bodies of one session: its first visit, and those that follow.
Visits = list[str]


def session_name(session: int) -> str:
    """Name a session of the service."""
    return f"session-{session}"


def session_rows(session: int) -> Visits:
    """Write the service's calls of one session, one event each."""
    name = session_name(session)
    return [
        dump({"instances": [{"sequence": [event], "session": name}]})
        for event in EVENTS
    ]


def numbered_rows(session: int) -> Visits:
    """Write the same with integers for events."""
    name = session_name(session)
    return [
        dump({"instances": [{"sequence": [event], "session": name}]})
        for event in range(len(EVENTS))
    ]


def triton_sequence(session: int) -> Visits:
    """Write Triton's calls of one session; the first must say that it is."""
    first = triton_call(session, 0, start=True)
    steps = [*range(1, len(EVENTS)), 0]
    return [first, *(triton_call(session, step, start=False) for step in steps)]


def triton_call(session: int, event: int, *, start: bool) -> str:
    """Write one call of the Open Inference Protocol's sequence extension."""
    tensor = {"name": "event", "shape": [1, 1], "datatype": "INT32", "data": [event]}
    # Triton takes 0 for no sequence.
    parameters = {"sequence_id": session + 1, "sequence_start": start}
    return dump({"inputs": [tensor], "parameters": parameters})


def windows(session: int) -> Visits:
    """Write whole windows of events, for peers that remember nothing."""
    rotated = [EVENTS[k:] + EVENTS[:k] for k in range(len(EVENTS))]
    return [dump({"instances": [(2 * events)[:WINDOW]]}) for events in rotated]


def mlserver_windows(session: int) -> Visits:
    """Write whole windows in the Open Inference Protocol."""
    shape = {"name": "events", "shape": [1, WINDOW], "datatype": "INT64"}
    steps = range(len(EVENTS))
    rotated = [[(k + start) % len(EVENTS) for k in range(WINDOW)] for start in steps]
    return [dump({"inputs": [{**shape, "data": events}]}) for events in rotated]


def dump(body: object) -> str:
    """Write JSON without blanks."""
    return json.dumps(body, separators=(",", ":"))


def read_ours(answer: Any) -> Sequence[float]:
    """Find the probabilities in the service's answer."""
    found: Sequence[float] = answer["predictions"][0]["probabilities"]
    return found


def read_window(answer: Any) -> Sequence[float]:
    """Find the probabilities in the answer of a peer that was sent a window."""
    found: Sequence[float] = answer["predictions"][0]
    return found


def read_triton(answer: Any) -> Sequence[float]:
    """Find the probabilities in Triton's answer."""
    found: Sequence[float] = answer["outputs"][0]["data"]
    return found
