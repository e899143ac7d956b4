"""An event log to learn from: one sequence per case, asked at every event.

`training.data.log_reader` reads the log, `training.data.splits` divides it,
`training.data.heads` and `training.data.labels` make the targets of each task. The
vocabulary is fitted on the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.data.anomalies import Clock, mark_windows, read_windows
from training.data.dataset import Array, Dataset, Sequences, choose_real
from training.data.durations import ask_time
from training.data.event_log import EventLog
from training.data.event_options import (
    EventOptions,
    find_roles,
    refuse_columns,
    refuse_unused,
    split_options,
)
from training.data.fields import (
    EncodedEvents,
    encode_events,
    hide_names,
)
from training.data.files import find_file
from training.data.heads import (
    Head,
    HeldOutEvents,
    Layouts,
    ask_next_event,
    join_held_out,
    join_parts,
    join_schemas,
    lay_out,
)
from training.data.label_weights import (
    check_label_weight,
    weigh_positions,
)
from training.data.labels import ask_label
from training.data.log_reader import read_log, read_text
from training.data.selection import select_cases
from training.data.splits import (
    describe_parts,
    divide_log,
    show_time,
)
from training.data.tasks import TIMED, parse_tasks
from training.errors import ConfigError, DataError


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
    chosen, length = choose_real(train.lengths)
    real: Array = train.take(chosen).sequences[:, :length]
    return real


def describe_times(log: EventLog) -> dict[str, str]:
    """State when the log begins and ends, where it has times."""
    if log.times is None or not len(log.times):
        return {}
    first, last = log.times.min(), log.times.max()
    return {"first_event_at": show_time(first), "last_event_at": show_time(last)}
