"""Results of a scenario: rows of figures, and their comparison with a target.

Knows nothing of how they were measured or are written down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """A ratio of two figures of one run, and what it is to be.

    Args:
        text: What is divided by what.
        ratio: What was measured.
        limit: What it is to reach, or not to exceed.
        is_at_least: Whether the limit is the least or the most.
    """

    text: str
    ratio: float
    limit: float
    is_at_least: bool = True

    @property
    def is_met(self) -> bool:
        """True if the ratio is within its limit."""
        if self.is_at_least:
            return self.ratio >= self.limit
        return self.ratio <= self.limit


@dataclass(frozen=True)
class Result:
    """Result of one scenario.

    Args:
        name: The scenario's, as on the command line.
        title: One line: what was measured.
        rows: By contender or case, its figures; the figures' names have units.
        targets: Those that this run could compare.
        note: What a reader must know to judge the figures.
    """

    name: str
    title: str
    rows: Mapping[str, Mapping[str, float]]
    targets: Sequence[Target] = field(default_factory=list)
    note: str = ""


def at_least(text: str, ratio: float, limit: float) -> Target:
    """State a ratio that is to reach a limit."""
    return Target(text, ratio, limit)


def at_most(text: str, ratio: float, limit: float) -> Target:
    """State a ratio that is not to exceed a limit."""
    return Target(text, ratio, limit, is_at_least=False)
