"""Alarms: thresholds on surprise, and their score by labelled windows.

Thresholds are chosen on the validation part, without labels. Windows are scored by
overlap (Alnegheimish et al., Sintel, 2022, https://arxiv.org/abs/2204.09108): a run of
alarms is one found segment; a labelled window that a segment overlaps is a true
positive, one without any a false negative, a segment that overlaps no window a false
positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.data.dataset import Array
from training.data.heads import HeldOutEvents
from training.evaluate.guesses import Guesses, guess
from training.evaluate.metric import NETWORK, Metric, Predict

# Shares of alarms on the validation part, each with its threshold on surprise.
ALARMS = (0.05, 0.01, 0.001)
COUNTS = ("true positives", "false positives", "false negatives")
F1 = "overlap F1"

Segments = Sequence[tuple[float, float]]


def count_overlaps(found: Segments, labelled: Segments) -> dict[str, int]:
    """Count labelled windows that were found or missed, and false alarms.

    Args:
        found: First and last moment of each segment.
        labelled: Those of each window.
    """
    hits = int(np.count_nonzero(mark_overlaps(labelled, found)))
    false = len(found) - int(np.count_nonzero(mark_overlaps(found, labelled)))
    return dict(zip(COUNTS, (hits, false, len(labelled) - hits), strict=True))


def mark_overlaps(segments: Segments, others: Segments) -> Array:
    """Mark the segments that overlap one of the others: bool of shape (segments,)."""
    own = np.array(segments, float).reshape(-1, 2)
    starts, stops = np.sort(np.array(others, float).reshape(-1, 2), axis=0).T
    begun = np.searchsorted(starts, own[:, 1], "right")
    over = np.searchsorted(stops, own[:, 0], "left")
    marked: Array = begun > over
    return marked


def score_overlaps(counts: Mapping[str, float]) -> dict[str, float]:
    """Return precision, recall and F1 of counts; 0 where there is nothing to divide."""
    hits, false, missed = (counts[name] for name in COUNTS)
    return {
        "window precision": hits / max(1, hits + false),
        "window recall": hits / max(1, hits + missed),
        F1: 2 * hits / max(1, 2 * hits + false + missed),
    }


def find_runs(rows: Array) -> Segments:
    """Join rows that follow each other: first and last of each run; rows rise."""
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return [(float(part[0]), float(part[-1])) for part in parts if len(part)]


def find_windows(marks: Array) -> Segments:
    """Return first and last row of each window, from its number at every row."""
    rows = np.flatnonzero(marks)
    _, first = np.unique(marks[rows], return_index=True)
    _, last = np.unique(marks[rows][::-1], return_index=True)
    ends = rows[len(rows) - 1 - last]
    pairs = zip(rows[first].tolist(), ends.tolist(), strict=True)
    return sorted(pairs)


def find_threshold(surprise: Array, share: float) -> float:
    """Find the surprise that a share of the events is over, at most."""
    place = len(surprise) - 1 - int(share * len(surprise))
    return float(np.partition(surprise, place)[place])


def count_alarms(share: float, threshold: float, surprise: Array, unit: str) -> Metric:
    """Measure the share of events over a threshold."""
    return Metric(
        f"alarms over a surprise of {threshold:.4g} {unit}, {share:.1%} of validation",
        float((surprise > threshold).mean()),
        "share",
        better="nominal",
    )


def list_scores(share: float, counts: Mapping[str, Mapping[str, int]]) -> list[Metric]:
    """Measure precision, recall and F1 by who was counted, at a share of alarms."""
    scores = {who: score_overlaps(one) for who, one in counts.items()}
    own = scores.pop(NETWORK)
    return [
        Metric(
            f"{name}, alarms at {share:.1%} of validation",
            value,
            "share",
            {who: one[name] for who, one in scores.items()},
            better="higher",
        )
        for name, value in own.items()
    ]


def measure_alarms(
    held_out: HeldOutEvents,
    predicts: Mapping[str, Predict],
    tested: Mapping[str, Guesses],
) -> list[Metric]:
    """Choose thresholds on surprise by the validation part; count alarms of the test.

    Ends are left out: they do not arrive at a service, so that nothing is said of them.
    Where there are labelled windows, the network and its baselines are scored by them,
    each at its own threshold for the same share of alarms.
    """
    if not held_out.validation.weights.any():
        return []
    windows = [] if held_out.windows is None else find_windows(held_out.windows)
    end = -1 if held_out.end is None else held_out.end
    chosen, arriving = {}, {}
    for name in predicts if windows else (NETWORK,):
        one = guess(held_out.validation, predicts[name], len(held_out.labels))
        chosen[name] = one.surprise[one.targets != end]
        arriving[name] = tested[name].choose(tested[name].targets != end)
    if not len(arriving[NETWORK].surprise):
        return []
    metrics = []
    for share in ALARMS:
        if share * len(chosen[NETWORK]) < 1:
            continue
        over = {name: find_threshold(one, share) for name, one in chosen.items()}
        surprise = arriving[NETWORK].surprise
        metrics.append(count_alarms(share, over[NETWORK], surprise, "nats"))
        if windows:
            counts = {
                name: count_overlaps(
                    find_runs(locate(one.choose(one.surprise > over[name]), held_out)),
                    windows,
                )
                for name, one in arriving.items()
            }
            metrics += list_scores(share, counts)
    return metrics


def locate(guesses: Guesses, held_out: HeldOutEvents) -> Array:
    """Return the rows of the test part that were guessed, in order.

    The first row of a sequence is never guessed, so that no run has two cases.
    """
    begins = held_out.test.offsets[guesses.sequence]
    return np.sort(begins + guesses.place)
