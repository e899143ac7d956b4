"""The sample of captured events, encoded as the version expects them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from models.schemas import find_columns, list_fields
from training.compare import Side, name_fields, translate_names
from training.data.dataset import Array, Sequences
from training.data.event_log import EventLog
from training.data.event_options import EventOptions, find_roles
from training.data.events import ask, read_events
from training.data.fields import encode_events
from training.data.heads import HeldOutEvents, HeldOutLabels, lay_out
from training.data.selection import select_cases
from training.data.splits import Part, Split
from training.data.tables import open_table
from training.data.tasks import TIMED, parse_tasks
from training.drift.sample import Sample, split_fields, take_sample
from training.errors import ConfigError
from training.evaluate.metric import Predict
from training.evaluate.tasks import select


def read_sample(data: EventOptions, side: Side) -> Sample:
    """Read captured events and ask a version at each of them.

    Args:
        data: Where they are; from `training.captured_config`.
        side: The version.

    Raises:
        ConfigError: The version takes other events.
    """
    options, is_asked = choose_task(data)
    log = select_cases(read_events(options), options.min_events, options.cut_after, 0)
    is_over = parse_tasks(options.task)[0] == "label"
    everything = take_all(log, is_over=is_over)
    encoded = encode_events(
        log,
        find_roles(options),
        np.ones(log.num_rows, bool),
        min_count=1,
        unknown=True,
        time_features=options.time_features,
        is_timed=bool(TIMED & set(parse_tasks(data.task))),
    )
    split = Split(everything, everything, everything, {})
    (head,) = ask(options, log, encoded, lay_out(split))
    test = translate_inputs(head.held_out.test, encoded.schema, side)
    if not is_asked or not isinstance(head.held_out, HeldOutEvents | HeldOutLabels):
        names, numbers = split_fields(side.inputs, test)
        lengths = test.lengths
        return Sample(len(lengths), int(lengths.sum()), names, numbers)
    held_out = translate_targets(head.held_out._replace(test=test), side)
    return take_sample(side.inputs, held_out, select_first(side))


def choose_task(data: EventOptions) -> tuple[EventOptions, bool]:
    """Choose what is asked of captured events, and whether the version answers it.

    The first task decides. Labels are asked for where their column is there.
    """
    first = parse_tasks(data.task)[0]
    if first == "next event":
        return dataclasses.replace(data, task=first, label=""), True
    if first == "label":
        with open_table(Path(data.file)) as table:
            if data.label in table.columns:
                return dataclasses.replace(data, task=first), True
    return dataclasses.replace(data, task="next event", label=""), False


def take_all(log: EventLog, *, is_over: bool) -> Part:
    """Take all cases of a log; whether they are over is not known of captured ones."""
    begins = log.offsets[:-1]
    return Part(begins, log.offsets[1:], begins, np.full(log.num_cases, is_over))


def translate_inputs(
    sequences: Sequences, schema: dict[str, Any], side: Side
) -> Sequences:
    """Give names the places of the version's vocabularies.

    Raises:
        ConfigError: The version takes other fields.
    """
    own, theirs = list_fields(schema), list_fields(side.inputs)
    if [field["name"] for field in own] != [field["name"] for field in theirs]:
        raise ConfigError(
            f"the captured events have the fields {name_fields(own)} and {side.title} "
            f"takes {name_fields(theirs)}; expected the same. Leave none of them out."
        )
    inputs = sequences.inputs.copy()
    if inputs.ndim == 1:  # a narrow type may have no room for the version's places
        inputs = inputs.astype(np.int32)
    for (field, column), other in zip(find_columns(schema), theirs, strict=True):
        if "vocabulary" not in field:
            continue
        places = translate_names(field, other, side.title)
        if column is None:
            inputs = places[inputs].astype(np.int32)
        else:
            inputs[:, column] = places[inputs[:, column].astype(np.int64)]
    return sequences._replace(inputs=inputs)


def translate_targets(held_out: Any, side: Side) -> Any:
    """Give what came the places of the version's labels; what it has not comes last."""
    labels = side.outputs["labels"]
    places = {name: k for k, name in enumerate(labels)}
    unknown = list_fields(side.inputs)[0].get("unknown", "")
    is_next = isinstance(held_out, HeldOutEvents)
    missing = places.get(unknown, len(labels)) if is_next else len(labels)
    targets: Array = np.array(
        [*(places.get(name, missing) for name in held_out.labels), len(labels)]
    )[held_out.test.targets.astype(np.int64)]
    test = held_out.test._replace(targets=targets.astype(np.int32))
    changed = held_out._replace(test=test, labels=labels)
    end = places.get(side.outputs.get("end", ""))
    return changed._replace(end=end) if is_next else changed


def select_first(side: Side) -> Predict:
    """Return the first of a version's outputs."""
    if not side.outputs.get("heads"):
        return side.predict
    return select(side.predict, side.outputs["name"])
