"""Targets of the task `label`: the label of each event, or of its case.

The training part decides which: where no case of it has two labels, a label is the
case's. Of a case that is cut the label is not known, as what is learnt of a case is
known when it is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.data.dataset import Array
from training.data.event_log import Coded, EventLog
from training.data.fields import EncodedEvents
from training.data.heads import Head, HeldOutLabels, Layout, Layouts
from training.errors import DataError


def ask_label(
    encoded: EncodedEvents, log: EventLog, layouts: Layouts, name: str
) -> Head:
    """Ask at each event for its label, or for that of its case.

    Every event of a complete case is asked for the label of its case.

    Args:
        encoded: The events.
        log: The log; rows without a label are not asked for one.
        layouts: The parts.
        name: Of the column of labels.

    Raises:
        DataError: The training part has fewer than two labels.
    """
    column = log.label or Coded(np.zeros(log.num_rows, np.uint8), [""])
    codes, of_case = find_codes(column, layouts)
    train = layouts["train"]
    order = order_codes(codes["train"][train.counted], len(column.names))
    if len(order) < 2:
        found = f"only {column.names[order[0]]!r}" if len(order) else "no label"
        cases = "complete cases" if of_case else "events"
        raise DataError(
            f"column {name} has {found} at the {cases} of the training part; expected "
            "two labels or more. Check data.label and data.split."
        )
    # A label that training does not have, and one that is missing: the last place.
    places = np.full(len(column.names) + 1, len(order))
    places[order] = np.arange(len(order))
    sequences = {}
    for part, layout in layouts.items():
        targets = places[codes[part]].astype(np.min_scalar_type(len(order)))
        asked = layout.counted & (codes[part] >= 0)
        if part == "validation":  # nothing is chosen by what nothing can expect
            asked &= targets < len(order)
        targets[~asked] = 0  # a label that the loss knows
        sequences[part] = layout.make(encoded.inputs[layout.rows], targets, asked)
    return make_head(
        HeldOutLabels(
            train=sequences["train"],
            validation=sequences["validation"],
            test=sequences["test"],
            labels=[column.names[code] for code in order],
            num_events=len(encoded.vocabulary.names),
            of_case=of_case,
            numbers=encoded.numbers,
            columns=encoded.columns,
        )
    )


def find_codes(column: Coded, layouts: Layouts) -> tuple[Mapping[str, Array], bool]:
    """Find the code of the label that each row is asked for.

    Returns:
        By part, int64 of shape (rows of the part,), -1 where there is no label; and
        whether labels are those of cases.
    """
    codes = column.codes.astype(np.int64)
    codes[np.array([not label for label in column.names])[column.codes]] = -1
    train = layouts["train"]
    of_case = not has_varying(codes[train.rows], train)
    found = {}
    for part, layout in layouts.items():
        own = codes[layout.rows]
        own = np.where(layout.has_end, spread_last(own, layout), -1) if of_case else own
        found[part] = own
    return found, of_case


def order_codes(codes: Array, num_names: int) -> Array:
    """Return the codes that occur, the most frequent first; -1 is no code."""
    counts = np.bincount(codes[codes >= 0], minlength=num_names)
    order: Array = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return order


def make_head(held_out: HeldOutLabels) -> Head:
    """Describe the head that answers labels."""
    labels: Sequence[str] = held_out.labels
    tested = held_out.test.targets[held_out.test.weights > 0]
    return Head(
        {
            "kind": "sequence_label" if held_out.of_case else "label",
            "name": "probabilities",
            "labels": labels,
        },
        held_out,
        {
            "label_of": "case" if held_out.of_case else "event",
            "unknown_test_labels": int(np.count_nonzero(tested == len(labels))),
        },
    )


def has_varying(codes: Array, layout: Layout) -> bool:
    """Return whether a piece has two different labels; -1 is no label."""
    begins = layout.offsets[:-1]
    if not len(begins):
        return False
    highest = np.maximum.reduceat(codes, begins)
    lowest = np.minimum.reduceat(
        np.where(codes < 0, len(codes) + highest.max(), codes), begins
    )
    return bool((lowest < highest).any())


def spread_last(codes: Array, layout: Layout) -> Array:
    """Give all rows of a piece the last label it has; -1 where it has none."""
    places = np.where(codes >= 0, np.arange(len(codes)), -1)
    begins = layout.offsets[:-1]
    if not len(begins):
        return codes
    last = np.maximum.reduceat(places, begins)
    labels = np.where(last >= 0, codes[np.maximum(last, 0)], -1)
    spread: Array = np.repeat(labels, np.diff(layout.offsets))
    return spread
