"""Retention: what a session keeps in addition to its memory, and for how long.

Settings of the memory, as the rules of a step read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from service.sessions.answers import Bounds
from service.sessions.version_policy import Policies


class Retention(NamedTuple):
    """What a session keeps in addition to its memory.

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


class Lifetimes(NamedTuple):
    """Default lifetimes in seconds.

    Attributes:
        session_seconds: An idle session's.
        token_seconds: A sealed memory's.
        models: An idle session's by model, where it differs.
    """

    session_seconds: float
    token_seconds: float
    models: Mapping[str, float] = MappingProxyType({})

    def of(self, model: str) -> float:
        """Return an idle session's lifetime for a model."""
        return self.models.get(model, self.session_seconds)
