"""Writes a run down: as a table to read, as JSON to compute with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.chaos.audit import Verdict

STORES = {
    "lmdb": "LMDB, one service of two workers",
    "redis": "Redis 6.2, append-only file synced always, two services of two workers",
    "valkey": "Valkey 9, append-only file synced always, two services of two workers",
}
# What a run does to the service; docs/explanation/reliability.md has the promises.
FAULTS = (
    "kills of workers",
    "kills of the store's server",
    "pauses of workers",
    "pauses of the store's server",
    "full disks",
    "damaged versions",
    "greedy clients",
    "connections cut by clients",
)
# What a reader looks for.
FIRST = ("requests", *FAULTS, "retries", "replays")


class Report(NamedTuple):
    """One run."""

    kind: str
    seconds: float
    seed: int
    counts: Mapping[str, int]
    verdict: Verdict
    objections: Sequence[str]

    @property
    def is_sound(self) -> bool:
        """Return whether nothing was lost, doubled, wrong or objected to."""
        verdict = self.verdict
        return not (verdict.lost or verdict.doubled or verdict.wrong or self.objections)

    def describe(self) -> dict[str, Any]:
        """Return the run as plain values."""
        return {
            "store": self.kind,
            "seconds": self.seconds,
            "seed": self.seed,
            "counts": dict(sorted(self.counts.items())),
            "verdict": self.verdict._asdict(),
            "objections": list(self.objections),
        }

    def tabulate(self) -> str:
        """Write the run as a Markdown table."""
        rest = sorted(self.counts.keys() - FIRST)
        rows = [
            *((name, self.counts[name]) for name in FIRST if name in self.counts),
            *((name, self.counts[name]) for name in rest),
            *self.verdict._asdict().items(),
            ("objections", len(self.objections)),
        ]
        lines = [f"| {STORES[self.kind]} | {self.seconds:g} s |", "|---|---|"]
        lines += [f"| {name.replace('_', ' ')} | {show(n)} |" for name, n in rows]
        return "\n".join(lines)


def show(number: float) -> str:
    """Write a number."""
    return f"{number:.1e}" if isinstance(number, float) else f"{number:,}"
