"""Boosted trees of scikit-learn, bounded: rows drawn, classes pooled, trees counted.

The trees are fitted on the training part, and how many of them is chosen on the
validation part, as for the order of an n-gram. Does not know what is measured.
"""

from __future__ import annotations

import importlib.util
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from training.data.dataset import Array, Sequences
from training.data.durations import HeldOutTimes
from training.data.heads import HeldOutEvents, HeldOutLabels
from training.evaluate.boosting.features import describe
from training.evaluate.guesses import find_shares
from training.evaluate.metric import Predict

NAME = "gradient boosting"
ABSENT = (
    "Gradient boosting is not among the baselines: scikit-learn is not installed "
    "(`pip install -r requirements-boosting.txt`)."
)
# What they are fitted to; the generated data have baselines of their own.
SOURCES = ("events", "series")
# Bounds on the time it takes: one tree is about 5 ms and fits 30,000 rows.
MAX_ROWS, MAX_VALIDATION_ROWS = 30_000, 5_000
# Classes with trees of their own; the rarer ones share those of one class more.
MAX_CLASSES, MAX_TREES, MAX_ROUNDS = 30, 1_500, 200
# Rounds without a lower loss on the validation part, after which no more are added.
PATIENCE_ROUNDS = 10
# Of the probability, by how often the training part has each label: a label that no
# tree expects has one too.
SPREAD = 0.001

Fitted = TypeVar("Fitted")
_fitted: dict[tuple[int, str], Any] = {}


class FeatureTable(NamedTuple):
    """Rows to learn from.

    Args:
        features: Of shape (rows, features).
        targets: Of shape (rows,).
        names: Which features are codes of names.
    """

    features: Array
    targets: Array
    names: list[bool]


def is_installed() -> bool:
    """Return whether scikit-learn is there."""
    return importlib.util.find_spec("sklearn") is not None


def list_missing(facts: Mapping[str, Any]) -> str:
    """Say that boosted trees are missing; empty where they are not.

    Args:
        facts: Of the data, their source among them.
    """
    is_there = is_installed() or facts.get("source") not in SOURCES
    return "" if is_there else ABSENT


def boost_labels(held_out: HeldOutEvents | HeldOutLabels) -> dict[str, Predict]:
    """Fit a classifier; empty where scikit-learn is not installed."""
    return fit_once(held_out.train, "labels", lambda: fit_classes(held_out))


def boost_times(held_out: HeldOutTimes) -> dict[str, Predict]:
    """Fit a regression for each quantile; empty where scikit-learn is not there."""
    return fit_once(held_out.train, held_out.task, lambda: fit_quantiles(held_out))


def fit_once(
    train: Sequences, what: str, fit: Callable[[], Predict]
) -> dict[str, Predict]:
    """Fit on a training part once, however often networks are measured beside it."""
    if not is_installed():
        return {}
    return {NAME: remember(train.targets, what, fit)}


def remember(data: Array, what: str, fit: Callable[[], Fitted]) -> Fitted:
    """Return what was fitted on an array, or fit it; forgotten with the array."""
    key = (id(data), what)
    if key not in _fitted:
        _fitted[key] = fit()
        weakref.finalize(data, _fitted.pop, key, None)
    found: Fitted = _fitted[key]
    return found


def fit_classes(held_out: HeldOutEvents | HeldOutLabels) -> Predict:
    """Fit the probabilities of the labels."""
    counts_events = isinstance(held_out, HeldOutLabels)
    size, columns = len(held_out.labels), held_out.columns
    train = tabulate(held_out.train, columns, counts=counts_events, most=MAX_ROWS)
    chosen_by = tabulate(
        held_out.validation, columns, counts=counts_events, most=MAX_VALIDATION_ROWS
    )
    shares = find_shares(held_out.train, size)
    pools = pool_classes(train.targets, size)
    train, chosen_by = (
        one._replace(targets=pools[one.targets.astype(np.int64)])
        for one in (train, chosen_by)
    )
    is_known = np.isin(chosen_by.targets, train.targets)
    chosen_by = chosen_by._replace(
        features=chosen_by.features[is_known], targets=chosen_by.targets[is_known]
    )
    classes = np.unique(train.targets)
    if len(classes) < 2:
        return lambda sequences: np.broadcast_to(shares, (*sequences.shape[:2], size))
    model = fit_trees(train, chosen_by, len(classes))
    # What a class is given is shared among its labels by how frequent they are.
    of_label = np.where(classes[:, None] == pools[:size], shares, 0)
    of_label /= of_label.sum(axis=1, keepdims=True)

    def predict(features: Array) -> Array:
        made = model.predict_proba(features) @ of_label
        mixed: Array = (1 - SPREAD) * made + SPREAD * shares
        return mixed

    return ask(predict, columns, counts=counts_events)


def fit_quantiles(held_out: HeldOutTimes) -> Predict:
    """Fit the quantiles of ln(1 + seconds)."""
    columns = held_out.columns
    train, chosen_by = (
        table._replace(targets=np.log1p(table.targets.astype(float)))
        for table in (
            tabulate(held_out.train, columns, counts=True, most=MAX_ROWS),
            tabulate(
                held_out.validation, columns, counts=True, most=MAX_VALIDATION_ROWS
            ),
        )
    )
    models = [fit_trees(train, chosen_by, 1, level) for level in held_out.quantiles]

    def predict(features: Array) -> Array:
        logs = np.stack([model.predict(features) for model in models], axis=-1)
        return np.sort(np.expm1(np.maximum(logs, 0)), axis=-1)  # none cross

    return ask(predict, columns, counts=True)


def ask(
    predict_rows: Callable[[Array], Array], columns: Sequence[str], *, counts: bool
) -> Predict:
    """Make a function of sequences of one of features; equal rows are asked once."""

    def predict(sequences: Array) -> Array:
        rows, timesteps = sequences.shape[:2]
        flat = sequences.reshape(rows * timesteps, *sequences.shape[2:])
        offsets = np.arange(rows + 1) * timesteps
        features = describe(flat, offsets, columns, counts=counts).table
        first, place = find_distinct(features)
        with limit_threads():
            made = predict_rows(features[first])[place]
        return made.reshape(rows, timesteps, made.shape[-1])

    return predict


def find_distinct(features: Array) -> tuple[Array, Array]:
    """Return the first of all equal rows, and which of those each row is."""
    rows = np.ascontiguousarray(features)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))
    _, first, place = np.unique(keys[:, 0], return_index=True, return_inverse=True)
    return first, place


def tabulate(
    sequences: Sequences, columns: Sequence[str], *, counts: bool, most: int
) -> FeatureTable:
    """Describe the events that count, at most `most` of them drawn."""
    sequences = draw_sequences(sequences, most)
    described = describe(sequences.inputs, sequences.offsets, columns, counts=counts)
    rows = draw(np.flatnonzero(sequences.weights > 0), most)
    return FeatureTable(described.table[rows], sequences.targets[rows], described.names)


def limit_threads() -> Any:
    """Run trees in one thread: two on a busy machine wait for each other, minutes."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="openmp")


def draw_sequences(sequences: Sequences, most: int) -> Sequences:
    """Draw sequences with some times as many rows as are to be drawn, at most."""
    enough = 10 * most
    if len(sequences.inputs) <= enough or len(sequences.lengths) == 1:
        return sequences
    order = np.random.default_rng(0).permutation(len(sequences.lengths))
    total = np.cumsum(sequences.lengths[order])
    chosen = np.sort(order[: 1 + int(np.searchsorted(total, enough))])
    lengths = sequences.lengths[chosen]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.arange(offsets[-1])
    rows += np.repeat(sequences.offsets[:-1][chosen] - offsets[:-1], lengths)
    inputs, targets, weights = (array[rows] for array in sequences[:3])
    return Sequences(inputs, targets, weights, offsets)


def draw(rows: Array, most: int) -> Array:
    """Draw some of the rows, always the same ones, in their order."""
    if len(rows) <= most:
        return rows
    drawn: Array = np.random.default_rng(0).choice(rows, most, replace=False)
    return np.sort(drawn)


def pool_classes(targets: Array, num_labels: int) -> Array:
    """Return the class of each label; the rare ones, and those not there, share one."""
    counts = np.bincount(targets.astype(np.int64), minlength=num_labels + 1)
    order = np.argsort(-counts, kind="stable")[:MAX_CLASSES]
    kept = order[counts[order] > 0]
    pools = np.full(num_labels + 1, len(kept))
    pools[kept] = np.arange(len(kept))
    return pools


def fit_trees(
    train: FeatureTable,
    chosen_by: FeatureTable,
    num_trees: int,
    quantile: float | None = None,
) -> Any:
    """Fit boosted trees, as many as expect the validation part best.

    Args:
        train: What they are fitted on.
        chosen_by: The validation part; without rows, half as many rounds are added.
        num_trees: Of a round: as many as there are classes, 1 for numbers.
        quantile: Which one to expect; None for classes.
    """
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    rounds = max(10, min(MAX_ROUNDS, MAX_TREES // num_trees))
    has_validation = len(chosen_by.targets) > 0
    options: dict[str, Any] = {
        "max_iter": rounds if has_validation else rounds // 2,
        "early_stopping": has_validation,
        "n_iter_no_change": PATIENCE_ROUNDS,
        "categorical_features": train.names,
        "random_state": 0,
    }
    if quantile is None:
        model = HistGradientBoostingClassifier(**options)
    else:
        model = HistGradientBoostingRegressor(
            loss="quantile", quantile=quantile, **options
        )
    known = {}
    if has_validation:
        known = {"X_val": chosen_by.features, "y_val": chosen_by.targets}
    with limit_threads():
        return model.fit(train.features, train.targets, **known)
