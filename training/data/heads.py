"""Targets of an event log: what each task asks at every event, part by part.

A task is a head of the network. All heads have the same sequences, one per case, and a
target at every event of them; a weight of 0 says that nothing is asked there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array, Sequences
from training.data.fields import EncodedEvents
from training.data.splits import Part, Split
from training.data.vocabulary import free_name

PARTS = ("train", "validation", "test")


class Layout(NamedTuple):
    """Rows of a part, one piece after the other.

    Args:
        rows: Of the log.
        offsets: int64 of shape (pieces + 1,).
        counted: Whether a row counts; the others are context.
        ends: By piece: whether its case ends with it.
    """

    rows: Array
    offsets: Array
    counted: Array
    ends: Array

    @property
    def has_end(self) -> Array:
        """True if the end of its case is in the piece of a row."""
        has_end: Array = np.repeat(self.ends, np.diff(self.offsets))
        return has_end

    def make(self, inputs: Array, targets: Array, weights: Array) -> Sequences:
        """Make sequences of arrays by row of the layout."""
        return Sequences(inputs, targets, weights.astype(np.uint8), self.offsets)


Layouts = Mapping[str, Layout]


class HeldOutEvents(NamedTuple):
    """Held-out next events, for the evaluation.

    Args:
        train: The training part, as baselines are fitted on it.
        validation: What is chosen by.
        test: What is reported.
        labels: Names of what may come next.
        end: Position of the end among them; None without one.
        unknown: Position of the unknown event; None without one.
        columns: What each column of the inputs is: name, number, days or seconds.
        windows: Of each row of the test part the number of the labelled window that it
            is in, 0 outside; None without labels.
    """

    train: Sequences
    validation: Sequences
    test: Sequences
    labels: list[str]
    end: int | None
    unknown: int | None
    columns: tuple[str, ...] = ("name",)
    windows: Array | None = None


class HeldOutLabels(NamedTuple):
    """Held-out labels, for the evaluation.

    Args:
        train: The training part, as baselines are fitted on it.
        validation: What is chosen by.
        test: What is reported; a label that training does not have is `len(labels)`.
        labels: Names of the labels, the most frequent first.
        num_events: Of the vocabulary.
        of_case: Whether a label is its case's, the same at every event.
        numbers: Columns of records that are numbers.
        columns: What each column of the inputs is: name, number, days or seconds.
        label_weight: How much the answers at the events of a case weigh in training.
    """

    train: Sequences
    validation: Sequences
    test: Sequences
    labels: list[str]
    num_events: int
    of_case: bool
    numbers: tuple[int, ...] = ()
    columns: tuple[str, ...] = ("name",)
    label_weight: str = "even"


class Head(NamedTuple):
    """A task on a log.

    Args:
        schema: Of its output.
        held_out: What its evaluation needs; the training part is trained on.
        facts: What the manifest says of it.
    """

    schema: dict[str, Any]
    held_out: Any
    facts: dict[str, Any]


class HeldOutHeads(NamedTuple):
    """Held-out data of a network with several heads, for the evaluation.

    Args:
        by_name: What each head's evaluation needs, by the name of its output.
    """

    by_name: dict[str, Any]


def join_schemas(heads: Sequence[Head]) -> dict[str, Any]:
    """Describe the outputs of all heads; the first is the main one."""
    first, *others = (head.schema for head in heads)
    if not others:
        return first
    joined = {**first, "others": [one["name"] for one in others], "heads": others}
    # An answer says once what quantiles are.
    levels = [one["quantiles"] for one in (first, *others) if "quantiles" in one]
    return {**joined, "quantiles": levels[0]} if levels else joined


def join_held_out(heads: Sequence[Head]) -> Any:
    """Return what measuring needs: of one head its own."""
    if len(heads) == 1:
        return heads[0].held_out
    return HeldOutHeads({head.schema["name"]: head.held_out for head in heads})


def join_parts(parts: Sequence[Sequences]) -> Sequences:
    """Lay the targets of all heads side by side: (rows, heads) where there are more."""
    first = parts[0]
    if len(parts) == 1:
        return first
    targets = np.stack([part.targets for part in parts], axis=-1).astype(np.float32)
    weights = np.stack([part.weights for part in parts], axis=-1)
    return first._replace(targets=targets, weights=weights)


def lay_out(split: Split) -> dict[str, Layout]:
    """Lay out the parts of a log; pieces without rows are left out."""
    return {name: lay_out_part(getattr(split, name)) for name in PARTS}


def lay_out_part(part: Part) -> Layout:
    """Lay out one part."""
    part = part.choose(np.flatnonzero(part.stops > part.starts))
    lengths = part.stops - part.starts
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.arange(offsets[-1]) + np.repeat(part.starts - offsets[:-1], lengths)
    counted = rows >= np.repeat(part.scored, lengths)
    return Layout(rows, offsets, counted, part.ends)


def ask_next_event(
    encoded: EncodedEvents,
    layouts: Layouts,
    *,
    end: bool,
    windows: Array | None = None,
) -> Head:
    """Ask at each event for the one after it.

    The event after a piece's last is the end where its case ends, and otherwise not
    known here.

    Args:
        encoded: The events.
        layouts: The parts.
        end: Whether the end of a case is a label of its own.
        windows: Labelled ones, by row of the log.
    """
    vocabulary = encoded.vocabulary
    labels = list(vocabulary.names)
    place = len(labels) if end else None
    if end:
        labels.append(free_name("end", labels))
    parts = {}
    for name, layout in layouts.items():
        targets = np.roll(encoded.events[layout.rows], -1)
        weights = layout.counted.copy()
        last = layout.offsets[1:] - 1
        targets[last] = place or 0
        weights[last] = layout.ends if end else False
        parts[name] = layout.make(encoded.inputs[layout.rows], targets, weights)
    held_out = HeldOutEvents(
        **parts,
        labels=labels,
        end=place,
        unknown=vocabulary.unknown,
        columns=encoded.columns,
        windows=find_tested(windows, layouts["test"]),
    )
    schema: dict[str, Any] = {
        "kind": "next_event",
        "name": "probabilities",
        "labels": labels,
    }
    if place is not None:
        schema["end"] = labels[place]
    if encoded.schema["kind"] == "record":
        schema["event"] = encoded.schema["fields"][0]["name"]
    facts = {"unknown_test_events": count_unknown(held_out)}
    if windows is not None:
        facts["labelled_windows"] = count_windows(windows)
        facts["test_windows"] = count_windows(held_out.windows)
    return Head(schema, held_out, facts)


def find_tested(windows: Array | None, test: Layout) -> Array | None:
    """Take the labelled windows of the rows that the test part counts."""
    return None if windows is None else np.where(test.counted, windows[test.rows], 0)


def count_windows(windows: Array | None) -> int:
    """Count labelled windows that have a row."""
    return 0 if windows is None else len(np.unique(windows[windows > 0]))


def count_unknown(held_out: HeldOutEvents) -> int:
    """Count the events of the test part that training has not seen."""
    if held_out.unknown is None:
        return 0
    counted = held_out.test.weights > 0
    return int(np.count_nonzero(held_out.test.targets[counted] == held_out.unknown))
