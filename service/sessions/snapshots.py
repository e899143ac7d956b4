"""Snapshots: the memories a session had at earlier steps, to rewind it to.

A ring of the last steps stored, the newest last; a setting bounds its length. All are
of the network that made the session's present memory: a change of network drops them.
The bytes are the `snapshots` section of a record.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

HEADER = Struct("<QI")  # step, bytes of the tensors


class Snapshot(NamedTuple):
    """A memory, and after how many events the session had it."""

    step: int
    tensors: bytes


def append_snapshot(section: bytes, snapshot: Snapshot, *, size: int) -> bytes:
    """Put a memory into a ring.

    Args:
        section: The ring so far; empty for none.
        snapshot: The memory. A ring holds one for a step: those at its step or later
            are dropped, because a session that is there again was rewound.
        size: How many the ring holds; the oldest leave. 0 keeps none.
    """
    if not size:
        return b""
    earlier = [kept for kept in iterate(section) if kept.step < snapshot.step]
    return encode_snapshots([*earlier, snapshot][-size:])


def find_snapshot(section: bytes, step: int) -> Snapshot | None:
    """Find the memory of a step, if the ring still holds it."""
    return next((kept for kept in iterate(section) if kept.step == step), None)


def list_steps(section: bytes) -> list[int]:
    """List the steps a session can be rewound to, oldest first."""
    return [kept.step for kept in iterate(section)]


def drop_later(section: bytes, step: int) -> bytes:
    """Return the ring without the memories after a step, as rewinding leaves it."""
    return encode_snapshots([kept for kept in iterate(section) if kept.step <= step])


def encode_snapshots(snapshots: list[Snapshot]) -> bytes:
    """Return the section of these memories, oldest first."""
    return b"".join(
        HEADER.pack(step, len(tensors)) + tensors for step, tensors in snapshots
    )


def iterate(section: bytes) -> Iterator[Snapshot]:
    """Yield the memories of a section, oldest first."""
    position = 0
    while position < len(section):
        step, size = HEADER.unpack_from(section, position)
        position += HEADER.size + size
        yield Snapshot(step, section[position - size : position])
