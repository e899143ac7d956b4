"""Shadow: another version follows a share of sessions, and its answers are compared.

It has a state of its own in the store, next to the real session's, and its answers are
never sent. Live answers do not wait for it: a request queues its rows for the shadow's
thread and drops them when the queue is full; the thread drops them when the engine is
busy. A failure is counted. A session is followed from its first event until a row of it
is dropped.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from service.common.loop import give_way, offload
from service.engine.comparison import compare
from service.engine.execution import advance_runs, non_finite_error
from service.engine.job import Call, Run
from service.engine.resume import encode_for
from service.engine.rows import Advanced, Outcome, Refused, Result, Row
from service.errors import CarryoverError
from service.registry.catalog import Catalog, Model
from service.registry.traffic import SHADOW_PERSON, is_in_share
from service.sessions.lifecycle import MAX_CHANGE_ATTEMPTS, Sessions
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, check_key
from service.telemetry.traffic_metrics import (
    COMPARED,
    DROPPED,
    FAILED,
    find_shadow_tally,
)

log = logging.getLogger(__name__)

# No model's name ends with it, so shadows are not listed with a model's sessions.
MARK = b"\x02"
# Rows that wait for a worker's shadows; a later one is dropped.
MAX_WAITING = 1024
# Their events: a row keeps its events, and its answer may be one for each.
MAX_WAITING_EVENTS = 65_536
# More live rows than this under way: the engine is busy.
BUSY_ROWS = 64
# Another worker may not have stored the step before yet.
LATER_SECONDS = 0.1


class Followed(NamedTuple):
    """A row that was answered, for a shadow.

    Attributes:
        key: The store's key of the shadow's session.
        row: The row.
        outcome: What was answered.
        encoded_by: The version that encoded its events.
        is_retried: Whether it waited for the previous step.
    """

    key: bytes
    row: Row
    outcome: Outcome
    encoded_by: Model
    is_retried: bool = False


class Shadow:
    """Follows live rows with the shadows of their models.

    Args:
        sessions: Where the state of shadows is, next to the live sessions.
        catalog: The served models, and the shadow of each.
        clock: Seconds since 1970.
        count_live: Returns how many live rows are under way.
        monotonic: Returns seconds that only grow.

    Attributes:
        waiting: Answered rows that are to be followed, the oldest first.
    """

    def __init__(
        self,
        sessions: Sessions,
        catalog: Catalog,
        clock: Callable[[], float],
        count_live: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._catalog = catalog
        self._clock = clock
        self._count_live = count_live
        self.monotonic = monotonic
        self.waiting: deque[Followed] = deque()
        self._later: deque[tuple[float, Followed]] = deque()
        self._wake = threading.Event()
        # Events. Each counter has one writer, so that no lock is needed.
        self._num_added = self._num_taken = 0
        self._logged: set[tuple[str, int]] = set()

    def start(self) -> None:
        """Follow rows from now on, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="shadow", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._wake.wait(LATER_SECONDS if self._later else None)
            self._wake.clear()
            self.work()

    def offer(
        self, call: Call, rows: Sequence[Row | Refused], results: Sequence[Result]
    ) -> None:
        """Queue the rows of sessions that the shadow of their model follows."""
        name = call.model.manifest.name
        traffic = self._catalog.traffic(name)
        if not traffic.shadow:
            return
        for row, outcome in zip(rows, results, strict=True):
            if not isinstance(row, Row) or not isinstance(outcome, Outcome):
                continue
            if row.session is None or outcome.is_replayed:
                continue
            key = call.key(row.session)
            if is_in_share(key, traffic.shadow_share, SHADOW_PERSON):
                if not self._has_room(len(row.sequence)):
                    self._count(name, traffic.shadow, DROPPED)
                    continue
                self._num_added += len(row.sequence)
                followed = Followed(key, row, keep_last(outcome), call.model)
                self.waiting.append(followed)
        if self.waiting:
            self._wake.set()

    def _has_room(self, num_events: int) -> bool:
        waiting = self._num_added - self._num_taken
        if len(self.waiting) + len(self._later) >= MAX_WAITING:
            return False
        return not waiting or waiting + num_events <= MAX_WAITING_EVENTS

    def drop(self, key: bytes) -> None:
        """Discard the shadow of a session that changed by another call than a step.

        It could be at the same step as the session, by other events.
        """
        with contextlib.suppress(CarryoverError):  # it expires as its session would
            own = name_shadow(key)
            for _ in range(MAX_CHANGE_ATTEMPTS):
                [found] = self._sessions.load([own])
                if not found.version or self._sessions.discard(own, found):
                    break

    def work(self) -> None:
        """Follow the rows that wait, one by one; live requests run in between."""
        while (followed := self._take()) is not None:
            name = followed.encoded_by.manifest.name
            version = self._catalog.traffic(name).shadow
            if not version or version == followed.outcome.version:
                continue
            try:
                self._count(name, version, self._follow(followed, version))
            except Exception as error:
                self._count(name, version, FAILED)
                if (name, version) not in self._logged:
                    self._logged.add((name, version))
                    is_defect = not isinstance(error, CarryoverError)
                    log.error(
                        "the shadow %s version %d fails: %s; logged once",
                        name,
                        version,
                        error,
                        exc_info=is_defect,
                    )
            give_way()

    def _take(self) -> Followed | None:
        if self._later and self._later[0][0] <= self.monotonic():
            followed = self._later.popleft()[1]
        elif self.waiting:
            followed = self.waiting.popleft()
        else:
            return None
        self._num_taken += len(followed.row.sequence)
        return followed

    def _follow(self, followed: Followed, version: int) -> str:
        """Advance the shadow of a session, compare its answer, and store its state.

        Returns:
            `COMPARED` or `DROPPED`; empty while it waits for the previous step.
        """
        if self._count_live() > BUSY_ROWS:
            return DROPPED
        key, row, outcome = name_shadow(followed.key), followed.row, followed.outcome
        model = self._catalog.find(followed.encoded_by.manifest.name, version)
        [found] = self._sessions.load([key])
        step = outcome.step - len(row.sequence)
        record = found.record if isinstance(found.record, Session) else None
        if step and (record is None or not is_at(record, step, model)):
            return self._wait_or_leave(followed, key, found)
        sequence = encode_for(row, model, followed.encoded_by)
        memory = record.tensors if step and record else None
        ahead = offload(advance_alone, model, sequence, memory)
        if not self._store(key, found, outcome, model, ahead, is_end=row.end):
            return DROPPED
        compare(outcome, ahead, followed.encoded_by, model)
        return COMPARED

    def _wait_or_leave(
        self, followed: Followed, key: bytes, found: StoredSession
    ) -> str:
        """Wait once for the step before a row; then leave the session for good."""
        begun = found.record.step if isinstance(found.record, Session) else 0
        if not followed.is_retried and begun < followed.outcome.step:
            due = self.monotonic() + LATER_SECONDS
            self._num_taken -= len(followed.row.sequence)
            self._later.append((due, followed._replace(is_retried=True)))
            return ""
        # A rewind could lead to the same step by other events.
        if isinstance(found.record, Session):
            self._sessions.discard(key, found)
        return DROPPED

    def _store(
        self,
        key: bytes,
        found: StoredSession,
        outcome: Outcome,
        model: Model,
        ahead: Advanced,
        *,
        is_end: bool,
    ) -> bool:
        """Store the state of a shadow; it expires and ends with its session."""
        if is_end:
            if found.version:
                self._sessions.discard(key, found)
            return True
        now = self._clock()
        expires_at = outcome.expires_at or now
        record = Session(
            outcome.step,
            model.manifest.version,
            model.fingerprint,
            now,
            now,
            expires_at,
            max(expires_at - now, 0.0),
            ahead.tensors,
            b"",
        )
        return self._sessions.save([(key, found, record)])[0] is True

    def _count(self, name: str, version: int, outcome: str) -> None:
        if outcome:
            find_shadow_tally(name, version).rows[outcome].number += 1


def keep_last(outcome: Outcome) -> Outcome:
    """Return an outcome with its last answer only: the others are not compared."""
    outputs = outcome.outputs
    if all(len(value) == 1 for value in outputs.values()):
        return outcome
    last = {name: value[-1:].copy() for name, value in outputs.items()}
    return outcome.replace(outputs=last)


def is_at(record: Session, step: int, model: Model) -> bool:
    """Return whether a shadow's state is the one before a step."""
    return record.step == step and record.network == model.fingerprint


def name_shadow(key: bytes) -> bytes:
    """Name the shadow of a session, as the store does.

    Raises:
        InvalidRequest: The name is too long.
    """
    tenant, model, session = key.split(b"\0")
    return check_key(b"\0".join([tenant, model + MARK, session]))


def advance_alone(model: Model, sequence: np.ndarray, memory: bytes | None) -> Advanced:
    """Advance one sequence to its end, in a thread that serves no requests.

    Raises:
        NonFiniteResult: The network's answer is not a number.
    """
    run = Run(sequence, memory, is_last_only=True)
    while run.remaining:
        _, timesteps = model.runtime.plan("advance", [run.remaining])
        if advance_runs(model, "advance", [run], timesteps):
            raise non_finite_error()
    return run.ahead()
