"""A shadow follows sessions with a state of its own, and moves no live answer."""

import sys
from pathlib import Path

import numpy as np
import pytest

from service.engine import shadow as shadows
from service.registry.traffic import SHADOW_PERSON, Traffic, is_in_share
from service.sessions.record import SessionKey
from tests.service import shadowing
from tests.service.migrations import NEW, build_model
from tests.service.shadowing import ALL, GREEN, POISON, RED, load, open_engine

worker = pytest.fixture(shadowing.worker)
live = pytest.fixture(shadowing.live)
send = pytest.fixture(shadowing.send)
counted = pytest.fixture(shadowing.counted)


def test_shadow_has_a_state_of_its_own_and_is_compared(send, live, counted):
    for event in (RED, RED, GREEN):
        outcome = send(event)
        live.shadow.work()

    assert (outcome.version, outcome.step) == (1, 3)
    state = load(live)
    assert (state.step, state.model_version, state.network) == (
        3,
        2,
        bytes.fromhex(NEW)[:16],
    )
    assert np.frombuffer(state.tensors, "float32").tolist() == [4, 2, 0]
    own = load(live, model="counting")
    assert np.frombuffer(own.tensors, "float32").tolist() == [2, 1, 0]
    assert counted() == {"compared": 3, "agreed": 3}


def test_differences_and_disagreements_are_counted(send, live, worker, counted):
    other = build_model(2, NEW, ("green", "red", "blue"))
    one = worker.catalog.find("counting", 1)
    worker.catalog.replace("counting", [one, other])

    send(RED, events=["red"])
    live.shadow.work()
    assert counted() == {"compared": 1, "agreed": 1}
    run = other.runtime.run
    other.runtime.run = lambda *call: {
        name: np.roll(value, 1, -1) for name, value in run(*call).items()
    }
    send(RED, events=["red"])
    live.shadow.work()

    assert counted() == {"compared": 2, "agreed": 1, "differing": 1}


def test_answers_are_never_sent_and_sessions_are_not_listed(send, live):
    send(RED)
    live.shadow.work()

    listed = live.sessions.scan(SessionKey("", "counting", ""), "", 10)

    assert [one.session for one in listed] == ["s"]


def test_only_the_share_is_followed(send, live, worker):
    worker.change(lambda before: Traffic(1, shadow=2, shadow_share=0.3))
    for k in range(30):
        send(RED, session=f"s{k}")
    live.shadow.work()

    followed = {k for k in range(30) if load(live, f"s{k}") is not None}

    key = "\0counting\0s{}".format
    assert followed == {
        k for k in range(30) if is_in_share(key(k).encode(), 0.3, SHADOW_PERSON)
    }
    assert 0 < len(followed) < 30


def test_worker_waits_once_for_the_step_another_has_not_stored(
    send, worker, engine, clock, live, counted
):
    other = open_engine(worker, engine, clock)
    send(RED)
    send(GREEN, by=other)
    other.shadow.work()  # before the first worker has followed its step
    assert counted() == {}
    live.shadow.work()
    other.shadow.monotonic.advance(1)
    other.shadow.work()

    assert counted() == {"compared": 2, "agreed": 2}
    assert load(live).step == 2


def test_session_that_was_not_seen_from_its_beginning_is_not_followed(
    send, worker, live, counted
):
    worker.change(lambda before: Traffic(1))
    send(RED)
    worker.change(lambda before: ALL)

    send(RED)
    live.shadow.work()
    live.shadow.monotonic.advance(1)
    live.shadow.work()

    assert counted() == {"dropped": 1}
    assert load(live) is None


def test_rewound_session_is_followed_no_more(send, live, counted):
    send(RED)
    send(RED)
    live.shadow.work()
    live.sessions.change(
        SessionKey("", "counting", "s"), lambda found, now: found.record.replace(step=1)
    )

    send(GREEN)
    live.shadow.work()

    live.shadow.monotonic.advance(1)
    live.shadow.work()
    send(GREEN)
    live.shadow.work()
    live.shadow.monotonic.advance(1)
    live.shadow.work()

    assert counted() == {"compared": 2, "agreed": 2, "dropped": 2}
    assert load(live).step == 0  # a tombstone, to be swept


def test_events_that_wait_are_bounded_and_only_the_last_answer_waits(
    send, live, counted, monkeypatch
):
    monkeypatch.setattr(shadows, "MAX_WAITING_EVENTS", 10)
    for name in ("a", "b", "c"):
        send(*[RED] * 4, session=name)

    assert counted() == {"dropped": 1}
    kept = [waiting.outcome.outputs for waiting in live.shadow.waiting]
    assert all(len(value) == 1 for outputs in kept for value in outputs.values())
    assert all(value.base is None for outputs in kept for value in outputs.values())
    live.shadow.work()
    send(*[RED] * 4, session="d")
    send(*[RED] * 11, session="too long")
    live.shadow.work()
    send(*[RED] * 11, session="alone")
    live.shadow.work()
    assert counted() == {"compared": 4, "agreed": 4, "dropped": 2}


def test_row_that_waits_for_an_earlier_step_keeps_its_room(
    send, worker, engine, clock, live, monkeypatch
):
    other = open_engine(worker, engine, clock)
    send(RED)
    send(GREEN, by=other)
    monkeypatch.setattr(shadows, "MAX_WAITING_EVENTS", 1)
    other.shadow.work()

    send(RED, session="next", by=other)
    assert not other.shadow.waiting


def test_repeats_and_refusals_are_not_followed(send, live, counted):
    for _ in range(2):
        send(RED, key="k", fingerprint=b"f" * 16)
    send(POISON)
    live.shadow.work()

    assert counted() == {"compared": 1, "agreed": 1}


def test_state_goes_with_its_session(send, live, worker, clock):
    send(RED)
    send(RED, session="t", end=True)
    send(RED, session="u")
    send(RED, session="u", end=True)
    live.shadow.work()
    assert load(live, "t") is None
    clock.advance(1)
    live.sessions.delete(SessionKey("", "counting", "s"))
    live.shadow.drop(SessionKey("", "counting", "s").encode())
    assert live.sessions.count() == 5  # three tombstones, and two to be swept

    clock.advance(1)

    assert live.sessions.sweep(10) == 2
    assert load(live) is None


def test_state_expires_with_its_session(send, live, clock):
    send(RED)
    live.shadow.work()
    assert load(live).expires_at == load(live, model="counting").expires_at


def test_sessions_of_the_same_version_are_not_compared(send, live, worker, counted):
    worker.change(lambda before: Traffic(1, 2, 1.0, 2, 1.0))

    assert send(RED).version == 2
    live.shadow.work()

    assert counted() == {}


@pytest.mark.parametrize("is_on_trial", [False, True])
def test_without_traffic_nothing_of_it_is_called(send, worker, is_on_trial):
    worker.change(lambda before: ALL if is_on_trial else Traffic())
    send(RED)
    called = set()
    sys.setprofile(lambda frame, *_: called.add(Path(frame.f_code.co_filename).name))
    try:
        send(RED)
    finally:
        sys.setprofile(None)

    own = {"traffic.py", "shadow.py", "comparison.py", "traffic_metrics.py"}
    # Without: the test's own engine is built with a shadow that waits.
    assert bool(called & own - {"shadow.py"}) == is_on_trial
