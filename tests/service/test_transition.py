"""The usual row is begun as all the rules would have it begun."""

import numpy as np
import pytest

from service.engine.job import Call
from service.engine.resume import ResumeState
from service.engine.rows import Row
from service.engine.transition import Transitions, continue_usual
from service.errors import CarryoverError, CorruptRecord
from service.registry.catalog import Catalog
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, Tombstone
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Lifetimes, Retention
from tests.fakes import counting_model

MODEL = counting_model()
CALL = Call(MODEL, "acme", "advance")
LIVE = Session(3, 1, MODEL.fingerprint, 1.0, 2.0, 100.0, 98.0, bytes(12))
FOUND = {
    "never seen": StoredSession(0, None),
    "live": StoredSession(4, LIVE),
    "another network's": StoredSession(4, LIVE.replace(network=b"x" * 16)),
    "ended": StoredSession(5, Tombstone("ended", 3, 2.0)),
    "damaged": StoredSession(5, CorruptRecord("damaged")),
}
OPTIONS = {
    "plain": {},
    "strict": {"is_strict": True},
    "start": {"start": True},
    "end": {"end": True},
    "at": {"at": 3},
    "at another step": {"at": 1},
    "keyed": {"key": "k", "fingerprint": b"f" * 16},
    "for a while": {"ttl_seconds": 5.0},
}


def decide(found, row):
    """Begin a row by all the rules, or say how it was refused."""
    lifetimes = Lifetimes(100, 50)
    transitions = Transitions(
        TokenCipher([b"k" * 32]), lifetimes, lambda: 3.0, Retention(), Catalog([MODEL])
    )
    try:
        return transitions.start_rules.resume(CALL, row, found)
    except CarryoverError as error:
        return type(error)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND.keys())
def test_usual_row_is_begun_as_by_all_the_rules(found, options):
    row = Row(np.array([0], "int32"), "s", **options)

    usual, decided = continue_usual(CALL, row, found), decide(found, row)

    if usual is not None:
        assert isinstance(decided, ResumeState)
        assert usual.stored is decided.stored
        assert usual.record is decided.record
        assert usual.model is decided.model
        assert usual.sequence is decided.sequence
        assert (usual.num_replayed, usual.migrated_from, usual.is_reset) == (
            decided.num_replayed,
            decided.migrated_from,
            decided.is_reset,
        )


@pytest.mark.parametrize("kind", ["never seen", "live"])
def test_most_rows_are_usual(kind):
    row = Row(np.array([0], "int32"), "s")

    assert continue_usual(CALL, row, FOUND[kind]) is not None


@pytest.mark.parametrize("kind", ["another network's", "ended", "damaged"])
def test_rows_of_other_sessions_are_not(kind):
    row = Row(np.array([0], "int32"), "s")

    assert continue_usual(CALL, row, FOUND[kind]) is None
