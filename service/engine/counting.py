"""Counts of rows: what was applied, answered from a stored answer, or refused."""

from __future__ import annotations

from collections.abc import Sequence

from service.engine.column_lane import Columns
from service.engine.rows import WHOLE, Outcome, Result, Row
from service.errors import CarryoverError
from service.registry.catalog import Model
from service.telemetry.engine_metrics import (
    REPLAYED_ROWS,
    ROW_PROBLEMS,
    VersionTally,
    find_counter,
    find_version_tally,
)

TALLY = "tally"  # in a model's `prepared`: quicker to find than by name and version


def count_applied(row: Row, model: Model, outcome: Outcome) -> None:
    """Count a row of which the memory was committed."""
    tally: VersionTally = model.prepared.get(TALLY) or find_tally(model)
    num_events = len(row.sequence)
    tally.events.number += num_events
    if row.session is not None:
        if not outcome.is_continued:
            tally.started.number += 1
        if row.end:
            tally.ended.number += 1
    surprise = outcome.outputs.get(WHOLE)
    # Nothing was expected before the first event of a sequence.
    if surprise is not None and (outcome.is_continued or num_events > 1):
        tally.surprise.add(surprise.item(-1))


def count_columns(columns: Columns, won: Sequence[bool]) -> None:
    """Count rows that advanced as columns: an event of a live session each.

    Args:
        columns: The rows.
        won: Whether the memory of each was committed.
    """
    tally = find_tally(columns.model)
    tally.events.number += sum(won)
    if WHOLE in columns.outputs:
        tally.surprise.add_all(columns.outputs[WHOLE][list(won), 0])


def find_tally(model: Model) -> VersionTally:
    """Find what counts the rows of a model."""
    tally: VersionTally | None = model.prepared.get(TALLY)
    if tally is None:
        manifest = model.manifest
        tally = find_version_tally(manifest.name, manifest.version)
        model.prepared[TALLY] = tally
    return tally


def count_results(model: str, results: Sequence[Result]) -> None:
    """Count rows that were not applied now: repeats and problems."""
    for result in results:
        if isinstance(result, CarryoverError):
            find_counter(ROW_PROBLEMS, model, result.code).number += 1
        elif result.is_replayed:
            find_counter(REPLAYED_ROWS, model).number += 1
