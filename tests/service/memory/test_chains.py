from __future__ import annotations

from collections.abc import Callable

import pytest

from service.errors import CorruptRecord, TokenReplayed
from service.sessions.lifecycle import Sessions
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, SessionKey
from service.sessions.tokens.chains import Use, check_use, name_chain, note_newest
from service.stores.base import Put, Store
from tests.fakes import FakeClock
from tests.service.memory.stored import session_at

CHAIN, OTHER = b"c" * 16, b"o" * 16
A, B = Use(b"a" * 16), Use(b"b" * 16)
OWNER = {"tenant": "acme", "model": "nature"}


class Chains:
    """Uses tokens as the engine does: read, checked, and stored by compare-and-set."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def check(self, chain: bytes, step: int, use: Use, **owner: str) -> StoredSession:
        [found] = self._sessions.load([name_chain(chain, **owner)])
        check_use(found, step, use)
        return found

    def advance(
        self, chain: bytes, step: int, use: Use, record: Session, **owner: str
    ) -> None:
        found = self.check(chain, step, use, **owner)
        newest = note_newest(found, use, record)
        write = (name_chain(chain, **owner), found, newest)
        assert self._sessions.save([write]) == [True]


@pytest.fixture
def chains(sessions: Sessions) -> Chains:
    return Chains(sessions)


@pytest.fixture
def record(clock: FakeClock) -> Callable[[int], Session]:
    return lambda step: session_at(clock, step)


def test_older_token_is_refused_once_a_later_one_is_out(
    chains: Chains, record: Callable[[int], Session]
) -> None:
    chains.advance(CHAIN, 0, A, record(2), **OWNER)
    chains.advance(CHAIN, 2, A, record(5), **OWNER)

    with pytest.raises(TokenReplayed, match="of step 2, and a later one, of step 5"):
        chains.check(CHAIN, 2, B, **OWNER)
    with pytest.raises(TokenReplayed) as caught:
        chains.advance(CHAIN, 2, B, record(3), **OWNER)

    assert caught.value.members == {"step": 5}


def test_newest_token_and_the_use_that_made_it_are_good(
    chains: Chains, record: Callable[[int], Session]
) -> None:
    chains.advance(CHAIN, 0, A, record(2), **OWNER)
    chains.advance(CHAIN, 2, B, record(5), **OWNER)

    chains.check(CHAIN, 5, A, **OWNER)
    chains.check(CHAIN, 2, B, **OWNER)
    chains.advance(CHAIN, 2, B, record(5), **OWNER)


def test_chain_never_seen_is_taken_as_it_comes(
    chains: Chains, record: Callable[[int], Session]
) -> None:
    chains.check(CHAIN, 7, A, **OWNER)
    chains.advance(CHAIN, 7, A, record(9), **OWNER)

    with pytest.raises(TokenReplayed):
        chains.check(CHAIN, 8, B, **OWNER)


def test_chains_of_others_are_others(
    chains: Chains, record: Callable[[int], Session]
) -> None:
    chains.advance(CHAIN, 0, A, record(5), **OWNER)

    chains.check(OTHER, 1, B, **OWNER)
    chains.check(CHAIN, 1, B, tenant="umbrella", model="nature")
    chains.check(CHAIN, 1, B, tenant="acme", model="taxi")


def test_chain_is_kept_as_long_as_its_longest_lived_token(
    chains: Chains, record: Callable[[int], Session], clock: FakeClock
) -> None:
    long = record(2)
    chains.advance(CHAIN, 0, A, long.replace(expires_at=clock() + 1000), **OWNER)
    chains.advance(CHAIN, 2, A, record(3), **OWNER)

    clock.advance(999)

    with pytest.raises(TokenReplayed):
        chains.check(CHAIN, 2, B, **OWNER)


def test_chain_is_not_listed_and_is_no_session(
    chains: Chains, sessions: Sessions, record: Callable[[int], Session]
) -> None:
    chains.advance(CHAIN, 0, A, record(5), **OWNER)

    assert sessions.scan(SessionKey("acme", "nature", ""), "", 10) == []
    [found] = sessions.load([SessionKey("acme", "nature", CHAIN.hex()).encode()])
    assert found.record is None


def test_chain_keeps_no_memory(
    chains: Chains, store: Store, record: Callable[[int], Session]
) -> None:
    chains.advance(CHAIN, 0, A, record(500), **OWNER)

    [(_, entry)] = store.scan(b"acme\0", b"", 10)
    assert len(entry.value) < 120


def test_corrupt_chain_is_reported_and_not_taken_for_a_new_one(
    chains: Chains, store: Store, record: Callable[[int], Session]
) -> None:
    chains.advance(CHAIN, 0, A, record(5), **OWNER)
    [(key, entry)] = store.scan(b"acme\0", b"", 10)
    store.commit([Put(key, entry.version, b"broken", 1e12)])

    with pytest.raises(CorruptRecord):
        chains.check(CHAIN, 1, B, **OWNER)


def test_use_that_a_former_release_stored_counts_for_its_version_only(
    chains: Chains, record: Callable[[int], Session]
) -> None:
    encoded = b"e" * 16
    chains.advance(CHAIN, 0, A, record(2), **OWNER)
    chains.advance(CHAIN, 2, Use(encoded), record(5), **OWNER)  # as it was stored
    version = record(5).model_version

    chains.check(CHAIN, 2, Use(b"new", encoded, version), **OWNER)
    with pytest.raises(TokenReplayed):
        chains.check(CHAIN, 2, Use(b"new", encoded, version + 1), **OWNER)
