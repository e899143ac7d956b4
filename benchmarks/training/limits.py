"""Limits of the figures, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

RESULT = Path(__file__).with_name("result.json")
FIT = "fit"


class Limit(NamedTuple):
    """A figure and what it is to be.

    Args:
        text: What was measured.
        value: The figure.
        limit: The least or the most.
        is_at_least: Which of the two.
        unit: Follows the figure.
    """

    text: str
    value: float
    limit: float
    is_at_least: bool
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """True if the figure is within its limit."""
        if self.is_at_least:
            return self.value >= self.limit
        return self.value <= self.limit

    @property
    def sentence(self) -> str:
        """Say it in a line."""
        kind = "at least" if self.is_at_least else "at most"
        verdict = "met" if self.is_met else "not met"
        digits = 0 if self.value >= 100 else 2
        return (
            f"{self.text}: {self.value:,.{digits}f}{self.unit} "
            f"({kind} {self.limit:,g}{self.unit}, {verdict})"
        )


def read_result() -> dict[str, Any]:
    """Read the figures that were kept."""
    kept: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    return kept


def check(name: str, found: Mapping[str, Any]) -> list[Limit]:
    """Compare a measurement with its limits."""
    if name == "speed":
        rates = found["events_per_second"]
        wanted = {"padded model.fit": 4.0, "torch.nn.LSTM": 1.0}
        return [
            Limit(
                f"events/s of fit / {other}",
                rates[FIT] / rates[other],
                least,
                is_at_least=True,
            )
            for other, least in wanted.items()
            if other in rates
        ]
    events = f"{found['events'] / 1e6:.1f} million events"
    if name == "read":
        what = f"reading and sorting {events}"
        return [
            Limit(
                f"{what}, time of the processor",
                found["cpu_seconds"],
                10,
                is_at_least=False,
                unit=" s",
            ),
            Limit(
                f"{what}, resident",
                found["megabytes"],
                512,
                is_at_least=False,
                unit=" MB",
            ),
        ]
    growth = found["megabytes_last"] - found["megabytes_settled"]
    return [
        Limit(
            f"training on {events}, most resident",
            found["megabytes_highest"],
            2048,
            is_at_least=False,
            unit=" MB",
        ),
        Limit(
            f"the same, growth over {found['updates'] - 50} updates",
            growth,
            50,
            is_at_least=False,
            unit=" MB",
        ),
    ]
