"""Outcomes as bytes, for the answers a session keeps.

An outcome that is written and read again renders to the same bytes: every number keeps
its type and its bits. Little-endian, no pickle. It does not know where it is kept.
"""

from __future__ import annotations

from struct import Struct

import numpy as np

from service.engine.rows import WHOLE, Outcome

# is_continued, has expires_at, has migrated_from, is_reset, is_restarted; step,
# expires_at, version, migrated_from, how many outputs
HEADER = Struct("<?????QdQQH")
# bytes of the name, of the type's name, axes
OUTPUT = Struct("<HBB")
AXIS = Struct("<I")


def encode_outcome(outcome: Outcome, *, is_last_only: bool) -> bytes:
    """Write an outcome.

    Args:
        outcome: What became of a row of a session.
        is_last_only: Whether outputs are rendered for the last timestep only; then
            only that is kept of them.
    """
    parts = [
        HEADER.pack(
            outcome.is_continued,
            outcome.expires_at is not None,
            outcome.migrated_from is not None,
            outcome.is_reset,
            outcome.is_restarted,
            outcome.step,
            outcome.expires_at or 0.0,
            outcome.version,
            outcome.migrated_from or 0,
            len(outcome.outputs),
        )
    ]
    for name, output in outcome.outputs.items():
        kept = output[-1:] if is_last_only and name != WHOLE else output
        parts += encode_output(name.encode(), kept)
    return b"".join(parts)


def encode_output(name: bytes, output: np.ndarray) -> list[bytes]:
    """Write one output."""
    kind = output.dtype.str.encode()
    axes = [AXIS.pack(size) for size in output.shape]
    return [
        OUTPUT.pack(len(name), len(kind), output.ndim),
        name,
        kind,
        *axes,
        output.tobytes(),
    ]


def decode_outcome(content: bytes) -> Outcome:
    """Read what `encode_outcome` wrote."""
    *flags, step, expires_at, version, migrated_from, num_outputs = HEADER.unpack_from(
        content
    )
    is_continued, has_expiry, has_migrated, is_reset, is_restarted = flags
    outputs: dict[str, np.ndarray] = {}
    position = HEADER.size
    for _ in range(num_outputs):
        name, output, position = decode_output(content, position)
        outputs[name] = output
    return Outcome(
        outputs,
        is_continued,
        step,
        expires_at=expires_at if has_expiry else None,
        version=version,
        migrated_from=migrated_from if has_migrated else None,
        is_reset=is_reset,
        is_restarted=is_restarted,
        is_replayed=True,
    )


def decode_output(content: bytes, position: int) -> tuple[str, np.ndarray, int]:
    """Read one output, and where the next one begins."""
    name_size, kind_size, num_axes = OUTPUT.unpack_from(content, position)
    position += OUTPUT.size
    name = content[position : position + name_size].decode()
    position += name_size
    kind = np.dtype(content[position : position + kind_size].decode())
    position += kind_size
    shape = [
        AXIS.unpack_from(content, position + AXIS.size * k)[0] for k in range(num_axes)
    ]
    position += AXIS.size * num_axes
    count = int(np.prod(shape))
    output = np.frombuffer(content, kind, count, position).reshape(shape)
    return name, output, position + count * kind.itemsize
