"""Token chains: the newest step of each sequence that clients keep as tokens.

Each sequence that a client holds is a chain of tokens. Its newest step is kept in the
store, next to the sessions, so that an older token is refused on every machine. One use
of an older token stays good: the very one that led to the newest step, because its
answer may have been lost on the way. It does not know what a token looks like.
"""

from __future__ import annotations

from typing import NamedTuple

from service.errors import CorruptRecord, TokenReplayed
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, SessionKey, Tombstone

# No model's name ends so: chains are never met among a model's sessions.
MARK = "\x01"


class Use(NamedTuple):
    """Fingerprint of one use of a token, by which a repeat of it is recognised.

    Attributes:
        digest: Of the token and the events as they were sent.
        former: The same of the events as a version encoded them, as former releases
            stored it; not stored any more.
        version: The version that encoded them.
    """

    digest: bytes = b""
    former: bytes = b""
    version: int = 0


def name_chain(chain: bytes, tenant: str, model: str) -> bytes:
    """Name a chain among all tenants and models, as the store does."""
    return SessionKey(tenant, model + MARK, chain.hex()).encode()


def check_use(found: StoredSession, step: int, use: Use) -> None:
    """Refuse a token that is older than the newest of its chain.

    Args:
        found: What the store has of the chain.
        step: The step the token is at.
        use: What it is used for.

    Raises:
        TokenReplayed: It is older, and this is not the use that made the newest.
        CorruptRecord: The chain's record cannot be read.
    """
    newest = found.record
    if isinstance(newest, CorruptRecord):
        raise newest
    if newest is None or step >= newest.step:
        return
    if isinstance(newest, Tombstone) or not _is_same(newest, use):
        raise TokenReplayed(
            f"the memory token is of step {step}, and a later one, of step "
            f"{newest.step}, was given out. Send the latest token, with the events "
            "that follow it.",
            step=newest.step,
        )


def note_newest(
    found: StoredSession, use: Use, record: Session, until: float = 0.0
) -> Session:
    """Return what takes the place of a chain's record.

    It is stored, by compare-and-set on what `check_use` looked at, before the new token
    is given out: of two uses of a token one has to look again.

    Args:
        found: What the store has of the chain; one never seen begins.
        use: What made the new token.
        record: The memory of the new token.
        until: When the token that was used expires.
    """
    newest = found.record
    # Of all tokens of the chain the one that lives longest: until then an older one
    # could come back.
    if isinstance(newest, Session):
        until = max(until, newest.expires_at)
    return record.replace(
        tensors=b"",
        last_event=use.digest,
        expires_at=max(until, record.expires_at),
    )


def _is_same(newest: Session, use: Use) -> bool:
    if newest.last_event == use.digest:
        return True
    # In another version the same numbers may be other events.
    return (newest.last_event, newest.model_version) == (use.former, use.version)
