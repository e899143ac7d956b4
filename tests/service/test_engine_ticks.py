"""The engine's ticks: who joins when, in which order, and what a defect costs."""

import threading
import time

import numpy as np
import pytest

from service.engine.job import Flow, Timings
from service.engine.rows import Row
from service.errors import CarryoverError, DeadlineExceeded, Overloaded, RequestTooLarge
from service.sessions.record import SessionKey
from tests.assembly import build_engine
from tests.fakes import TickingRuntime, counting_model
from tests.problems import assert_problem
from tests.waiting import wait_until

RED, GREEN = 0, 1
TIMEOUT_SECONDS = 60


@pytest.fixture
def model():
    return counting_model(runtime=TickingRuntime())


def row(*events, **options):
    return Row(np.array(events, "int32"), **options)


class Arrival:
    """Another client's request, sent from a thread while the engine works.

    Args:
        engine: The engine.
        model: The network.
        rows: The request's rows.
        **options: Further arguments of `advance`.
    """

    def __init__(self, engine, model, rows, **options):
        self.error = None
        num_queued = len(engine.queue)
        self._thread = threading.Thread(
            target=self._send, args=(engine, model, rows, options), daemon=True
        )
        self._thread.start()
        wait_until(
            lambda: len(engine.queue) != num_queued or not self._thread.is_alive(),
            every=0.0005,
        )
        assert self._thread.is_alive()

    def _send(self, engine, model, rows, options):
        try:
            self.results = engine.advance(model, rows, **options, tenant="")
        except Exception as error:
            self.error = error
        self.num_calls = model.runtime.calls

    def join(self):
        self._thread.join(TIMEOUT_SECONDS)
        assert not self._thread.is_alive(), "it waits for ever"
        if self.error:
            raise self.error
        return self.results


def during_call(model, number, act):
    """Act within one of the network's calls."""

    def before_return():
        if model.runtime.calls == number:
            act()

    model.runtime.before_return = before_return


def step_of(engine, session):
    return engine.sessions.get(SessionKey("", "counting", session)).step


def test_a_lone_row_is_one_call(engine, model):
    (outcome,) = engine.advance(model, [row(RED, session="s")], tenant="")

    assert outcome.step == 1
    assert model.runtime.lengths == [[1]]


def test_a_short_row_joins_a_long_one_and_leaves_before_it(engine, model):
    arrivals = []
    during_call(
        model,
        10,
        lambda: arrivals.append(Arrival(engine, model, [row(GREEN, session="b")])),
    )

    (long,) = engine.advance(model, [row(*[RED] * 1000, session="a")], tenant="")

    (short,) = arrivals[0].join()
    assert (long.step, short.step) == (1000, 1)
    # It got its answer while the long row went on: a handful of calls later.
    assert [1, 1] in model.runtime.lengths[10:12]
    assert short.outputs["probabilities"].tolist() == [[0, 1, 0]]
    assert long.outputs["probabilities"][-1].tolist() == [1, 0, 0]


def test_time_in_the_queue_is_that_before_the_engine_takes_a_row_in(engine, model):
    first, second, blocked = Timings(), Timings(), []

    def arrive_and_hold():
        model.runtime.before_return = lambda: None
        blocked.append(Arrival(engine, model, [row(GREEN)], timings=second))
        began = time.monotonic()
        threading.Event().wait(0.02)  # the other row's clock is the real one
        blocked.append(time.monotonic() - began)

    model.runtime.before_return = arrive_and_hold
    began = time.monotonic()
    engine.advance(model, [row(RED)], timings=first, tenant="")
    arrival, blocked_seconds = blocked
    arrival.join()

    assert first.queue < blocked_seconds <= second.queue < time.monotonic() - began


def test_sessions_that_arrive_together_share_their_transactions(
    engine, session_store, model
):
    store, fetched, stored = session_store, [], []
    fetch, commit = store.fetch, store.commit
    store.fetch = lambda keys: fetched.append(len(keys)) or fetch(keys)
    store.commit = lambda puts: stored.append(len(puts)) or commit(puts)
    rows = [row(RED, session=f"s{k}") for k in range(50)]

    for step in (1, 2):  # the second time they are alike
        outcomes = engine.advance(model, rows, tenant="")
        assert [outcome.step for outcome in outcomes] == [step] * 50

    assert fetched == stored == [50, 50]
    assert model.runtime.lengths == [[1] * 50] * 2


def test_requests_for_one_session_are_applied_in_the_order_they_came(engine, model):
    arrivals = []

    def arrive():
        for events in ([GREEN], [RED, RED], [GREEN]):
            arrivals.append(Arrival(engine, model, [row(*events, session="s")]))

    during_call(model, 1, arrive)

    (first,) = engine.advance(model, [row(*[RED] * 40, session="s")], tenant="")

    steps = [arrival.join()[0].step for arrival in arrivals]
    assert [first.step, *steps] == [40, 41, 43, 44]
    # None of them was computed twice: none lost a race.
    assert sum(map(sum, model.runtime.lengths)) == 44


def test_a_row_given_up_in_the_queue_does_not_let_others_past(engine, model):
    arrivals = []

    def arrive():
        for events, seconds in (([RED], -1), ([GREEN], 60)):
            arrivals.append(
                Arrival(
                    engine, model, [row(*events, session="s")], timeout_seconds=seconds
                )
            )

    during_call(model, 1, arrive)

    (first,) = engine.advance(model, [row(*[RED] * 40, session="s")], tenant="")

    (given_up,), (last,) = (arrival.join() for arrival in arrivals)
    assert isinstance(given_up, DeadlineExceeded)
    assert (first.step, last.step) == (40, 41)
    assert sum(map(sum, model.runtime.lengths)) == 41


def test_a_row_past_its_deadline_is_not_begun(engine, model):
    (error,) = engine.advance(
        model, [row(RED, session="s")], timeout_seconds=0, tenant=""
    )

    assert isinstance(error, DeadlineExceeded)
    assert model.runtime.calls == 0
    (after,) = engine.advance(model, [row(RED, session="s")], tenant="")
    assert after.step == 1


def test_a_row_given_up_in_the_middle_leaves_its_memory_as_it_was(engine, model):
    engine.advance(model, [row(RED, session="s")], tenant="")

    def let_time_pass():
        for job in engine.ticks.settlement.open_jobs:
            job.deadline = 0

    during_call(model, 4, let_time_pass)

    (error,) = engine.advance(model, [row(*[GREEN] * 1000, session="s")], tenant="")

    assert isinstance(error, DeadlineExceeded)
    assert model.runtime.calls == 4
    assert step_of(engine, "s") == 1
    (after,) = engine.advance(model, [row(GREEN, session="s")], tenant="")
    assert after.outputs["probabilities"].tolist() == [[0.5, 0.5, 0]]


@pytest.fixture
def narrow(engine, clock):
    """An engine that takes in three rows at a time."""
    return build_engine(clock, sessions=engine.sessions, max_queued_rows=3)


def test_more_rows_than_the_engine_takes_are_refused_whole(narrow, model):
    with pytest.raises(RequestTooLarge, match="at most 3 rows") as caught:
        narrow.advance(model, [row(RED, session=str(k)) for k in range(4)], tenant="")

    assert caught.value.members == {"max_queued_rows": 3}
    assert model.runtime.calls == 0
    assert (
        len(
            narrow.advance(
                model, [row(RED, session=str(k)) for k in range(3)], tenant=""
            )
        )
        == 3
    )


def test_rows_under_way_count_against_those_that_arrive(narrow, model):
    refused = []

    def arrive():
        with pytest.raises(Overloaded) as caught:
            narrow.advance(model, [row(RED)] * 2, tenant="")
        refused.append(caught.value)

    during_call(model, 1, arrive)

    (long, short) = narrow.advance(model, [row(*[RED] * 50), row(RED)], tenant="")

    assert len(refused) == 1
    assert (long.step, short.step) == (50, 1)
    assert len(narrow.advance(model, [row(RED)] * 3, tenant="")) == 3


def test_an_overloaded_service_says_when_to_try_again(client, engine, predict):
    engine.admission.max_rows, other = 2, Flow("", 2, 2)
    engine.admission.enter(other, 60)

    response = predict(["red"], ["red"])

    assert_problem(response, 503, "overloaded")
    assert response.headers["Retry-After"] == "1"
    assert predict(["red"]).status_code == 200
    assert_problem(predict(["red"], ["red"], ["red"]), 413, "request_too_large")
    engine.admission.leave(other)
    assert predict(["red"], ["red"]).status_code == 200


def test_a_defect_leaves_nobody_waiting_and_the_engine_whole(engine, model):
    arrivals = []

    def fail():
        for session in ("s", "t"):
            arrivals.append(Arrival(engine, model, [row(RED, session=session)]))
        model.runtime.before_return = lambda: None
        raise RuntimeError("a defect")

    during_call(model, 3, fail)

    (failed,) = engine.advance(model, [row(*[RED] * 100, session="s")], tenant="")

    assert type(failed) is CarryoverError
    assert "should not have" in failed.detail
    assert [arrival.join()[0].step for arrival in arrivals] == [1, 1]
    (after,) = engine.advance(model, [row(RED, session="s")], tenant="")
    assert after.step == 2
    assert not engine.ticks.settlement.open_jobs
    assert not len(engine.queue)
    assert engine.admission.num_rows == 0


def test_a_store_with_a_defect_leaves_nobody_waiting(engine, model):
    save = engine.sessions.save_encoded

    def fail(writes):
        raise RuntimeError("a defect of the store")

    engine.sessions.save_encoded = fail
    bare, failed = engine.advance(model, [row(RED), row(RED, session="s")], tenant="")
    assert bare.step == 1
    assert type(failed) is CarryoverError

    engine.sessions.save_encoded = save
    (after,) = engine.advance(model, [row(RED, session="s")], tenant="")
    assert after.step == 1


def test_many_threads_count_every_event_of_their_sessions_once(engine, model):
    steps = {f"s{k}": [] for k in range(5)}

    def send(number):
        rng = np.random.default_rng(number)
        for _ in range(40):
            session = f"s{rng.integers(5)}"
            length = int(rng.integers(1, 30))
            (outcome,) = engine.advance(
                model, [row(*[RED] * length, session=session)], tenant=""
            )
            steps[session].append((outcome.step, length))

    threads = [threading.Thread(target=send, args=(k,), daemon=True) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive(), "it waits for ever"

    assert sum(len(answers) for answers in steps.values()) == 320
    for session, answers in steps.items():
        before = 0
        for step, length in sorted(answers):
            assert step - length == before
            before = step
        assert step_of(engine, session) == before
    assert engine.admission.num_rows == 0
