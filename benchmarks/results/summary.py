"""From the records of a network's trainings to mean and spread over its seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.results.problem import NETWORK, Figure, Figures, Job, Problem, Variant
from benchmarks.results.records import Record


class Spread(NamedTuple):
    """A figure over seeds; the deviation of one seed is NaN."""

    mean: float
    deviation: float


class Summary(NamedTuple):
    """Summary of a network's figures.

    Args:
        figures: By name of the figure, then of the network and its baselines.
        seeds: As the page has them.
        validation: Mean loss of the validation part; None without one.
        cpu_minutes: Of one seed with all its parts.
        measured: When, and with which code.
        verdicts: Of the pipeline, for the first seed; one for each kind.
    """

    figures: Mapping[str, Mapping[str, Spread]]
    seeds: str
    validation: float | None
    cpu_minutes: float
    measured: str
    verdicts: Sequence[str]


def summarize(
    problem: Problem, variant: Variant, records: Mapping[str, Record]
) -> Summary | None:
    """Summarize the seeds of which all parts are measured; None without one."""
    by_seed = {
        seed: [
            records.get(Job(problem, variant, part, seed).key) for part in variant.parts
        ]
        for seed in variant.seeds
    }
    whole = {
        seed: [record for record in found if record]
        for seed, found in by_seed.items()
        if all(found)
    }
    if not whole:
        return None
    used = [record for found in whole.values() for record in found]
    minutes = sum(record["cpu_minutes"] for record in used) / len(whole)
    losses = [r["validation_loss"] for r in used if r["validation_loss"] is not None]
    dates = sorted({record["date"] for record in used})
    codes = dict.fromkeys(record["code"] for record in used)
    return Summary(
        spread([problem.combine([r["figures"] for r in f]) for f in whole.values()]),
        ", ".join(map(str, whole)),
        statistics.fmean(losses) if losses else None,
        minutes,
        f"{' to '.join(dict.fromkeys([dates[0], dates[-1]]))}, {', '.join(codes)}",
        count_verdicts(next(iter(whole.values()))),
    )


def spread(by_seed: Sequence[Figures]) -> dict[str, dict[str, Spread]]:
    """Take mean and deviation of every figure that all seeds have."""
    return {
        figure: {
            who: of_values([one[figure][who] for one in by_seed])
            for who in values
            if all(who in one.get(figure, {}) for one in by_seed)
        }
        for figure, values in by_seed[0].items()
    }


def of_values(values: Sequence[float]) -> Spread:
    """Take mean and deviation, as of a sample."""
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return Spread(statistics.fmean(values), deviation)


def count_verdicts(parts: Sequence[Record]) -> list[str]:
    """Return the verdict of one part, or how many parts were worth a network."""
    if len(parts) == 1:
        return [parts[0]["verdict"]]
    worth = sum(record["is_worth_it"] for record in parts)
    return [f"worth a network in {worth} of {len(parts)} parts: {parts[0]['verdict']}"]


def best_baseline(figure: Figure, found: Summary) -> tuple[str, float] | None:
    """Return the best of what was measured next to a network."""
    means = {
        who: one.mean
        for who, one in found.figures[figure.name].items()
        if who != NETWORK and math.isfinite(one.mean)
    }
    if not means:
        return None
    choose = max if figure.better == "higher" else min
    name = choose(means, key=lambda who: means[who])
    return name, means[name]
