"""Token chains: the newest step of each sequence whose memory clients hold.

Each sequence that a client holds is a chain of tokens. Its newest step is kept in the
store, beside the sessions, so that an older token is refused on every machine. One use
of an older token stays good: the very one that led to the newest step, because its
answer may have been lost on the way. It does not know what a token looks like.
"""

from __future__ import annotations

from typing import NamedTuple

from service.errors import CorruptRecord, TokenReplayed
from service.memory.admission import Found
from service.memory.record import Session, Tombstone
from service.memory.sessions import SessionKey, Sessions

# No model's name ends so: chains are never met among a model's sessions.
MARK = "\x01"


class Use(NamedTuple):
    """What a token is used for, so that the same use is recognised.

    Attributes:
        digest: Of the token and the events as they were sent.
        former: The same of the events as a version encoded them, as former releases
            stored it; not stored any more.
        version: The version that encoded them.
    """

    digest: bytes = b""
    former: bytes = b""
    version: int = 0


NO_USE = Use()


class Chains:
    """The chains in a store.

    Args:
        sessions: Over the store they are in.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def check(
        self, chain: bytes, step: int, use: Use, *, tenant: str, model: str
    ) -> None:
        """Refuse a token that is older than the newest of its chain.

        Args:
            chain: The token's chain.
            step: The step it is at.
            use: What it is used for.
            tenant: Whose it is.
            model: The model it is for.

        Raises:
            TokenReplayed: It is older, and this is not the use that made the newest.
        """
        [found] = self._sessions.load([_name(chain, tenant, model).encode()])
        _check(found, step, use)

    def advance(
        self,
        chain: bytes,
        before: int,
        use: Use,
        record: Session,
        *,
        tenant: str,
        model: str,
    ) -> None:
        """Note a chain's newest step, before its token is given out.

        Args:
            chain: The chain; one never seen begins.
            before: The step of the token that was used; 0 begins a chain.
            use: As for `check`.
            record: The memory of the new token.
            tenant: Whose it is.
            model: The model it is for.

        Raises:
            TokenReplayed: Another use of the token was faster.
        """

        def alter(found: Found, now: float) -> Session:
            _check(found, before, use)
            held = found.record
            # Of all tokens of the chain the one that lives longest: until then an
            # older one could come back.
            until = held.expires_at if isinstance(held, Session) else 0.0
            return record.replace(
                tensors=b"",
                last_event=use.digest,
                expires_at=max(until, record.expires_at),
            )

        self._sessions.change(_name(chain, tenant, model), alter)


def _name(chain: bytes, tenant: str, model: str) -> SessionKey:
    return SessionKey(tenant, model + MARK, chain.hex())


def _check(found: Found, step: int, use: Use) -> None:
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


def _is_same(newest: Session, use: Use) -> bool:
    if newest.last_event == use.digest:
        return True
    # In another version the same numbers may be other events.
    return (newest.last_event, newest.model_version) == (use.former, use.version)
