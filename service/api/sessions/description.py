"""Description of a live session: step, times, size, last event, norms of its state.

Knows records and models; neither routes nor JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.common.times import format_time
from service.registry.catalog import Model
from service.registry.encoding.last_event import show_event
from service.sessions.lifecycle import SessionKey
from service.sessions.record import Session, encode
from service.sessions.snapshots import list_steps
from service.sessions.state_export import find_maker, split_tensors


def summarize(session: str, model: str, record: Session) -> dict[str, Any]:
    """Describe what needs no network."""
    return {
        "session": session,
        "model": model,
        "model_version": str(record.model_version),
        "step": record.step,
        "created_at": format_time(record.created_at),
        "updated_at": format_time(record.updated_at),
        "expires_at": format_time(record.expires_at),
        "idle_seconds": record.idle_seconds,
        "memory_bytes": len(record.tensors),
        "record_bytes": len(encode(record)),
    }


def describe_session(
    key: SessionKey, record: Session, family: Sequence[Model]
) -> dict[str, Any]:
    """Describe all of a session.

    Args:
        key: Its tenant, model and id.
        record: It.
        family: The served versions of its model. Where its own is not among them, its
            last event and its norms are left out.
    """
    maker = find_maker(record, family)
    norms = None if maker is None else measure(record.tensors, maker)
    return summarize(key.session, key.model, record) | {
        "last_event": maker and show_event(record.last_event, maker),
        "norms": norms,
        "rewind_steps": list_steps(record.snapshots),
    }


def measure(tensors: bytes, model: Model) -> dict[str, float]:
    """Return the Euclidean norm of each memory tensor, by name."""
    arrays = split_tensors(tensors, model)
    return {
        # In double: the square of a large float32 overflows.
        name: float(np.linalg.norm(array.astype(np.float64)))
        for name, array in arrays.items()
    }
