"""Column lane: rows of a tick that are alike, advanced as arrays instead of objects.

Nearly all rows of a busy service say nothing of themselves and add one event to a live
session without sections, by the version that made its memory: the rules of a step
(`transition`) have nothing to decide for them. The lane checks that for all of them in
one pass, and takes no other row. It stores and answers what the rules would.

Knows neither which rows a tick takes nor where records are stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from service.common.value import Value
from service.engine.execution import ONES, find_bad, join_memory, split_memory
from service.engine.job import Job
from service.engine.rows import BatchOutputs, Outcome, Row
from service.registry.catalog import Model
from service.sessions.record_columns import RecordLayout, find_layout
from service.stores.base import Entry, Put
from service.telemetry.tallies import find_call_tally

# Fewer rows cost less one by one: as many take about as long either way.
MIN_ROWS = 16


class Alike(Value, frozen=True, eq=False):
    """Rows that advance as columns.

    Args:
        model: Their network.
        layout: Of their records.
        jobs: The rows.
        versions: Of their entries in the store.
        records: Their records.
    """

    model: Model
    layout: RecordLayout
    jobs: list[Job]
    versions: list[int]
    records: np.ndarray


class Columns(Value, frozen=True, eq=False):
    """Rows that were advanced as columns, before they are stored.

    Args:
        model: Their network.
        jobs: The rows.
        versions: Of the entries they continue.
        records: Their records now.
        values: The stored form of each.
        outputs: By name, arrays of shape (rows, 1, ...).
    """

    model: Model
    jobs: list[Job]
    versions: list[int]
    records: np.ndarray
    values: list[bytes]
    outputs: dict[str, np.ndarray]

    def list_puts(self, make: Callable[[bytes, int, bytes, float], Put]) -> list[Put]:
        """Return the changes that store the rows' records; see `Sessions.put`."""
        keys = [job.key or b"" for job in self.jobs]
        expiries = self.records["expires_at"].tolist()
        return list(map(make, keys, self.versions, self.values, expiries))

    def list_outcomes(self) -> list[Outcome]:
        """Return the outcome of each row."""
        model, outputs = self.model, self.outputs
        version = model.manifest.version
        steps = self.records["step"].tolist()
        expiries = self.records["expires_at"].tolist()
        return [
            Outcome(
                BatchOutputs(outputs, k),
                step > 1,
                step,
                expires_at,
                version=version,
                model=model,
            )
            for k, (step, expires_at) in enumerate(zip(steps, expiries, strict=True))
        ]


def adds_event(row: Row) -> bool:
    """Return whether a row adds an event to a session and says nothing of itself."""
    return (
        row.session is not None
        and len(row.sequence) == 1
        and row.at is None
        and row.key is None
        and row.ttl_seconds is None
        and row.token is None
        and row.plain is None
        and not (row.start or row.end or row.seal_memory)
    )


def find_alike(
    jobs: Sequence[Job], entries: Sequence[Entry | None], now: float
) -> list[Alike]:
    """Find the rows that may advance as columns.

    Args:
        jobs: Rows that were just taken in.
        entries: What the store has under the key of each.
        now: The present.

    Returns:
        Those of them that are alike, by network; none where they are few.
    """
    by_model: dict[Model, list[tuple[Job, Entry]]] = {}
    for job, entry in zip(jobs, entries, strict=True):
        call = job.call
        if entry is not None and call.signature == "advance" and adds_event(job.row):
            by_model.setdefault(call.model, []).append((job, entry))
    found = [find_live(model, rows, now) for model, rows in by_model.items()]
    return [alike for alike in found if alike is not None]


def find_live(
    model: Model, rows: Sequence[tuple[Job, Entry]], now: float
) -> Alike | None:
    """Find the rows of a model that continue live sessions of its version."""
    event_bytes = rows[0][0].row.sequence.nbytes
    layout = find_layout(model.memory_bytes, event_bytes)
    size = layout.num_bytes
    rows = [row for row in rows if len(row[1].value) == size]
    if len(rows) < MIN_ROWS:
        return None
    table = layout.read([entry.value for _, entry in rows])
    version = model.manifest.version
    is_live = layout.find_live(table, model.fingerprint, version, now)
    if not is_live.all():
        rows = [row for row, live in zip(rows, is_live, strict=True) if live]
        table = table[is_live]
    if len(rows) < MIN_ROWS:
        return None
    jobs = [job for job, _ in rows]
    return Alike(model, layout, jobs, [entry.version for _, entry in rows], table)


def advance(alike: Alike, now: float) -> tuple[Columns, list[Job]]:
    """Advance rows by their event.

    Args:
        alike: The rows.
        now: When they advance.

    Returns:
        Those that did, and those with a result that is not finite.
    """
    model, jobs, layout = alike.model, alike.jobs, alike.layout
    memories = layout.memories(alike.records, model.memory_dtype)
    events = np.array([job.row.sequence for job in jobs])
    packed, outputs = run(model, memories, events)
    bad = find_bad([packed, *outputs.values()], [1] * len(jobs))
    versions, records = alike.versions, alike.records
    if bad:
        good = [k for k in range(len(jobs)) if k not in bad]
        versions, jobs = [versions[k] for k in good], [jobs[k] for k in good]
        records, packed, events = records[good], packed[good], events[good]
        outputs = {name: output[good] for name, output in outputs.items()}
    version = model.manifest.version
    table = layout.write(records, packed, events, now=now, model_version=version)
    done = Columns(model, jobs, versions, table, layout.split(table), outputs)
    return done, [alike.jobs[k] for k in sorted(bad)]


def run(
    model: Model, memories: np.ndarray, events: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Run a network over an event each, in as many calls as its runtime wants.

    Returns:
        The memories after it, of shape (rows, size), and the outputs.
    """
    tally = find_call_tally(model.manifest.name, "advance")
    parts: list[dict[str, np.ndarray]] = []
    start, num_rows = 0, len(memories)
    while start < num_rows:
        plan = model.runtime.plan("advance", [1] * (num_rows - start))
        stop = start + plan.num_rows
        tensors = split_memory(memories[start:stop], model)
        tensors["sequence"] = events[start:stop]
        tensors["length"] = ONES[: plan.num_rows]
        began = time.monotonic()
        parts.append(model.runtime.run("advance", tensors))
        tally.add(plan.num_rows, time.monotonic() - began)
        start = stop
    outputs = parts[0]
    if len(parts) > 1:
        outputs = {name: np.concatenate([p[name] for p in parts]) for name in outputs}
    return join_memory(outputs, model, num_rows), outputs
