"""One batch through the network: rows and their memories in, outputs and memories out.

Rows of any length share a batch: it advances in chunks of timesteps, and a row leaves
when its events are used up. Knows no sessions and no store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from service.catalog import Model
from service.errors import NonFiniteResult
from service.runtime import Signature

# Bounds what a batch holds at a time: of 1,000 rows of which one is long, the long one
# advances with few others, and its first 256 timesteps before the rest.
CHUNK_TIMESTEPS = 256
MAX_CELLS = 4096


class Advanced(NamedTuple):
    """A row's outputs, of shape (timesteps, ...) each, and its memory as stored."""

    outputs: dict[str, np.ndarray]
    tensors: bytes


def advance_batch(
    model: Model,
    signature: Signature,
    sequences: Sequence[np.ndarray],
    memories: Sequence[bytes | None],
) -> list[Advanced | NonFiniteResult]:
    """Advance rows together.

    Args:
        model: The network.
        signature: `advance`, or `explain` for the gates too.
        sequences: Encoded events per row, each of shape (timesteps[, columns]).
        memories: Memory per row as stored: float32, little-endian, in the manifest's
            order; None for a sequence that has not begun.

    Returns:
        For each row what came out, or `NonFiniteResult` where that is not a number.
    """
    memory = unpack(memories, model.memory_size)
    parts: list[list[dict[str, np.ndarray]]] = [[] for _ in sequences]
    longest = max(len(sequence) for sequence in sequences)
    for start in range(0, longest, CHUNK_TIMESTEPS):
        chunks = [sequence[start : start + CHUNK_TIMESTEPS] for sequence in sequences]
        for group in group_by_length([len(chunk) for chunk in chunks]):
            rows = [chunks[k] for k in group]
            outputs, memory[group] = run_chunk(model, signature, rows, memory[group])
            for position, k in enumerate(group):
                # Copies: a slice would keep the whole padded batch alive.
                own = np.s_[position, : len(rows[position])]
                parts[k].append({n: v[own].copy() for n, v in outputs.items()})
    return [finish(rows, memory[k]) for k, rows in enumerate(parts)]


def group_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows that advance together, longest first; rows used up are left out.

    A group grows while padding it to its longest row stays within `MAX_CELLS`.
    """
    order = sorted((k for k, n in enumerate(lengths) if n), key=lambda k: -lengths[k])
    while order:
        size = max(1, MAX_CELLS // lengths[order[0]])
        yield order[:size]
        order = order[size:]


def run_chunk(
    model: Model, signature: Signature, chunk: Sequence[np.ndarray], memory: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Run one padded chunk and return its outputs and the packed memory after it."""
    layout = model.manifest.memory
    tensors = {
        "sequence": pad(chunk),
        "length": np.array([len(row) for row in chunk], np.int32),
        **split_memory(memory, layout),
    }
    results = model.runtime.run(signature, tensors)
    after = [results.pop(name).reshape(len(chunk), -1) for name in layout]
    return results, np.concatenate(after, axis=1)


def pad(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Stack rows of different lengths, zeros behind the shorter ones."""
    longest = max(len(row) for row in rows)
    padded = np.zeros((len(rows), longest, *rows[0].shape[1:]), rows[0].dtype)
    for k, row in enumerate(rows):
        padded[k, : len(row)] = row
    return padded


def unpack(memories: Sequence[bytes | None], size: int) -> np.ndarray:
    """Lay stored memories side by side, float32 of shape (batch, size)."""
    packed = np.zeros((len(memories), size), "<f4")
    for k, tensors in enumerate(memories):
        if tensors is not None:
            packed[k] = np.frombuffer(tensors, "<f4")
    return packed


def split_memory(
    packed: np.ndarray, layout: dict[str, list[int]]
) -> dict[str, np.ndarray]:
    """Cut packed memories into the network's tensors."""
    tensors: dict[str, np.ndarray] = {}
    start = 0
    for name, shape in layout.items():
        stop = start + int(np.prod(shape))
        tensors[name] = packed[:, start:stop].reshape(len(packed), *shape)
        start = stop
    return tensors


def finish(
    parts: Sequence[dict[str, np.ndarray]], memory: np.ndarray
) -> Advanced | NonFiniteResult:
    """Join a row's chunks, unless something in it is not a number."""
    outputs = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    if all(np.isfinite(value).all() for value in (*outputs.values(), memory)):
        return Advanced(outputs, memory.tobytes())
    return NonFiniteResult(
        "the network's answer is not a finite number; the step was not taken and the "
        "memory is as it was. Check the events for extreme values."
    )
