"""One call of a network: the next timesteps of several jobs, whatever their lengths.

Gathers events and memories, runs the program, hands outputs and memories back. Knows
neither sessions nor stores, and not which jobs come next: `service.lane` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from service.catalog import Model
from service.job import Job
from service.runtime import Signature


def advance_jobs(
    model: Model, signature: Signature, jobs: Sequence[Job], timesteps: int
) -> list[Job]:
    """Advance jobs together by up to so many timesteps each.

    Args:
        model: The network.
        signature: `advance`, or `explain` for the gates too.
        jobs: Whose next events to absorb; each has at least one left.
        timesteps: Most of them a job takes; one with fewer left takes those.

    Returns:
        The jobs whose outputs or memory are not finite numbers; they did not advance.
    """
    lengths = [min(job.remaining, timesteps) for job in jobs]
    results = model.runtime.run(
        signature,
        {
            "sequence": gather_events(jobs, lengths),
            "length": np.array(lengths, np.int32),
            **split_memory(gather_memory(model, jobs), model.manifest.memory),
        },
    )
    after = [results.pop(name) for name in model.manifest.memory]
    packed = np.concatenate([part.reshape(len(jobs), -1) for part in after], axis=1)
    bad = find_bad([packed, *results.values()], lengths)
    content, size = packed.tobytes(), 4 * model.memory_size
    for k, job in enumerate(jobs):
        if k not in bad:
            job.take(results, k, lengths[k], content[k * size : (k + 1) * size])
    return [jobs[k] for k in sorted(bad)]


def gather_events(jobs: Sequence[Job], lengths: Sequence[int]) -> np.ndarray:
    """Stack the jobs' next events, zeros behind the shorter ones.

    Returns:
        Of shape (batch, timesteps) or (batch, timesteps, columns).
    """
    parts = [
        job.row.sequence[job.position : job.position + length]
        for job, length in zip(jobs, lengths, strict=True)
    ]
    longest = max(lengths)
    if min(lengths) == longest:
        return np.concatenate(parts).reshape(len(jobs), longest, *parts[0].shape[1:])
    padded = np.zeros((len(jobs), longest, *parts[0].shape[1:]), parts[0].dtype)
    for k, part in enumerate(parts):
        padded[k, : len(part)] = part
    return padded


def gather_memory(model: Model, jobs: Sequence[Job]) -> np.ndarray:
    """Lay the jobs' memories one below the other, float32 of shape (batch, size)."""
    content = b"".join([job.memory or model.no_memory for job in jobs])
    return np.frombuffer(content, "<f4").reshape(len(jobs), -1)


def split_memory(
    packed: np.ndarray, layout: dict[str, list[int]]
) -> dict[str, np.ndarray]:
    """Cut packed memories into the network's tensors."""
    sizes = [int(np.prod(shape)) for shape in layout.values()]
    bounds = pairwise(accumulate(sizes, initial=0))
    return {
        name: packed[:, start:stop].reshape(len(packed), *shape)
        for (name, shape), (start, stop) in zip(layout.items(), bounds, strict=True)
    }


def find_bad(arrays: Sequence[np.ndarray], lengths: Sequence[int]) -> set[int]:
    """Find the rows in which something is not a finite number.

    Args:
        arrays: Outputs of shape (batch, timesteps, ...) and memories (batch, size).
        lengths: How many timesteps of each row count; the rest is padding.
    """
    if all(np.isfinite(array).all() for array in arrays):
        return set()
    memory, *outputs = arrays
    return {
        k
        for k, length in enumerate(lengths)
        if not np.isfinite(memory[k]).all()
        or not all(np.isfinite(output[k, :length]).all() for output in outputs)
    }
