"""Expect the next event by counting what followed the last few: a back-off n-gram.

Order n looks at the last n - 1 events of the case, and at whether the case begins with
them: on MSNBC that is worth 0.009 nats per event. With h such a context, h' the same
without its earliest event, c(h w) how often training has w after h, and t(h) how many
different events it has there:

    p(w | h) = (c(h w) + t(h) * p(w | h')) / (c(h) + t(h))

down to the same share of every label. Fitted on the training part alone.

Reference: Witten & Bell, The Zero-Frequency Problem, IEEE Transactions on Information
Theory 37(4), 1991, doi 10.1109/18.87000; interpolated as in Chen & Goodman, An
Empirical Study of Smoothing Techniques for Language Modeling, 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array, Sequences
from training.data.fields import take_events

MAX_ORDER = 8
# Of probabilities at a time, 8 bytes each.
MAX_CELLS = 4_000_000


class Level(NamedTuple):
    """Counts of the labels that followed the contexts of one length.

    Args:
        contexts: Keys of the contexts, rising: of the context one shorter, and the
            event before it.
        starts: Of shape (contexts + 1,): the pairs of context k are those from
            starts[k] to starts[k + 1].
        pairs: Keys of context and next event, rising.
        counts: How often training has each pair.
    """

    contexts: Array
    starts: Array
    pairs: Array
    counts: Array

    @property
    def totals(self) -> Array:
        """Number of times each context occurs."""
        totals: Array = np.add.reduceat(self.counts, self.starts[:-1])
        return totals

    @property
    def kinds(self) -> Array:
        """Number of different events that follow each context."""
        kinds: Array = np.diff(self.starts)
        return kinds


class NGram(NamedTuple):
    """A fitted n-gram.

    Args:
        levels: Of its contexts, the empty one first.
        num_labels: Of what may come next.
        sees_begin: Whether the beginning of a case is a part of contexts.
        num_events: Of the contexts, where labels are not events; 0 where they are.
    """

    levels: tuple[Level, ...]
    num_labels: int
    sees_begin: bool = True
    num_events: int = 0

    @property
    def order(self) -> int:
        """One more than the events of its longest context."""
        return len(self.levels)

    def predict(self, sequences: Array) -> Array:
        """Return the probabilities of what comes next, as a network does."""
        sequences = take_events(sequences)
        rows, timesteps = sequences.shape
        places = np.tile(np.arange(timesteps), rows)
        found = self.find_contexts(sequences.ravel(), places)
        # Rows of the same longest context have the same probabilities.
        depth = (found >= 0).sum(axis=0) - 1
        longest = found[depth, np.arange(len(depth))]
        _, first, group = np.unique(
            depth * (1 << 40) + longest, return_index=True, return_inverse=True
        )
        size = max(1, MAX_CELLS // self.num_labels)
        parts = [
            self.expect(found[:, first[start : start + size]])
            for start in range(0, len(first), size)
        ]
        probabilities: Array = np.concatenate(parts)[group]
        return probabilities.reshape(rows, timesteps, self.num_labels)

    def find_contexts(self, events: Array, places: Array) -> Array:
        """Find the contexts at every event, of each length: (order, events).

        Args:
            events: One case after the other.
            places: Of each event in its case, from 0.
        """
        found = [np.zeros(len(events), np.int64)]
        for length in range(1, self.order):
            keys = self.extend(found[-1], events, places, length)
            found.append(look_up(self.levels[length].contexts, keys))
        return np.stack(found)

    def extend(
        self, contexts: Array, events: Array, places: Array, length: int
    ) -> Array:
        """Make keys of contexts longer by the event before them.

        Returns:
            -1 where the context is not known, or is longer than what the case has.
        """
        back, begin = length - 1, self.num_events or self.num_labels
        before = np.roll(events, back).astype(np.int64)
        before = np.where(places == back - 1, begin, before)  # it begins here
        keys = contexts * (begin + 1) + before
        is_there = (contexts >= 0) & (places >= back - self.sees_begin)
        return np.where(is_there, keys, -1)

    def expect(self, found: Array) -> Array:
        """Return the probabilities in contexts: (contexts, labels)."""
        shares = np.full((found.shape[1], self.num_labels), 1 / self.num_labels)
        for level, contexts in zip(self.levels, found, strict=True):
            known = np.flatnonzero(contexts >= 0)
            there = contexts[known]
            kinds = level.kinds[there]
            total = level.totals[there] + kinds
            shares[known] *= (kinds / total)[:, None]
            row = np.repeat(np.arange(len(known)), kinds)
            shift = level.starts[there] - np.cumsum(kinds) + kinds
            pair = np.arange(len(row)) + shift[row]
            label = level.pairs[pair] % self.num_labels
            shares[known[row], label] += level.counts[pair] / total[row]
        return shares


def fit_ngram(
    train: Sequences,
    num_labels: int,
    order: int,
    *,
    sees_begin: bool = True,
    num_events: int = 0,
) -> NGram:
    """Count what follows the contexts of the training part."""
    model = NGram((), num_labels, sees_begin, num_events)
    while model.order < order:
        model = deepen(model, train)
    return model


def choose_ngram(
    train: Sequences, validation: Sequences, num_labels: int, num_events: int = 0
) -> NGram:
    """Fit n-grams of rising order, and keep what expects the validation part best.

    Two orders in a row that are no better end it: one event of context may say nothing
    where two do. A validation part without events leaves the order at 3.
    """
    if not validation.weights.any():
        return fit_ngram(train, num_labels, 3, num_events=num_events)
    model = best = fit_ngram(train, num_labels, 1, num_events=num_events)
    least = measure_surprise(best, validation)
    while model.order < min(best.order + 2, MAX_ORDER):
        model = deepen(model, train)
        surprise = measure_surprise(model, validation)
        if surprise < least:
            best, least = model, surprise
    return best


def deepen(model: NGram, train: Sequences) -> NGram:
    """Add the contexts that are longer by one event."""
    events, places = take_events(train.inputs), find_places(train)
    counted = train.weights > 0
    if not model.levels:
        contexts, ids = np.zeros(1, np.int64), np.zeros(len(events), np.int64)
    else:
        longest = model.find_contexts(events, places)[-1]
        keys = model.extend(longest, events, places, model.order)
        contexts = np.unique(keys[counted & (keys >= 0)])
        ids = look_up(contexts, keys)
    used = counted & (ids >= 0)
    keys = ids[used] * model.num_labels + train.targets[used]
    pairs, counts = np.unique(keys, return_counts=True)
    edges = np.arange(len(contexts) + 1) * model.num_labels
    level = Level(contexts, np.searchsorted(pairs, edges), pairs, counts)
    return model._replace(levels=(*model.levels, level))


def measure_surprise(model: NGram, sequences: Sequences) -> float:
    """Average -ln p of what came, without the probabilities of all else."""
    events = take_events(sequences.inputs)
    found = model.find_contexts(events, find_places(sequences))
    counted = sequences.weights > 0
    targets = sequences.targets[counted]
    shares = np.full(len(targets), 1 / model.num_labels)
    for level, contexts in zip(model.levels, found[:, counted], strict=True):
        known = contexts >= 0
        there = contexts[known]
        kinds = level.kinds[there]
        pair = look_up(level.pairs, there * model.num_labels + targets[known])
        came = np.where(pair >= 0, level.counts[pair], 0)
        total = level.totals[there] + kinds
        shares[known] = (kinds * shares[known] + came) / total
    return float(-np.log(shares).mean())


def find_places(sequences: Sequences) -> Array:
    """Return the place of every event in its sequence, from 0."""
    begins = np.repeat(sequences.offsets[:-1], sequences.lengths)
    places: Array = np.arange(len(sequences.inputs)) - begins
    return places


def look_up(keys: Sequence[int] | Array, wanted: Array) -> Array:
    """Return the place of each key among rising ones; -1 where it is not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Array = np.where(np.asarray(keys)[place] == wanted, place, -1)
    return found
