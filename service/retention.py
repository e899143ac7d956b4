"""Retention: what a session keeps beside its memory, and for whom.

Settings of the memory, as the rules of a step read them.
"""

from __future__ import annotations

from typing import NamedTuple

from service.memory.answers import Bounds
from service.migration import Policies


class Retention(NamedTuple):
    """What a session keeps beside its memory.

    Attributes:
        snapshots: Earlier memories, to rewind it to; 0 keeps none.
        answers: Answers, to repeat them.
        history_events: Events, to rebuild its memory with, where the model's policy
            is `replay`.
        policies: What becomes of memories when a new version is served.
    """

    snapshots: int = 0
    answers: Bounds = Bounds()
    history_events: int = 1000
    policies: Policies = Policies()
