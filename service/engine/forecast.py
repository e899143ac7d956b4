"""Forecasts: the events that may follow, one path at a time, and nothing committed.

A next-event network's own output is fed back to it: an event is chosen, the memory
advances, the next one is chosen; `service.engine.decoding` does both. Knows no HTTP,
and stores nothing: the memories it makes are dropped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from service.common.loop import Breaks, take_break
from service.engine.decoding import (
    EXPECTED,
    DecodingPlan,
    Path,
    advance_paths,
    begin_paths,
    extend,
    find_end,
)
from service.engine.engine import Engine
from service.engine.execution import row_deadline_error
from service.engine.job import Call
from service.engine.resume import Named, ResumeState
from service.engine.rows import Refused, Row, log_defect
from service.errors import (
    CannotForecast,
    CarryoverError,
    DeadlineExceeded,
    EmptySequence,
)
from service.registry.catalog import Model
from service.sessions.lifecycle import live
from service.sessions.preconditions import StoredSession
from service.sessions.record import SessionKey
from service.sessions.tokens.cipher import OpenedToken

# What was read for a row, and what its token holds.
Source: TypeAlias = tuple[StoredSession | None, OpenedToken | None]


class Forecast(NamedTuple):
    """Forecast of the events that follow a row.

    Attributes:
        model: The version that says so.
        step: The step after the row's events.
        paths: The most probable first.
        migrated_from: The version that made the memory, where another would continue.
        is_reset: Whether that memory would be dropped.
    """

    model: Model
    step: int
    paths: list[Path]
    migrated_from: int | None = None
    is_reset: bool = False


def check_forecastable(model: Model) -> None:
    """Refuse a model that does not predict its own input.

    Raises:
        CannotForecast: With the reason.
    """
    manifest = model.manifest
    if manifest.output["kind"] == "next_event":
        check_labels_are_events(model)
        return
    raise CannotForecast(
        f"{manifest.name} answers {manifest.output['name']} "
        f"({manifest.output['kind']}), which is not an event it could take next, so "
        "there is nothing to feed back. A forecast of a series is the answer of "
        ":predict itself; :forecast continues models of the task next_event.",
        task=manifest.task,
    )


def check_labels_are_events(model: Model) -> None:
    """Refuse a model that expects what it could not take.

    Raises:
        CannotForecast: Its labels are not the events, in their order.
    """
    if model.manifest.input["kind"] == "record":
        raise CannotForecast(
            f"{model.manifest.name} takes records and expects the next "
            f"{model.manifest.output.get('event')} alone, so that there is no whole "
            "record to feed back. Train on the events without further fields.",
            task=model.manifest.task,
        )
    vocabulary = model.manifest.input.get("vocabulary")
    end = model.manifest.output.get("end")
    labels = [label for label in model.manifest.labels or [] if label != end]
    if vocabulary is not None and labels != list(vocabulary):
        raise CannotForecast(
            f"{model.manifest.name} expects labels that are not the events it takes, "
            "so there is nothing to feed back. A forecast needs labels equal to the "
            "vocabulary, but for an end.",
            task=model.manifest.task,
        )


def forecast(
    engine: Engine,
    call: Call,
    rows: Sequence[Row | Refused],
    plan: DecodingPlan,
    deadline: float = math.inf,
) -> list[Forecast | CarryoverError]:
    """Continue rows without committing anything.

    Args:
        engine: Engine with the sessions and the rules.
        call: What the rows share.
        rows: The rows. One without events continues its unchanged memory.
        plan: What is asked for.
        deadline: When to give up, by `time.monotonic`.

    Raises:
        DeadlineExceeded: It has come.

    Returns:
        For each row its paths, the most probable first, or why it was refused.
    """
    results: dict[int, Forecast | CarryoverError] = {}
    pasts: dict[int, ResumeState] = {}
    for k, (row, source) in enumerate(zip(rows, find(engine, call, rows), strict=True)):
        try:
            pasts[k] = recall(engine, call, row, source)
        except CarryoverError as error:
            results[k] = error
        except Exception:
            results[k] = log_defect("the beginning of a forecast")
    for model in {
        id(resume_state.model): resume_state.model for resume_state in pasts.values()
    }.values():
        own = {
            k: resume_state
            for k, resume_state in pasts.items()
            if resume_state.model is model
        }
        try:
            results |= walk(model, rows, own, plan, deadline)
        except DeadlineExceeded:
            raise
        except Exception:
            results |= dict.fromkeys(
                own, log_defect(f"a forecast of {model.manifest.name}")
            )
    return [results[k] for k in range(len(rows))]


def find(
    engine: Engine, call: Call, rows: Sequence[Row | Refused]
) -> list[Source | CarryoverError]:
    """Read the sessions and chains of all rows in one call of the store.

    A store that cannot be read costs only the rows that need it.
    """
    named = [
        row.error if isinstance(row, Refused) else engine.transitions.name(call, row)
        for row in rows
    ]
    keys = list(dict.fromkeys(n.key for n in named if isinstance(n, Named) and n.key))
    stored: dict[bytes | None, StoredSession | CarryoverError | None] = {None: None}
    try:
        stored.update(
            zip(keys, engine.sessions.load(keys) if keys else [], strict=True)
        )
    except CarryoverError as error:
        stored.update(dict.fromkeys(keys, error))
    except Exception:
        stored.update(dict.fromkeys(keys, log_defect("a read of the store")))
    sources: list[Source | CarryoverError] = []
    for name in named:
        if isinstance(name, CarryoverError):
            sources.append(name)
            continue
        own = stored[name.key]
        sources.append(own if isinstance(own, CarryoverError) else (own, name.opened))
    return sources


def recall(
    engine: Engine, call: Call, row: Row | Refused, source: Source | CarryoverError
) -> ResumeState:
    """Find what a row continues.

    Args:
        engine: Engine with the rules.
        call: What the rows share.
        row: The row.
        source: What was found of it.

    Raises:
        CarryoverError: It cannot be continued.
    """
    if isinstance(row, Refused):
        raise row.error
    if isinstance(source, CarryoverError):
        raise source
    stored, opened = source
    if row.session is not None and stored is not None and stored.record is None:
        name = SessionKey(call.tenant, call.model.manifest.name, row.session)
        live(name, stored)  # raises: a forecast does not begin a session
    resume_state = engine.transitions.start_rules.resume(call, row, stored, opened)
    if resume_state.tensors is None and not len(resume_state.sequence):
        raise nothing_to_continue(resume_state)
    check_forecastable(resume_state.model)
    if (
        not len(resume_state.sequence)
        and EXPECTED not in resume_state.model.manifest.memory
    ):
        raise EmptySequence(
            f"{resume_state.model.manifest.name} does not remember what it "
            "expects next. Send at least one event with the row."
        )
    return resume_state


def nothing_to_continue(resume_state: ResumeState) -> EmptySequence:
    """Return the error of a row that has neither a memory nor events."""
    if resume_state.is_reset:
        return EmptySequence(
            "the row has no events, and its memory is version "
            f"{resume_state.migrated_from}'s: the policy of this model is reset, "
            "so the sequence restarts at its next event. Send at least one event."
        )
    return EmptySequence(
        "the row has neither a memory nor events, so nothing is to be continued. "
        "Send at least one event, a session or a memory."
    )


def walk(
    model: Model,
    rows: Sequence[Row | Refused],
    pasts: Mapping[int, ResumeState],
    plan: DecodingPlan,
    deadline: float,
) -> dict[int, Forecast | CarryoverError]:
    """Follow the paths of all rows of one version together.

    Raises:
        DeadlineExceeded: The deadline has passed before the last event.
    """
    paths: dict[int, list[Path]] = {}
    results: dict[int, Forecast | CarryoverError] = {}
    for k, begun in begin_paths(model, pasts, deadline).items():
        if isinstance(begun, CarryoverError):
            results[k] = begun
        else:
            paths[k] = [begun] * (plan.samples or 1)
    end = find_end(model)
    generators = {k: np.random.default_rng([plan.seed, k]) for k in paths}
    began = time.monotonic()
    for distance in range(plan.horizon):
        with Breaks():
            for k in paths:
                paths[k] = extend(paths[k], plan, generators[k], end)
                take_break()
        if time.monotonic() > deadline:
            raise row_deadline_error(time.monotonic() - began)
        if distance + 1 < plan.horizon:
            failed = advance_paths(model, paths, deadline)
            results |= failed
            paths = {k: own for k, own in paths.items() if k not in failed}
    for k, own in paths.items():
        resume_state, row = pasts[k], rows[k]
        num_events = len(row.sequence) if isinstance(row, Row) else 0
        step = (resume_state.record.step if resume_state.record else 0) + num_events
        shown = own if plan.samples is not None else own[:1]
        results[k] = Forecast(
            model, step, shown, resume_state.migrated_from, resume_state.is_reset
        )
    return results
