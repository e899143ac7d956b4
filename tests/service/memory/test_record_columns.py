"""Records as columns are, byte for byte, those that are written one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.sessions.record import NETWORK_BYTES, Session, decode, encode
from service.sessions.record_columns import RecordLayout, find_layout

NETWORK = bytes(range(NETWORK_BYTES))
TIMES = st.floats(0, 4e9)
STEPS = st.integers(0, 2**60)


def bytes_of(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


@st.composite
def batches(draw: st.DrawFn) -> tuple[RecordLayout, list[Session]]:
    memory, event = 4 * draw(st.integers(1, 9)), 4 * draw(st.integers(1, 3))
    alike = st.builds(
        Session,
        STEPS,
        st.integers(1, 2**40),
        st.just(NETWORK),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        bytes_of(memory),
        bytes_of(event),
    )
    return find_layout(memory, event), draw(st.lists(alike, min_size=1, max_size=5))


@given(batches(), st.floats(0, 4e9), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_next_records_are_those_that_are_written_one_by_one(batch, now, rng):
    layout, sessions = batch
    size, event_size = len(sessions[0].tensors), len(sessions[0].last_event)
    memories = np.frombuffer(rng.randbytes(size * len(sessions)), np.uint8)
    events = np.frombuffer(rng.randbytes(event_size * len(sessions)), np.uint8)
    memories = memories.reshape(len(sessions), -1)
    events = events.reshape(len(sessions), -1)
    before = layout.read([encode(session) for session in sessions])

    after = layout.write(before, memories, events, now=now, model_version=7)

    assert layout.split(after) == [
        encode(
            session.replace(
                step=session.step + 1,
                model_version=7,
                updated_at=now,
                expires_at=now + session.idle_seconds,
                tensors=memories[k].tobytes(),
                last_event=events[k].tobytes(),
            )
        )
        for k, session in enumerate(sessions)
    ]
    own = layout.memories(before, np.dtype(np.uint8))
    assert [row.tobytes() for row in own] == [one.tensors for one in sessions]


SESSION = Session(3, 1, NETWORK, 1.0, 2.0, 50.0, 30.0, bytes(8), bytes(4))
ODD = {
    "another network": SESSION.replace(network=bytes(NETWORK_BYTES)),
    "another version": SESSION.replace(model_version=2),
    "expired": SESSION.replace(expires_at=10.0),
    "more of an event": SESSION.replace(tensors=bytes(4), last_event=bytes(8)),
    "a section": SESSION.replace(tensors=b"", answers=b"1234"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_record_that_is_not_alike_is_left_out(odd):
    layout = find_layout(8, 4)
    table = layout.read([encode(SESSION), encode(odd)])

    assert layout.find_live(table, NETWORK, 1, 10.0).tolist() == [True, False]


@pytest.mark.parametrize("position", range(len(encode(SESSION))))
def test_a_record_with_any_bit_changed_is_left_out(position):
    layout, value = find_layout(8, 4), bytearray(encode(SESSION))
    value[position] ^= 0x10

    assert not layout.find_live(layout.read([bytes(value)]), NETWORK, 1, 10.0).any()


def test_records_as_columns_are_read_by_what_reads_one():
    layout = find_layout(8, 4)
    before = layout.read([encode(SESSION)])
    memory, event = np.ones((1, 2), "<f4"), np.full((1, 1), 7, "<i4")

    after = layout.write(before, memory, event, now=20.0, model_version=2)

    (value,) = layout.split(after)
    record = decode(value)
    assert isinstance(record, Session)
    assert (record.step, record.model_version, record.expires_at) == (4, 2, 50.0)
    assert record.tensors == memory.tobytes()
