"""Vocabularies: the names a network knows, fitted on the training part alone.

A name that training has not seen, or not often enough, is the unknown event. So that
its vector is learnt as well, training shows it now and then in place of a known one,
the rarer the oftener.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from training.data.dataset import Array
from training.data.event_log import Coded
from training.errors import DataError

# More names than these are ids or free text, which no network of this kind learns.
MAX_NAMES = 50_000
# Chance of an event that was seen n times to be shown as unknown: a / (a + n).
# Kiperwasser & Goldberg, TACL 4, 2016, https://aclanthology.org/Q16-1023, section 4.1.
ALPHA = 0.25


class Vocabulary(NamedTuple):
    """The names a network knows.

    Args:
        names: The most frequent first; the unknown one last.
        places: int32 by code of the log: the position among the names, -1 for a name
            that is not known where there is no unknown event.
        counts: How often training has each name.
        unknown: Position of the unknown event; None without one.
    """

    names: list[str]
    places: Array
    counts: Array
    unknown: int | None


def fit_vocabulary(
    column: Coded, rows: Array, *, min_count: int, unknown: bool
) -> Vocabulary:
    """Choose the names of the training part.

    Args:
        column: The whole log's.
        rows: Which of its rows are the training part's; bool.
        min_count: How often a name must be there.
        unknown: Whether to have an unknown event.

    Raises:
        DataError: There is no name, or there are too many to learn.
    """
    counts = np.bincount(column.codes[rows], minlength=len(column.names))
    # By name where two are as frequent: names of the log are in that order.
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] >= max(1, min_count)]
    if not len(order):
        raise DataError(
            f"no event is there {min_count} times in the training part, as "
            "data.min_count asks for. Lower it."
        )
    if len(order) > MAX_NAMES:
        raise DataError(
            f"the training part has {len(order)} different events, such as "
            f"{column.names[order[-1]]!r}; at most {MAX_NAMES} can be learnt. Choose "
            "another column, or raise data.min_count."
        )
    names = [column.names[code] for code in order]
    places = np.full(len(column.names), -1, np.int32)
    places[order] = np.arange(len(order))
    kept = counts[order]
    if unknown:
        names.append(free_name("unknown", names))
        places[places < 0] = len(order)
        kept = np.append(kept, counts.sum() - kept.sum())
    return Vocabulary(names, places, kept, len(order) if unknown else None)


def free_name(word: str, taken: Collection[str]) -> str:
    """Put a word in brackets, as many as it takes to be no event of the log."""
    name = f"[{word}]"
    while name in taken:
        name = f"[{name}]"
    return name


def encode(vocabulary: Vocabulary, column: Coded) -> Array:
    """Turn codes of the log into positions in a vocabulary.

    Raises:
        DataError: A name is not known, and there is no unknown event.
    """
    if vocabulary.unknown is None and (vocabulary.places[column.codes] < 0).any():
        row = int(np.argmax(vocabulary.places[column.codes] < 0))
        raise DataError(
            f"event {column.names[column.codes[row]]!r} is not in the training part, "
            "so that nothing can be learnt of it. Set data.unknown = true."
        )
    encoded: Array = vocabulary.places.astype(smallest(vocabulary.names))[column.codes]
    return encoded


def smallest(names: Sequence[str]) -> type[np.generic]:
    """Choose a type for positions; one more is the end of a case."""
    kind: type[np.generic] = np.min_scalar_type(len(names) + 1).type
    return kind


def hide_rare(vocabulary: Vocabulary, events: Array, rng: np.random.Generator) -> Array:
    """Show some events as the unknown one, the rarer the oftener."""
    if vocabulary.unknown is None:
        return events
    chance = (ALPHA / (ALPHA + np.maximum(vocabulary.counts, 1))).astype(np.float32)
    chance[vocabulary.unknown] = 0
    hidden = rng.random(len(events), np.float32) < chance[events]
    return np.where(hidden, vocabulary.unknown, events).astype(events.dtype)
