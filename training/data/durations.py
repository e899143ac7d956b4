"""Tasks of time: how long until the next event, and until the end of the case.

Both in seconds between instants. A network learns ln(1 + seconds), because a minute
more of an hour and of a month are not the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array, Sequences
from training.data.event_log import EventLog
from training.data.fields import EncodedEvents
from training.data.heads import Head, Layout, Layouts
from training.errors import DataError

MICROS = 1e6


class HeldOutTimes(NamedTuple):
    """Held-out times until an event, for the evaluation.

    Args:
        train: The training part, as baselines are fitted on it.
        validation: What is chosen by.
        test: What is reported.
        task: `next time` or `remaining time`.
        quantiles: Which quantiles the network answers, the median among them.
        columns: What each column of the inputs is: name, number, days or seconds.
    """

    train: Sequences
    validation: Sequences
    test: Sequences
    task: str
    quantiles: tuple[float, ...]
    columns: tuple[str, ...] = ("name",)


def ask_time(
    encoded: EncodedEvents,
    log: EventLog,
    layouts: Layouts,
    task: str,
    quantiles: Sequence[float],
) -> Head:
    """Ask at each event for a time.

    The remaining time of a case that is cut is not known there, nor the time until an
    event after it.

    Raises:
        DataError: All times of the training part are equal.
    """
    times = log.times if log.times is not None else np.zeros(log.num_rows, np.int64)
    measure = wait_for_next if task == "next time" else wait_for_end
    parts = {}
    for name, layout in layouts.items():
        seconds, known = measure(times[layout.rows] / MICROS, layout)
        targets = np.where(known, seconds, 0).astype(np.float32)
        parts[name] = layout.make(
            encoded.inputs[layout.rows], targets, layout.counted & known
        )
    held_out = HeldOutTimes(
        **parts, task=task, quantiles=tuple(quantiles), columns=encoded.columns
    )
    logs = np.log1p(held_out.train.targets[held_out.train.weights > 0], dtype=float)
    if not len(logs):
        raise DataError(
            f"no event of the training part has a {task}, as in cases of one event; "
            "expected longer cases. Check data.case, or leave the task out."
        )
    if not logs.std() > 0:
        raise DataError(
            f"the {task} is the same at all {len(logs)} events of the training part "
            "that have one; expected times that differ. Check data.time, or leave the "
            "task out."
        )
    schema: dict[str, Any] = {
        "kind": "duration",
        "name": task.replace(" time", "_seconds"),
        "quantiles": list(quantiles),
        "mean": float(logs.mean()),
        "std": float(logs.std()),
    }
    return Head(schema, held_out, {})


def wait_for_next(times: Array, layout: Layout) -> tuple[Array, Array]:
    """Return the seconds until the next event of each row, and where there is one."""
    known = np.ones(len(times), bool)
    known[layout.offsets[1:] - 1] = False
    return np.roll(times, -1) - times, known


def wait_for_end(times: Array, layout: Layout) -> tuple[Array, Array]:
    """Return the seconds until the last event of each case, and where it is known."""
    last = np.repeat(times[layout.offsets[1:] - 1], np.diff(layout.offsets))
    return last - times, layout.has_end
