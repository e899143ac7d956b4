"""An event log to learn the next event of: one sequence per case, asked at every event.

Reading is `training.data.event_log`, dividing `training.data.splits`. What is fitted
here, the vocabulary, is fitted on the training part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from training.data.dataset import Array, Dataset, Sequences
from training.data.event_log import MISSING, EventLog, Roles, read_log, read_text
from training.data.files import find_file
from training.data.selection import select_cases
from training.data.splits import (
    SPLITS,
    Part,
    Split,
    SplitOptions,
    describe_parts,
    divide_log,
)
from training.data.vocabulary import (
    Vocabulary,
    encode,
    fit_vocabulary,
    free_name,
    hide_rare,
)
from training.errors import ConfigError, DataError
from training.sections import between, inside_or_count, one_of

TASKS = ("next event",)
# Of the cases that an export is compared on.
REAL_LENGTH, NUM_REAL = 50, 8


@dataclass(frozen=True)
class EventOptions:
    """The `[data]` keys of source `events`."""

    source: Annotated[str, one_of("events")]
    file: str
    case: str = ""
    event: str = ""
    time: str = ""
    label: str = ""
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    time_format: str = ""
    missing: Annotated[str, one_of(*MISSING)] = "refuse"
    task: Annotated[str, one_of(*TASKS)] = "next event"
    end: bool = True
    unknown: bool = True
    min_count: Annotated[int, between(1, 1_000_000)] = 1
    split: Annotated[str, one_of(*SPLITS)] = "time"
    validation: Annotated[float, inside_or_count()] = 0.1
    test: Annotated[float, inside_or_count()] = 0.2
    fold_column: str = ""
    folds: Annotated[int, between(2, 1000)] = 5
    fold: str = "0"
    min_events: Annotated[int, between(1, 1_000_000)] = 1
    cut_after: Annotated[int, between(0, 1_000_000_000)] = 0
    first_cases: Annotated[int, between(0, 1_000_000_000)] = 0
    window: Annotated[int, between(2, 100_000)] = 500


class HeldOutEvents(NamedTuple):
    """What measuring a next-event network needs.

    Args:
        train: The training part, as baselines are fitted on it.
        validation: What is chosen by.
        test: What is reported.
        labels: Names of what may come next.
        end: Position of the end among them; None without one.
        unknown: Position of the unknown event; None without one.
    """

    train: Sequences
    validation: Sequences
    test: Sequences
    labels: list[str]
    end: int | None
    unknown: int | None


def load_events(options: EventOptions, seed: int) -> Dataset:
    """Read, divide and encode an event log.

    Raises:
        DataError: The file cannot be read, or a part of it would be empty.
    """
    refuse_unused(options)
    log = select_cases(
        read_events(options), options.min_events, options.cut_after, options.first_cases
    )
    split = divide_log(log, split_options(options, seed))
    vocabulary = fit_vocabulary(
        log.events,
        split.train.rows(log.num_rows),
        min_count=options.min_count,
        unknown=options.unknown,
    )
    held_out = encode_parts(log, split, vocabulary, options.end)
    check_targets(held_out)
    return Dataset(
        inputs=input_schema(vocabulary),
        outputs=output_schema(held_out),
        draw_epoch=lambda rng: draw_epoch(held_out, vocabulary, options.window, rng),
        held_out=held_out,
        real=pick_real(held_out.train),
        facts={
            "source": "events",
            "fingerprint": log.fingerprint,
            "rows": log.num_rows,
            "cases": log.num_cases,
            "vocabulary": len(vocabulary.names),
            **describe_parts(split, log.num_rows),
            "unknown_test_events": count_unknown(held_out),
        },
    )


def refuse_unused(options: EventOptions) -> None:
    """Refuse columns that the task would not look at.

    Raises:
        ConfigError: One is named.
    """
    for role in ("label", "numbers", "categories"):
        if column := getattr(options, role):
            raise ConfigError(
                f"data.{role} is {column!r}; the task {options.task!r} learns from the "
                "events alone. Leave it out."
            )


def read_events(options: EventOptions) -> EventLog:
    """Read the file with the roles that the options give.

    Raises:
        ConfigError: It is a table, and a column it needs is not named.
    """
    path = Path(options.file)
    if find_file(path).form == "text":
        return read_text(path)
    for role in ("case", "event"):
        if not getattr(options, role):
            raise ConfigError(
                f"data.{role} is missing; expected the column that names the {role}. "
                f"`python -m training inspect {path}` shows the columns."
            )
    return read_log(path, find_roles(options))


def find_roles(options: EventOptions) -> Roles:
    """Read the roles of columns from the options."""
    return Roles(
        options.case,
        options.event,
        options.time or None,
        options.label or None,
        options.numbers,
        options.categories,
        options.fold_column or None,
        options.time_format or None,
        options.missing,
    )


def split_options(options: EventOptions, seed: int) -> SplitOptions:
    """Read how to divide the log from the options."""
    return SplitOptions(
        options.split,
        options.validation,
        options.test,
        options.folds,
        options.fold,
        seed,
        options.window,
    )


def input_schema(vocabulary: Vocabulary) -> dict[str, Any]:
    """Describe an event; an event that is not known is the unknown one."""
    schema: dict[str, Any] = {"kind": "event", "vocabulary": vocabulary.names}
    if vocabulary.unknown is not None:
        schema["unknown"] = vocabulary.names[vocabulary.unknown]
    return schema


def output_schema(held_out: HeldOutEvents) -> dict[str, Any]:
    """Describe the answer: the probability of every event to come, and of the end."""
    schema: dict[str, Any] = {
        "kind": "next_event",
        "name": "probabilities",
        "labels": held_out.labels,
    }
    if held_out.end is not None:
        schema["end"] = held_out.labels[held_out.end]
    return schema


def encode_parts(
    log: EventLog, split: Split, vocabulary: Vocabulary, has_end: bool
) -> HeldOutEvents:
    """Make sequences of the parts of a log."""
    events = encode(vocabulary, log.events)
    labels, end = list(vocabulary.names), None
    if has_end:
        end = len(labels)
        labels.append(free_name("end", labels))
    parts = {
        name: encode_part(events, getattr(split, name), end)
        for name in ("train", "validation", "test")
    }
    return HeldOutEvents(**parts, labels=labels, end=end, unknown=vocabulary.unknown)


def encode_part(events: Array, part: Part, end: int | None) -> Sequences:
    """Make a sequence of every piece: at each event, the one after it.

    The event after a piece's last is the end where its case ends, and otherwise not
    known here.
    """
    lengths = part.stops - part.starts
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    shift = np.repeat(part.starts - offsets[:-1], lengths)
    rows = np.arange(offsets[-1]) + shift
    inputs = events[rows]
    targets = np.roll(inputs, -1)
    weights = (rows + 1 >= np.repeat(part.scored, lengths)).astype(np.uint8)
    last = offsets[1:][lengths > 0] - 1
    targets[last] = end or 0
    weights[last] = part.ends[lengths > 0] if end is not None else 0
    is_kept = lengths > 0
    return Sequences(
        inputs, targets, weights, np.append(offsets[:-1][is_kept], offsets[-1])
    )


def check_targets(held_out: HeldOutEvents) -> None:
    """Refuse a log in which nothing follows anything.

    Raises:
        DataError: Training or test part has no event to predict.
    """
    for name in ("train", "test"):
        if not getattr(held_out, name).weights.any():
            raise DataError(
                f"no event of the {name} part follows another one, so that there is "
                "nothing to learn. Check data.case, or set data.end = true."
            )


def draw_epoch(
    held_out: HeldOutEvents,
    vocabulary: Vocabulary,
    window: int,
    rng: np.random.Generator,
) -> Sequences:
    """Return the training part, some of its events hidden, long cases in pieces."""
    train = held_out.train
    inputs = hide_rare(vocabulary, train.inputs, rng)
    is_same = inputs == train.inputs
    if not is_same.all():
        hidden = np.flatnonzero(~is_same)
        targets = train.targets.copy()
        begins = np.isin(hidden, train.offsets[:-1])
        targets[hidden[~begins] - 1] = vocabulary.unknown
        train = train._replace(inputs=inputs, targets=targets)
    return train.cut(window)


def pick_real(train: Sequences) -> Array:
    """Pick the first cases that are long enough, or the longest of all short."""
    lengths = np.minimum(train.lengths, REAL_LENGTH)
    chosen = np.flatnonzero(lengths == lengths.max())[:NUM_REAL]
    real: Array = train.take(chosen).sequences[:, : lengths.max()]
    return real


def count_unknown(held_out: HeldOutEvents) -> int:
    """Count the events of the test part that training has not seen."""
    if held_out.unknown is None:
        return 0
    counted = held_out.test.weights > 0
    return int(np.count_nonzero(held_out.test.targets[counted] == held_out.unknown))


def describe_roles(options: EventOptions) -> Mapping[str, str]:
    """Name the columns that are used, by role."""
    return find_roles(options).asked()
