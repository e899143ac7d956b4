"""An event log to learn from: one sequence per case, asked at every event.

Reading is `training.data.event_log`, dividing `training.data.splits`, what is asked
`training.data.heads`. The vocabulary is fitted on the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from models.schemas import TIME_FEATURES
from training.data.anomalies import Clock, mark_windows, read_windows
from training.data.dataset import Array, Dataset, Sequences
from training.data.durations import ask_time
from training.data.event_log import EventLog, Roles, read_log, read_text
from training.data.fields import (
    MISSING_NUMBERS,
    EncodedEvents,
    encode_events,
    hide_names,
)
from training.data.files import find_file
from training.data.heads import (
    Head,
    HeldOutEvents,
    Layouts,
    ask_label,
    ask_next_event,
    join_held_out,
    join_parts,
    join_schemas,
    lay_out,
)
from training.data.label_weights import (
    EVEN,
    LABEL_WEIGHTS,
    check_label_weight,
    weigh_positions,
)
from training.data.selection import select_cases
from training.data.splits import (
    SPLITS,
    SplitOptions,
    describe_parts,
    divide_log,
    show_time,
)
from training.data.tasks import TASK_RULE, TIMED, parse_tasks
from training.errors import ConfigError, DataError
from training.sections import (
    ONCE,
    RISING,
    between,
    each,
    inside,
    inside_or_count,
    one_of,
)

QUANTILES = (0.1, 0.5, 0.9)
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
    missing: Annotated[str, one_of(*MISSING_NUMBERS)] = "refuse"
    time_features: Annotated[
        tuple[str, ...] | None, each(one_of(*TIME_FEATURES)), ONCE
    ] = None
    task: Annotated[str, TASK_RULE] = "next event"
    label_weight: Annotated[str, one_of(*LABEL_WEIGHTS)] = EVEN
    quantiles: Annotated[tuple[float, ...], each(inside(0, 1)), RISING] = QUANTILES
    windows: str = ""
    anomaly: str = ""
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


def load_events(options: EventOptions, seed: int) -> Dataset:
    """Read, divide and encode an event log.

    Raises:
        DataError: The file cannot be read, or a part of it would be empty.
    """
    tasks = parse_tasks(options.task)
    refuse_unused(options, tasks)
    log = select_cases(
        read_marked(options), options.min_events, options.cut_after, options.first_cases
    )
    split = divide_log(log, split_options(options, seed))
    encoded = encode_events(
        log,
        find_roles(options),
        split.train.rows(log.num_rows),
        min_count=options.min_count,
        unknown=options.unknown,
        time_features=options.time_features,
        is_timed=bool(TIMED & set(tasks)),
    )
    heads = ask(options, log, encoded, lay_out(split))
    return Dataset(
        inputs=encoded.schema,
        outputs=join_schemas(heads),
        draw_epoch=lambda rng: draw_epoch(heads, encoded, options.window, rng),
        held_out=join_held_out(heads),
        validation=join_parts(
            [weigh_positions(h.held_out.validation, h.held_out) for h in heads]
        ).cut(options.window),
        real=pick_real(heads[0].held_out.train),
        facts={
            "source": "events",
            "fingerprint": log.fingerprint,
            "rows": log.num_rows,
            "cases": log.num_cases,
            "vocabulary": len(encoded.vocabulary.names),
            **describe_times(log),
            **describe_parts(split, log.num_rows),
            **({"note": log.note} if log.note else {}),
            **{name: fact for head in heads for name, fact in head.facts.items()},
        },
    )


def ask(
    options: EventOptions, log: EventLog, encoded: EncodedEvents, layouts: Layouts
) -> list[Head]:
    """Make what each task asks at every event.

    Raises:
        DataError: A task has nothing to ask in the training or test part.
    """
    heads: list[Head] = []
    for task in parse_tasks(options.task):
        if task == "label":
            head = ask_label(encoded, log, layouts, options.label)
            check_label_weight(head.held_out, options.label_weight)
            weighed = head.held_out._replace(label_weight=options.label_weight)
            head = head._replace(held_out=weighed)
            if heads:
                head.schema["name"] = "label_probabilities"
        elif task == "next event":
            head = ask_next_event(
                encoded, layouts, end=options.end, windows=log.windows
            )
        else:
            head = ask_time(encoded, log, layouts, task, options.quantiles)
        check_targets(head, task, options)
        heads.append(head)
    return heads


def refuse_unused(options: EventOptions, tasks: Sequence[str]) -> None:
    """Refuse a column that no task looks at, and a task without its column.

    Raises:
        ConfigError: There is one.
    """
    if "label" in tasks and not options.label:
        raise ConfigError(
            "data.label is missing; expected the column of what is to be learnt. "
            f"`python -m training inspect {options.file}` shows the columns."
        )
    if "label" not in tasks and options.label:
        raise ConfigError(
            f"data.label is {options.label!r}; the task {options.task!r} does not "
            'learn it. Leave it out, or set data.task = "label".'
        )
    if "label" not in tasks and options.label_weight != EVEN:
        raise ConfigError(
            f'data.label_weight is "{options.label_weight}"; the task {options.task!r} '
            "learns no label. Leave it out, or add the task label."
        )
    timed = [task for task in tasks if task in TIMED]
    if timed and not options.time:
        raise ConfigError(
            f"data.time is missing; expected the column of times for the {timed[0]}. "
            "Name it, or leave the task out."
        )
    if timed and 0.5 not in options.quantiles:
        raise ConfigError(
            f"data.quantiles is {list(options.quantiles)}; expected the median, 0.5, "
            "among them. Add it."
        )
    refuse_unasked(options, tasks)
    if options.time_features and not options.time:
        raise ConfigError(
            f"data.time_features is {list(options.time_features)}; expected a column "
            "of times with it. Name it in data.time."
        )


def refuse_unasked(options: EventOptions, tasks: Sequence[str]) -> None:
    """Refuse labels of anomalies that no surprise is compared with.

    Raises:
        ConfigError: There are such labels.
    """
    if options.windows and options.anomaly:
        raise ConfigError(
            f"data.windows is {options.windows!r} and data.anomaly {options.anomaly!r};"
            " expected one of them. Leave the other out."
        )
    for key in ("windows", "anomaly"):
        if getattr(options, key) and "next event" not in tasks:
            raise ConfigError(
                f"data.{key} is {getattr(options, key)!r}; the task {options.task!r} "
                "has no surprise to score by it. Leave it out, or add the task next."
            )
    if options.windows and not options.time:
        raise ConfigError(
            f"data.windows is {options.windows!r}; expected a column of times with it. "
            "Name it in data.time, or mark events in a column: data.anomaly."
        )


def read_marked(options: EventOptions) -> EventLog:
    """Read the file, its rows marked that are in labelled windows.

    Raises:
        DataError: The file of windows is damaged, or a window has no row.
    """
    log = read_events(options)
    if not options.windows or log.times is None:
        return log
    clock = Clock(options.time_format, log.zoned)
    marks = mark_windows(
        read_windows(Path(options.windows), clock),
        log.case_names.tolist(),
        np.split(log.times, log.offsets[1:-1]),
        "case",
    )
    return replace(log, windows=np.concatenate(marks))


def read_events(options: EventOptions) -> EventLog:
    """Read the file with the roles that the options give.

    Raises:
        ConfigError: It is a table, and a column it needs is not named.
    """
    path = Path(options.file)
    if find_file(path).form == "text":
        refuse_columns(options)
        return read_text(path)
    for role in ("case", "event"):
        if not getattr(options, role):
            raise ConfigError(
                f"data.{role} is missing; expected the column that names the {role}. "
                f"`python -m training inspect {path}` shows the columns."
            )
    if options.case == options.event:
        raise ConfigError(
            f"data.case and data.event are both {options.case!r}; expected two "
            f"columns. `python -m training inspect {path}` shows the columns."
        )
    return read_log(path, find_roles(options))


def refuse_columns(options: EventOptions) -> None:
    """Refuse columns of plain text, which has none.

    Raises:
        ConfigError: One is named.
    """
    named = find_roles(options).asked()
    if named:
        option, column = next(iter(named.items()))
        raise ConfigError(
            f"{option} is {column!r}; {options.file} is plain text by its name, an "
            "event per character, and has no columns. Leave it out; or where the file "
            "is CSV, rename it to .csv."
        )


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
        anomaly=options.anomaly or None,
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


def check_targets(head: Head, task: str, options: EventOptions) -> None:
    """Refuse a log in which nothing is asked.

    Raises:
        DataError: Training or test part has no target.
    """
    for name in ("train", "test"):
        if getattr(head.held_out, name).weights.any():
            continue
        if task == "label":
            raise DataError(
                f"no event of the {name} part has a label in column {options.label}; "
                "expected some. Check data.label and data.split."
            )
        if task == "remaining time":
            raise DataError(
                f"no case of the {name} part is complete, so that no {task} is known. "
                "Check data.split."
            )
        raise DataError(
            f"no event of the {name} part follows another one, so that there is "
            "nothing to learn. Check data.case, or set data.end = true."
        )


def draw_epoch(
    heads: Sequence[Head],
    encoded: EncodedEvents,
    window: int,
    rng: np.random.Generator,
) -> Sequences:
    """Return the training part, some of its names hidden, long cases in pieces."""
    parts = [weigh_positions(h.held_out.train, h.held_out) for h in heads]
    shown = parts[0].inputs
    inputs = hide_names(encoded, shown, rng)
    changed = inputs != shown
    if changed.any():
        events = changed if changed.ndim == 1 else changed[:, 0]
        parts = [
            hide_targets(part, events, encoded.vocabulary.unknown)
            if isinstance(head.held_out, HeldOutEvents)
            else part
            for head, part in zip(heads, parts, strict=True)
        ]
    return join_parts(parts)._replace(inputs=inputs).cut(window)


def hide_targets(train: Sequences, hidden: Array, unknown: int | None) -> Sequences:
    """Expect the unknown event where an event is hidden after another one."""
    rows = np.flatnonzero(hidden)
    targets = train.targets.copy()
    begins = np.isin(rows, train.offsets[:-1])
    targets[rows[~begins] - 1] = unknown
    return train._replace(targets=targets)


def pick_real(train: Sequences) -> Array:
    """Pick the first cases that are long enough, or the longest of all short."""
    lengths = np.minimum(train.lengths, REAL_LENGTH)
    chosen = np.flatnonzero(lengths == lengths.max())[:NUM_REAL]
    real: Array = train.take(chosen).sequences[:, : lengths.max()]
    return real


def describe_times(log: EventLog) -> dict[str, str]:
    """State when the log begins and ends, where it has times."""
    if log.times is None or not len(log.times):
        return {}
    first, last = log.times.min(), log.times.max()
    return {"first_event_at": show_time(first), "last_event_at": show_time(last)}
