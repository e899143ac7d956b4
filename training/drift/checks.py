"""Checks of a sample against a profile: what changed by more than sampling explains.

A check fails where its figure is both large enough to matter and larger than sampling
alone explains in 1 of 1000 samples. A small sample therefore raises no alarm; below
`MIN_SESSIONS` nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from models.schemas import list_fields
from training.drift.profile import OTHER
from training.drift.sample import Sample, SampledSeries
from training.drift.statistics import (
    ERRORS,
    SMIRNOV,
    count_by_group,
    find_error,
    find_shares,
    measure_ks,
    measure_noise,
    measure_psi,
)

# Siddiqi, Credit Risk Scorecards, Wiley 2006: below 0.1 no change, from 0.25 on one
# that needs an answer.
WATCHED_PSI, DRIFTED_PSI = 0.1, 0.25
# Of the largest difference of two distributions, which is between 0 and 1.
WATCHED_KS, DRIFTED_KS = 0.05, 0.1
# Share by which the mean surprise rose.
WATCHED_SURPRISE, DRIFTED_SURPRISE = 0.05, 0.1
# By how much the network is more (or less) sure than it is right.
WATCHED_GAP, DRIFTED_GAP = 0.025, 0.05
MIN_SESSIONS = 100

State = Literal["stable", "watched", "drifted"]


class Check(NamedTuple):
    """A figure of drift and its verdict.

    Args:
        name: What was compared.
        figure: How large the change is.
        limit: From which on it is drift.
        noise: What sampling alone exceeds in 1 of 1000 samples.
        state: The verdict.
        detail: For people: the values before and now.
    """

    name: str
    figure: float
    limit: float
    noise: float
    state: State
    detail: str = ""


class BinnedNames(NamedTuple):
    """Shares of a field's names.

    Args:
        bins: The names.
        reference: Their shares of the version's held-out part.
        captured: Their shares now.
    """

    bins: list[str]
    reference: list[float]
    captured: list[float]


class Drift(NamedTuple):
    """Result of the checks of a sample.

    Args:
        checks: All checks; empty for a sample that is too small.
        names: Shares by field.
        sample: The sample.
    """

    checks: list[Check]
    names: dict[str, BinnedNames]
    sample: Sample

    @property
    def drifted(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.state == "drifted"]


def check_drift(
    inputs: Mapping[str, Any], profile: Mapping[str, Any], sample: Sample
) -> Drift:
    """Compare a sample with a profile.

    Args:
        inputs: Input schema of the version.
        profile: Of the version.
        sample: In the version's words.
    """
    binned: dict[str, SampledSeries] = {}
    shares: dict[str, BinnedNames] = {}
    for field in list_fields(inputs):
        name = field["name"]
        if name in sample.names and (reference := profile["names"].get(name)):
            binned[name] = series = bin_names(field, reference, sample.names[name])
            bins, counts = reference["bins"], np.array(reference["weights"])
            now = np.bincount(series.values, series.weights, len(bins))
            both = (find_shares(each).tolist() for each in (counts, now))
            shares[name] = BinnedNames(bins, *both)
    if sample.num_sessions < MIN_SESSIONS:
        return Drift([], shares, sample)
    ratio = sample.num_sessions / profile["sessions"]
    checks = [
        check_names(name, binned[name], shares[name], sample.num_sessions, ratio)
        for name in binned
    ]
    checks += check_numbers(profile, sample)
    checks += check_network(profile, sample)
    return Drift(checks, shares, sample)


def bin_names(
    field: Mapping[str, Any], reference: Mapping[str, Any], series: SampledSeries
) -> SampledSeries:
    """Turn places in the vocabulary into places among a profile's bins."""
    bins = {name: k for k, name in enumerate(reference["bins"])}
    other = len(bins) - 1 if reference["bins"][-1] == OTHER else 0
    places = np.array([bins.get(name, other) for name in field["vocabulary"]])
    return SampledSeries(places[series.values], series.sessions)


def check_names(
    name: str,
    series: SampledSeries,
    shares: BinnedNames,
    num_sessions: int,
    ratio: float,
) -> Check:
    """Compare shares of names by their population stability index."""
    reference, captured = np.array(shares.reference), np.array(shares.captured)
    counts = count_by_group(series, len(shares.bins), num_sessions)
    psi = float(measure_psi(captured, reference))
    apart = captured - reference
    most = int(np.abs(apart).argmax())
    detail = f"{shares.bins[most]} {reference[most]:.1%} -> {captured[most]:.1%}"
    noise = measure_noise(counts, reference, ratio)
    state = judge(psi, (WATCHED_PSI, DRIFTED_PSI), noise)
    return Check(f"PSI of {name}", psi, DRIFTED_PSI, noise, state, detail)


def check_numbers(profile: Mapping[str, Any], sample: Sample) -> Iterator[Check]:
    """Compare distributions of numbers by their largest difference."""
    for name, reference in profile["numbers"].items():
        series = sample.numbers.get(name)
        if series is None or not len(series.values):
            continue
        points, below = np.array(reference["points"]), np.array(reference["below"])
        figure = measure_ks(series, points, below)
        num_sessions = len(np.unique(series.sessions))
        noise = SMIRNOV * np.sqrt(1 / num_sessions + 1 / profile["sessions"])
        middle = points[np.searchsorted(below, 0.5)]
        detail = f"median {middle:.4g} -> {np.median(series.values):.4g}"
        state = judge(figure, (WATCHED_KS, DRIFTED_KS), noise)
        yield Check(f"KS of {name}", figure, DRIFTED_KS, float(noise), state, detail)


def check_network(profile: Mapping[str, Any], sample: Sample) -> Iterator[Check]:
    """Compare how much the network is surprised, and how sure it is."""
    if sample.surprise is not None and "surprise" in profile:
        before, now = profile["surprise"], sample.surprise
        mean = float(now.values.mean())
        scale = max(before["mean"], 1e-9)
        noise = ERRORS * join_errors(before, now) / scale
        figure = (mean - before["mean"]) / scale
        state = judge(figure, (WATCHED_SURPRISE, DRIFTED_SURPRISE), noise)
        detail = f"{before['mean']:.4g} -> {mean:.4g} nats per event"
        yield Check("rise of surprise", figure, DRIFTED_SURPRISE, noise, state, detail)
    if sample.gap is not None and "gap" in profile:
        before, now = profile["gap"], sample.gap
        mean = float(now.values.mean())
        figure = abs(mean) - abs(before["mean"])
        noise = ERRORS * join_errors(before, now)
        state = judge(figure, (WATCHED_GAP, DRIFTED_GAP), noise)
        detail = f"surer than right by {before['mean']:+.1%} -> {mean:+.1%}"
        yield Check("loss of calibration", figure, DRIFTED_GAP, noise, state, detail)


def join_errors(before: Mapping[str, Any], now: SampledSeries) -> float:
    """Return the standard error of a difference of means."""
    error = before["error"]
    return float(np.hypot(np.inf if error is None else error, find_error(now)))


def judge(figure: float, limits: tuple[float, float], noise: float) -> State:
    """Return the state of a figure."""
    watched, drifted = limits
    if figure < watched or figure <= noise:
        return "stable"
    return "drifted" if figure >= drifted else "watched"
