"""A shadow follows sessions with a state of its own, and moves no live answer."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from service.engine import shadow as shadows
from service.engine.rows import Row
from service.errors import StoreFull
from service.registry.traffic import SHADOW_PERSON, Traffic, is_in_share
from service.sessions.record import SessionKey
from service.telemetry.traffic_metrics import find_shadow_tally
from tests.fakes import FakeClock
from tests.service.test_migration import NEW, build_model
from tests.service.test_traffic import TrafficWorker, publish

RED, GREEN, POISON = 0, 1, 2
ALL = Traffic(1, shadow=2, shadow_share=1.0)


@pytest.fixture
def worker(tmp_path):
    for version in (1, 2):
        publish(tmp_path / "models", version)
    worker = TrafficWorker(tmp_path / "models", tmp_path / "state")
    worker.change(lambda before: ALL)
    return worker


@pytest.fixture
def live(worker, engine, clock):
    """A worker's engine; its shadow works when a test says so."""
    return open_engine(worker, engine, clock)


def open_engine(worker, engine, clock):
    own = worker.build_engine(engine.sessions, clock)
    own.shadow.monotonic = FakeClock()
    return own


@pytest.fixture
def send(worker, live):
    def advance(*events, session="s", by=live, **options):
        row = Row(np.array(events, "int32"), session=session, **options)
        model = worker.catalog.find("counting")
        return by.advance(model, [row], tenant="")[0]

    return advance


@pytest.fixture
def counted():
    """Return what was counted of the shadow since the test began."""
    tally = find_shadow_tally("counting", 2)

    def read():
        rows = {outcome: counter.number for outcome, counter in tally.rows.items()}
        differences = list(tally.difference.buckets)
        return rows | {"agreed": tally.agreed.number, "differences": differences}

    before = read()

    def ask():
        after = read()
        changes = zip(after.pop("differences"), before["differences"], strict=True)
        found = {name: number - before[name] for name, number in after.items()}
        found["differing"] = sum(a - b for a, b in list(changes)[1:])
        return {name: number for name, number in found.items() if number}

    return ask


def load(engine, session="s", model="counting\x02"):
    [found] = engine.sessions.load([SessionKey("", model, session).encode()])
    return found.record


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


@pytest.mark.parametrize("error", [ValueError("broken"), MemoryError(), StoreFull("")])
def test_shadow_that_raises_fails_alone(send, live, worker, counted, error, caplog):
    runtime = worker.catalog.find("counting", 2).runtime

    def fail(*call):
        raise error

    runtime.run = fail
    outcomes = [send(RED, session=f"s{k}") for k in range(3)]
    live.shadow.work()

    assert [outcome.step for outcome in outcomes] == [1, 1, 1]
    assert counted() == {"failed": 3}
    assert len([r for r in caplog.records if "shadow" in r.message]) == 1


def test_shadow_that_answers_no_number_fails_alone(send, live, worker, counted):
    runtime = worker.catalog.find("counting", 2).runtime
    run = runtime.run
    runtime.run = lambda *call: {n: v * np.nan for n, v in run(*call).items()}

    assert send(RED).step == 1
    live.shadow.work()

    assert counted() == {"failed": 1}


def test_shadow_that_is_gone_fails_alone(send, live, worker, counted):
    worker.catalog.replace("counting", [worker.catalog.find("counting", 1)])

    assert send(RED).step == 1
    live.shadow.work()

    assert counted() == {"failed": 1}


def test_live_answers_do_not_wait_for_a_slow_shadow(send, live, worker, counted):
    entered, release = threading.Event(), threading.Event()
    runtime = worker.catalog.find("counting", 2).runtime
    run = runtime.run

    def wait(*call):
        entered.set()
        release.wait(30)
        return run(*call)

    runtime.run = wait
    live.shadow.start()
    send(RED)
    assert entered.wait(30)

    outcomes = [send(RED, session=f"s{k}") for k in range(20)]

    assert all(outcome.step == 1 for outcome in outcomes)
    assert counted() == {}
    release.set()


def test_rows_beyond_those_that_may_wait_are_dropped(send, live, counted, monkeypatch):
    monkeypatch.setattr(shadows, "MAX_WAITING", 2)
    for k in range(5):
        send(RED, session=f"s{k}")
    live.shadow.work()

    assert counted() == {"compared": 2, "agreed": 2, "dropped": 3}


def test_rows_are_dropped_while_the_engine_is_busy(send, live, counted):
    send(RED)
    live.admission.num_rows += shadows.BUSY_ROWS + 1
    live.shadow.work()

    assert counted() == {"dropped": 1}


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
