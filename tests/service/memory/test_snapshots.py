"""The ring of earlier memories."""

import numpy as np

from service.engine.rows import Row
from service.sessions.record import Session, SessionKey
from service.sessions.sections import (
    Snapshot,
    append_snapshot,
    drop_later,
    find_snapshot,
    list_steps,
)
from service.sessions.version_policy import Retention
from tests.assembly import build_engine


def fill(*steps, size=3):
    ring = b""
    for step in steps:
        ring = append_snapshot(ring, Snapshot(step, bytes([step] * 8)), size=size)
    return ring


def test_newest_snapshots_stay_and_the_oldest_leave():
    ring = fill(1, 2, 3, 4)

    assert list_steps(ring) == [2, 3, 4]
    assert find_snapshot(ring, 3) == Snapshot(3, bytes([3] * 8))
    assert find_snapshot(ring, 1) is None


def test_ring_of_size_zero_keeps_nothing():
    assert fill(1, 2, size=0) == b""


def test_smaller_ring_forgets_the_oldest_at_the_next_step():
    ring = append_snapshot(fill(1, 2, 3), Snapshot(4, b""), size=2)

    assert list_steps(ring) == [3, 4]


def test_rewound_session_overwrites_the_steps_it_takes_again():
    assert list_steps(fill(1, 2, 3, 2)) == [1, 2]
    assert list_steps(drop_later(fill(1, 2, 3), 2)) == [1, 2]


def test_sessions_keep_the_memories_before_each_row(engine, model, clock):
    kept = Retention(snapshots=2)
    engine = build_engine(clock, sessions=engine.sessions, retention=kept)

    for event in (0, 1, 1, 0):
        engine.advance(model, [Row(np.array([event], "int32"), session="s")], tenant="")

    record = engine.sessions.get(SessionKey("", "counting", "s"))

    assert isinstance(record, Session)
    assert list_steps(record.snapshots) == [2, 3]
    snapshot = find_snapshot(record.snapshots, 3)
    assert np.frombuffer(snapshot.tensors, "<f4").tolist() == [1, 2, 0]
    assert np.frombuffer(record.last_event, "<i4").tolist() == [0]
