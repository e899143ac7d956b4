"""Choose cases of a log before it is divided: enough events, the first ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.data.dataset import Array
from training.data.event_log import Coded, EventLog
from training.errors import DataError


def select_cases(
    log: EventLog, min_events: int, cut_after: int, first_cases: int
) -> EventLog:
    """Leave cases and events out.

    Args:
        log: The log.
        min_events: Cases with fewer are left out.
        cut_after: Maximum number of events of a case; later ones are left out. 0: all.
        first_cases: Maximum number of cases, in the file's order; 0 keeps all.

    Raises:
        DataError: Nothing is left.
    """
    cases = np.flatnonzero(log.lengths >= min_events)
    cases = cases[:first_cases] if first_cases else cases
    if not len(cases):
        raise DataError(
            f"no case has {min_events} events, as data.min_events asks for; the "
            f"longest has {log.lengths.max()}. Lower it."
        )
    lengths = log.lengths[cases]
    kept = np.minimum(lengths, cut_after) if cut_after else lengths
    if len(cases) == log.num_cases and (kept == lengths).all():
        return log
    offsets = np.concatenate([[0], np.cumsum(kept)])
    rows = np.arange(offsets[-1]) + np.repeat(log.offsets[cases] - offsets[:-1], kept)
    return take_rows(log, cases, rows, offsets)


def take_rows(log: EventLog, cases: Array, rows: Array, offsets: Array) -> EventLog:
    """Take rows of a log that stay in their order."""

    def take(column: Coded | None) -> Coded | None:
        return None if column is None else Coded(column.codes[rows], column.names)

    return replace(
        log,
        offsets=offsets,
        case_names=log.case_names[cases],
        events=Coded(log.events.codes[rows], log.events.names),
        times=None if log.times is None else log.times[rows],
        clocks=None if log.clocks is None else log.clocks[rows],
        label=take(log.label),
        numbers={name: column[rows] for name, column in log.numbers.items()},
        categories={
            name: Coded(column.codes[rows], column.names)
            for name, column in log.categories.items()
        },
        windows=None if log.windows is None else log.windows[rows],
        folds=None
        if log.folds is None
        else Coded(log.folds.codes[cases], log.folds.names),
    )
