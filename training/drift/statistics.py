"""Statistics of drift, and the noise that sampling alone adds to them.

Events of a session depend on each other, so that sessions are what is drawn.
"""

from __future__ import annotations

import numpy as np

from training.data.dataset import Array
from training.drift.sample import SampledSeries

# Sessions are drawn in at most this many groups.
GROUPS = 200
DRAWS = 2000
# What chance alone exceeds in 1 of 1000 samples: the quantile, and the same in standard
# errors, and of the Kolmogorov-Smirnov statistic (Smirnov's sqrt(-ln(0.0005) / 2)).
QUANTILE = 0.999
ERRORS = 3.29
SMIRNOV = 1.95
# Added to each count, so that a name that is not there has a finite logarithm.
PRIOR = 0.5


def find_shares(counts: Array) -> Array:
    """Return shares of counts, none of them 0."""
    raised = counts + PRIOR
    shares: Array = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def measure_psi(shares: Array, reference: Array) -> Array:
    """Return the population stability index, a symmetric Kullback-Leibler divergence.

    Reference: Siddiqi, Credit Risk Scorecards, Wiley 2006, chapter 10.
    """
    apart = (shares - reference) * np.log(shares / reference)
    psi: Array = apart.sum(axis=-1)
    return psi


def count_by_group(series: SampledSeries, num_bins: int, num_sessions: int) -> Array:
    """Add up the weights of values by group of sessions: (groups, bins)."""
    num_groups = max(1, min(GROUPS, num_sessions))
    groups = np.random.default_rng(0).permutation(num_sessions) % num_groups
    cells = groups[series.sessions] * num_bins + series.values
    counts: Array = np.bincount(cells, series.weights, num_groups * num_bins)
    return counts.reshape(num_groups, num_bins)


def measure_noise(counts: Array, reference: Array, ratio: float) -> float:
    """Return the index that sampling alone exceeds in 1 of 1000 samples.

    Sessions are drawn again from the sample (the bootstrap), and how far the draws are
    from the sample is how far a sample is from where it comes from.

    Args:
        counts: Of the sample, (groups, bins).
        reference: Shares of the reference.
        ratio: Sessions of the sample for each of the reference, which is drawn as well.
    """
    num_groups = len(counts)
    if num_groups < 2:
        return float("inf")
    rng = np.random.default_rng(1)
    drawn = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), DRAWS)
    apart = find_shares(drawn @ counts) - find_shares(counts.sum(axis=0))
    apart *= np.sqrt((1 + ratio) * num_groups / (num_groups - 1))
    least = PRIOR / (counts.sum() + PRIOR * counts.shape[1])
    shares = np.maximum(reference + apart, least)
    shares /= shares.sum(axis=1, keepdims=True)
    return float(np.quantile(measure_psi(shares, reference), QUANTILE))


def measure_ks(series: SampledSeries, points: Array, below: Array) -> float:
    """Return the largest difference of two distributions, at points of the reference.

    Args:
        series: The sample.
        points: Some values of the reference, rising.
        below: Share of the reference at or below each.
    """
    return float(np.abs(find_below(series, points) - below).max())


def find_below(series: SampledSeries, points: Array) -> Array:
    """Return the share of values at or below points; each session counts once."""
    order = np.argsort(series.values)
    total = np.concatenate([[0.0], np.cumsum(series.weights[order])])
    ranks = np.searchsorted(series.values[order], points, side="right")
    below: Array = total[ranks] / total[-1]
    return below


def find_error(series: SampledSeries) -> float:
    """Return the standard error of the mean, as sessions are drawn.

    That of few sessions, or of a few long ones among many, is itself uncertain: by the
    jackknife a long session counts as if it had been left out, and the error is as
    much larger as Student's quantile is than the normal one.
    """
    _, places = np.unique(series.sessions, return_inverse=True)
    sizes = np.bincount(places)
    num_events = len(series.values)
    effective = num_events**2 / (sizes.astype(np.float64) ** 2).sum()
    if effective < 2:
        return float("inf")
    apart = np.bincount(places, series.values) - series.values.mean() * sizes
    apart /= 1 - sizes / num_events
    student = 1 + (ERRORS**2 + 1) / (4 * (effective - 1))
    return float(np.sqrt((apart**2).sum()) / num_events * student)
