"""One call of a network: the next timesteps of several runs, whatever their lengths.

Gathers events and memories, runs the program, hands outputs and memories back. In a
tick each network has a queue: at each call the runtime says how many jobs it takes and
how far; they come from the front, and those that have events left go to the back. So
none waits for longer than the others take one call each, and a long sequence holds up
no short one. Knows neither sessions nor stores.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice

import numpy as np

from service.common.loop import look_up
from service.engine.job import Job, Run
from service.engine.rows import Advanced, log_defect
from service.errors import CarryoverError, DeadlineExceeded, NonFiniteResult
from service.registry.backends.base import Signature
from service.registry.catalog import Model
from service.telemetry.tallies import find_call_tally

# Maximum rows a runtime sees when it plans a call; no call takes more.
MAX_PLANNED_ROWS = 1024
ONES = np.ones(MAX_PLANNED_ROWS, np.int32)


def advance_runs(
    model: Model, signature: Signature, runs: Sequence[Run], timesteps: int
) -> set[int]:
    """Advance runs together by a maximum number of timesteps each.

    Args:
        model: The network.
        signature: `advance`, or `explain` for the gates too.
        runs: The runs to advance; each has at least one event left.
        timesteps: Most of them a run takes; one with fewer left takes those.

    Returns:
        Positions of the runs with outputs or memory that are not finite; those did
        not advance.
    """
    tensors = split_memory(gather_memory(model, runs), model)
    if timesteps == 1:
        lengths: Sequence[int] = [1] * len(runs)
        tensors["length"] = ONES[: len(runs)]
    else:
        lengths = [min(run.remaining, timesteps) for run in runs]
        tensors["length"] = np.array(lengths, np.int32)
    tensors["sequence"] = gather_events(runs, lengths)
    results = model.runtime.run(signature, tensors)
    packed = join_memory(results, model, len(runs))
    bad = find_bad((packed, *results.values()), lengths)
    content, size = packed.tobytes(), model.memory_bytes
    for k, run in enumerate(runs):
        if k not in bad:
            run.take(results, k, lengths[k], content[k * size : (k + 1) * size])
    return bad


def advance_batch(
    model: Model,
    signature: Signature,
    sequences: Sequence[np.ndarray],
    memories: Sequence[bytes | None],
    *,
    deadline: float = math.inf,
    is_last_only: bool = False,
) -> list[Advanced | NonFiniteResult]:
    """Advance sequences to their ends, together; other requests run in between.

    Args:
        model: The network.
        signature: `advance`, or `explain` for the gates too.
        sequences: Encoded events of each, of shape (timesteps[, columns]).
        memories: Memory of each as stored; None for one that has not begun.
        deadline: When to give up, by `time.monotonic`.
        is_last_only: Whether to keep outputs of the last timestep only.

    Raises:
        DeadlineExceeded: It has come.

    Returns:
        For each its results, or the error that stopped it.
    """
    runs = [Run(s, m, is_last_only) for s, m in zip(sequences, memories, strict=True)]
    waiting, failed = deque(runs), set[Run]()
    began = time.monotonic()
    while waiting:
        remaining = [run.remaining for run in islice(waiting, MAX_PLANNED_ROWS)]
        num_rows, timesteps = model.runtime.plan(signature, remaining)
        taken = [waiting.popleft() for _ in range(num_rows)]
        bad = advance_runs(model, signature, taken, timesteps)
        failed |= {taken[k] for k in bad}
        waiting.extend(run for run in taken if run.remaining and run not in failed)
        look_up()
        if waiting and time.monotonic() > deadline:
            raise row_deadline_error(time.monotonic() - began)
    return [non_finite_error() if run in failed else run.ahead() for run in runs]


def row_deadline_error(seconds: float) -> DeadlineExceeded:
    """Return the error of a row that was given up."""
    return DeadlineExceeded(
        f"the row was not finished after {seconds:.1f} s and was given up; its "
        "memory is as it was. Send it again, or fewer events at a time."
    )


def non_finite_error() -> NonFiniteResult:
    """Return the error of a step that led to no number."""
    return NonFiniteResult(
        "the network's answer is not a finite number; the step was not taken and the "
        "memory is as it was. Check the events for extreme values."
    )


def gather_events(runs: Sequence[Run], lengths: Sequence[int]) -> np.ndarray:
    """Stack the runs' next events, zeros after the shorter ones.

    Returns:
        Of shape (batch, timesteps) or (batch, timesteps, columns).
    """
    parts: list[np.ndarray] = []
    for run, length in zip(runs, lengths, strict=True):
        start, sequence = run.position, run.sequence
        # A sequence that is taken whole need not be cut.
        is_whole = len(sequence) == length
        parts.append(sequence if is_whole else sequence[start : start + length])
    if len(parts) == 1:
        return parts[0][None]
    longest = max(lengths)
    if min(lengths) == longest:
        return np.array(parts)
    padded = np.zeros((len(runs), longest, *parts[0].shape[1:]), parts[0].dtype)
    for k, part in enumerate(parts):
        padded[k, : len(part)] = part
    return padded


def gather_memory(model: Model, runs: Sequence[Run]) -> np.ndarray:
    """Lay the runs' memories one below the other, of shape (batch, size)."""
    if len(runs) == 1:
        content = runs[0].memory or model.no_memory
    else:
        content = b"".join([run.memory or model.no_memory for run in runs])
    return np.frombuffer(content, model.memory_dtype).reshape(len(runs), -1)


def split_memory(packed: np.ndarray, model: Model) -> dict[str, np.ndarray]:
    """Cut packed memories into the network's tensors."""
    tensors = {}
    for name, start, stop, shape in model.memory_layout:
        part = packed[:, start:stop]
        tensors[name] = part if len(shape) == 1 else part.reshape(len(packed), *shape)
    return tensors


def join_memory(
    results: dict[str, np.ndarray], model: Model, num_rows: int
) -> np.ndarray:
    """Take the memories out of a call's results and pack them: (batch, size)."""
    parts: list[np.ndarray] = []
    for name, _, _, shape in model.memory_layout:
        part = results.pop(name)
        parts.append(part if len(shape) == 1 else part.reshape(num_rows, -1))
    if len(parts) == 1:
        return parts[0]
    if not parts:  # a network that answers each event alone
        return np.zeros((num_rows, 0), "float32")
    return np.concatenate(parts, axis=1)


def find_bad(arrays: Sequence[np.ndarray], lengths: Sequence[int]) -> set[int]:
    """Find the rows in which something is not a finite number.

    Args:
        arrays: First the packed memories, of shape (batch, size), then each output, of
            shape (batch, timesteps, ...).
        lengths: How many timesteps of each row count; the rest is padding.
    """
    for array in arrays:
        if not np.logical_and.reduce(np.isfinite(array), axis=None):
            return look_for_bad(arrays, lengths)
    return set()


def look_for_bad(arrays: Sequence[np.ndarray], lengths: Sequence[int]) -> set[int]:
    """Check each row by itself; its arguments are those of `find_bad`."""
    memory, *outputs = arrays
    return {
        k
        for k, length in enumerate(lengths)
        if not np.isfinite(memory[k]).all()
        or not all(np.isfinite(output[k, :length]).all() for output in outputs)
    }


class NetworkQueue:
    """The jobs of one model and signature.

    Args:
        model: The network.
        signature: `advance`, or `explain` for the gates too.

    Attributes:
        jobs: Those that take part from the next call on.
    """

    def __init__(self, model: Model, signature: Signature) -> None:
        self._model = model
        self._signature = signature
        self.jobs: deque[Job] = deque()
        self._tally = find_call_tally(model.manifest.name, signature)

    def take_all(self) -> list[Job]:
        """Empty the queue; return the jobs with events left."""
        jobs = list(self.jobs)
        self.jobs.clear()
        return jobs

    def run(self) -> tuple[list[Job], list[tuple[Job, CarryoverError]]]:
        """Make one call of the network.

        Returns:
            The jobs that came to their end, and those that failed, and why.
        """
        remaining: list[int] = []
        for job in islice(self.jobs, MAX_PLANNED_ROWS):
            remaining.append(job.run.remaining)
        num_jobs, timesteps = self._model.runtime.plan(self._signature, remaining)
        jobs: list[Job] = []
        runs: list[Run] = []
        for _ in range(num_jobs):
            job = self.jobs.popleft()
            jobs.append(job)
            runs.append(job.run)
        began = time.monotonic()
        try:
            bad = advance_runs(self._model, self._signature, runs, timesteps)
        except Exception:
            work = f"{self._signature} of {self._model.manifest.name}"
            defect = log_defect(work)
            return [], [(job, defect) for job in jobs]
        finished: list[Job] = []
        failed: list[tuple[Job, CarryoverError]] = []
        now = time.monotonic()
        self._tally.add(num_jobs, now - began)
        for k, job in enumerate(jobs):
            if k in bad:
                failed.append((job, non_finite_error()))
            elif not job.run.remaining:
                finished.append(job)
            elif job.deadline <= now:
                failed.append((job, row_deadline_error(now - job.began)))
            else:
                self.jobs.append(job)
        return finished, failed
