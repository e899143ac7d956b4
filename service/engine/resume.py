"""Resume state of a row: the memory it continues, and the events to run from there.

Knows neither stores nor the rules of admission; `service.engine.transition` does.
"""

from __future__ import annotations

import numpy as np

from service.common.value import Value
from service.engine.rows import Row
from service.errors import InvalidEvent, WrongNetwork
from service.registry.catalog import Model
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, Tombstone
from service.sessions.sections import keep_named
from service.sessions.tokens.cipher import OpenedToken
from service.sessions.version_policy import Continuation


class Named(Value, frozen=True):
    """Store key and opened token of a row.

    Args:
        key: The store's key of its session, or of its token's chain, if any.
        opened: What its token holds.
    """

    key: bytes | None
    opened: OpenedToken | None = None


NAMELESS = Named(None)


class ResumeState(Value, frozen=True, eq=False):
    """State that a row continues: the stored session, its live record, the model.

    Args:
        stored: What the store has; None for a row without a session.
        record: The memory it continues; None begins a sequence.
        model: The version that advances it.
        sequence: What to run: the row's events, after those that are replayed.
        num_replayed: How many events rebuild the memory first; 0 where `record` is
            continued unchanged.
        migrated_from: The version that made the memory, where another continues.
        is_reset: Whether a live memory was dropped.
        opened: Content of the token that the client sent, if it did.
        chain: What the store has of that token's chain, if it keeps chains.
    """

    stored: StoredSession | None
    record: Session | None
    model: Model
    sequence: np.ndarray
    num_replayed: int = 0
    migrated_from: int | None = None
    is_reset: bool = False
    opened: OpenedToken | None = None
    chain: StoredSession | None = None

    @property
    def tensors(self) -> bytes | None:
        """The memory to run from; None for none."""
        record = self.record
        return None if record is None or self.num_replayed else record.tensors

    @property
    def own(self) -> np.ndarray:
        """The row's own events, as the version takes them."""
        return (
            self.sequence[self.num_replayed :] if self.num_replayed else self.sequence
        )

    @property
    def answers(self) -> bytes:
        """The answers the session has kept.

        From a former life only those that have a key: an answer to a step holds for
        the memory that took it.
        """
        kept = None if self.stored is None else self.stored.record
        if not isinstance(kept, Session | Tombstone) or not kept.answers:
            return b""
        return kept.answers if self.record is not None else keep_named(kept.answers)


def resolve_start(
    chosen: Continuation,
    row: Row,
    stored: StoredSession | None,
    record: Session | None,
    model: Model,
) -> ResumeState:
    """Lay out what is to run for a row that was admitted.

    Args:
        chosen: How its memory is continued.
        row: The row.
        stored: What the store has for its session; None without a session.
        record: The memory it continues, as admitted; None begins a sequence.
        model: The version that encoded the row's events.
    """
    is_kept = chosen.history is None and not chosen.is_reset
    if is_kept and chosen.model is model:
        return ResumeState(stored, record, model, row.sequence)
    sequence = encode_for(row, chosen.model, model)
    if record is None or is_kept:
        return ResumeState(stored, record, chosen.model, sequence)
    migrated = ResumeState(
        stored, record, chosen.model, sequence, migrated_from=record.model_version
    )
    if chosen.history is None:
        return migrated.replace(record=None, is_reset=True)
    return migrated.replace(
        sequence=np.concatenate([chosen.history, sequence]),
        num_replayed=len(chosen.history),
    )


def check_statics(resume_state: ResumeState) -> ResumeState:
    """Refuse a beginning that lacks a value that later events continue with.

    Raises:
        InvalidEvent: The first event leaves a static field out.
    """
    statics = resume_state.model.encoder.statics
    if (
        not statics
        or resume_state.tensors is not None
        or not len(resume_state.sequence)
    ):
        return resume_state
    for name, column in statics.items():
        if np.isnan(resume_state.sequence[0, column]):
            raise InvalidEvent(
                f"sequence[0] lacks {name}; expected it in the first event of a "
                f"sequence, as later events continue with its value. Send {name} "
                "with the first event.",
                position=0,
            )
    return resume_state


def encode_for(row: Row, model: Model, encoded_by: Model) -> np.ndarray:
    """Return a row's events as a version takes them.

    Raises:
        UnknownEvent: The version does not know an event.
        WrongNetwork: The row came without names, or the version takes other events.
    """
    if model.schema == encoded_by.schema:
        return row.sequence
    if not len(row.sequence):  # a forecast of the unchanged memory
        return np.empty((0, *model.encoder.columns), model.encoder.dtype)
    if row.events is not None:
        try:
            return model.encoder.encode(row.events)
        except InvalidEvent as error:
            raise takes_others(model, encoded_by, error.detail) from error
    raise takes_others(model, encoded_by, "the row's events were sent as numbers.")


def takes_others(model: Model, encoded_by: Model, reason: str) -> WrongNetwork:
    """Return the error of events that were right for another version."""
    return WrongNetwork(
        f"the row's events are those of version {encoded_by.manifest.version}; its "
        f"memory is version {model.manifest.version}'s, which takes other events: "
        f"{reason} Name that version in the address.",
        model_version=str(model.manifest.version),
    )
