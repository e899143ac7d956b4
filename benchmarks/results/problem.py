"""Problem definition: a data set, its protocol, and the networks tried on it.

Knows no files' formats and no networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

# By the name of a figure, the values of the network and of its baselines.
Figures = Mapping[str, Mapping[str, float]]
NETWORK = "network"
# Why a network may be missing on the page.
NO_TIME = (
    "the cores were shared with other programs, and minutes were left to smaller "
    "networks; `make results` trains it"
)


@dataclass(frozen=True)
class Figure:
    """A figure that a protocol asks for.

    Args:
        name: In words, with its unit.
        better: Which way is better.
        digits: Digits after the point that the page shows.
    """

    name: str
    better: Literal["lower", "higher"]
    digits: int = 3

    def reaches(self, value: float, limit: float) -> bool:
        """Return whether a value reaches a limit, as the page shows it."""
        shown = round(value, self.digits)
        return shown >= limit if self.better == "higher" else shown <= limit


@dataclass(frozen=True)
class Variant:
    """A network that is trained, with each of its seeds on each of its parts.

    Args:
        name: On the page.
        table: The configuration, without name and seed.
        seeds: Of the trainings.
        parts: By name what `[data]` has besides: a fold, a file, an origin.
        limit: What the problem's first figure is to reach; None where nothing is asked.
        reason: Why it is not measured, where it is not.
    """

    name: str
    table: Mapping[str, Any]
    seeds: Sequence[int] = (1, 2, 3)
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"all": {}})
    limit: float | None = None
    reason: str = ""


def average(parts: Sequence[Figures]) -> Figures:
    """Average every figure over parts, as far as all parts have it."""
    return {
        figure: {
            who: sum(part[figure][who] for part in parts) / len(parts)
            for who in parts[0][figure]
            if all(who in part[figure] for part in parts)
        }
        for figure in parts[0]
    }


@dataclass(frozen=True)
class Problem:
    """A table of the page.

    Args:
        name: On the command line.
        title: On the page.
        source: Where the data come from, and their licence.
        files: That it needs, relative to the folder of the data.
        protocol: What is trained on, what is scored, and how.
        chosen: How the hyper-parameters were chosen.
        figures: The first one decides.
        variants: The networks.
        prepare: Writes the files to train on: (folder of the data, where to) -> None.
        score: From a measured training to figures.
        reported: Figures that others publish, or that were found before, by name.
        combine: From the figures of all parts to those of one seed.
        note: What a reader must know besides.
    """

    name: str
    title: str
    source: str
    files: Sequence[str]
    protocol: str
    chosen: str
    figures: Sequence[Figure]
    variants: Sequence[Variant]
    prepare: Callable[[Path, Path], None]
    score: Callable[[Any], Figures]
    reported: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    combine: Callable[[Sequence[Figures]], Figures] = average
    note: str = ""


class Job(NamedTuple):
    """One training."""

    problem: Problem
    variant: Variant
    part: str
    seed: int

    @property
    def key(self) -> str:
        """Name it in the file of results."""
        return f"{self.problem.name}/{self.variant.name}/{self.part}/{self.seed}"


def list_jobs(problems: Sequence[Problem], most: int | None = None) -> list[Job]:
    """List all trainings: the first seed of every network before any second one.

    Args:
        problems: Of which.
        most: Seeds of a network; None: all.
    """
    variants = [(problem, one) for problem in problems for one in problem.variants]
    return [
        Job(problem, variant, part, seed)
        for place in range(max((len(v.seeds) for _, v in variants), default=0))
        for problem, variant in variants
        for seed in variant.seeds[:most][place : place + 1]
        for part in variant.parts
    ]
