"""A shadow that fails, lags or is gone costs no live answer."""

import threading

import numpy as np
import pytest

from service.engine import shadow as shadows
from service.errors import StoreFull
from tests.service import shadowing
from tests.service.shadowing import RED

worker = pytest.fixture(shadowing.worker)
live = pytest.fixture(shadowing.live)
send = pytest.fixture(shadowing.send)
counted = pytest.fixture(shadowing.counted)


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
