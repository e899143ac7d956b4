"""The rows that are next: least service first, per tenant and then per request."""

import numpy as np
import pytest

from service.engine.engine import Admission
from service.engine.job import Call, Flow, Job, Submission
from service.engine.resume import NAMELESS, Named, ResumeState
from service.engine.rows import Row
from service.engine.run_queue import RunQueue
from service.errors import Overloaded, RequestTooLarge
from service.settings import SettingError, read_settings
from tests.fakes import counting_model

MODEL = counting_model()
MEMORY = b"\0" * 12
TIMEOUT_SECONDS = 30


@pytest.fixture
def queue():
    return RunQueue()


def arrive(queue, tenant, num_rows, num_events=1, session=None):
    """Open a request and queue its rows."""
    flow = Flow(tenant, num_rows, num_rows * num_events)
    sequence = np.zeros(num_events, "int32")
    call = Call(MODEL, tenant, "advance")
    named = NAMELESS if session is None else Named(call.key(session))
    jobs = [
        Job(call, Row(sequence, session), flow, Submission(), 0.0, 0.0, named)
        for _ in range(num_rows)
    ]
    queue.open(flow)
    queue.add(flow, jobs)
    return flow


def tick(queue, limit=4):
    """Serve one event of each row that is chosen; return their owners."""
    jobs = queue.take(limit)
    for job in jobs:
        if not job.is_begun:
            job.begin(ResumeState(None, None, MODEL, job.row.sequence))
        outputs = {"probabilities": np.zeros((1, 1, 3), "float32")}
        job.run.take(outputs, 0, 1, MEMORY)
    queue.charge(jobs)
    queue.put_back([job for job in reversed(jobs) if job.run.remaining])
    return [job.flow for job in jobs]


def test_a_small_request_waits_for_no_backlog(queue):
    for _ in range(20):
        arrive(queue, "", 100, 100)
    for _ in range(200):
        tick(queue)

    small = arrive(queue, "", 1)

    assert small in tick(queue)


def test_requests_of_one_tenant_share_alike(queue):
    flows = [arrive(queue, "", 50, 1000) for _ in range(5)]
    served = [flow for _ in range(100) for flow in tick(queue)]

    assert [served.count(flow) for flow in flows] == [80] * 5


def test_a_tenant_gets_its_share_however_many_requests_another_has(queue):
    for _ in range(36):
        arrive(queue, "greedy", 50, 1000)
    other = arrive(queue, "other", 50, 1000)
    served = [flow for _ in range(100) for flow in tick(queue)]

    assert served.count(other) == pytest.approx(200, abs=8)


def test_endless_small_requests_do_not_starve_a_long_one(queue):
    long = arrive(queue, "", 4, 1000)
    small, num_ticks = [], 0
    for _ in range(400):
        small.append(arrive(queue, "", 4))
        num_ticks += long in tick(queue)
        for done in [flow for flow in small if not flow.jobs]:
            queue.close(done)
            small.remove(done)

    # Each of some twenty members has its turn.
    assert num_ticks >= 12


def test_what_idle_tenants_left_unused_is_no_credit(queue):
    arrive(queue, "busy", 50, 1000)
    for _ in range(100):
        tick(queue)
    late = arrive(queue, "late", 50, 1000)
    served = [flow for _ in range(200) for flow in tick(queue)]

    assert served.count(late) == pytest.approx(400, abs=8)


def assert_forgotten(queue):
    assert len(queue) == 0
    assert (queue.tenants, queue.owners) == ({}, {})


def test_rows_of_a_killed_caller_give_their_session_to_the_next(queue):
    killed = arrive(queue, "", 3, 5, session="s")
    other = arrive(queue, "", 1, 1, session="s")

    queue.close(killed)  # its first row waits

    assert tick(queue) == [other]
    queue.close(other)


def test_rows_of_a_killed_caller_are_not_put_back(queue):
    killed = arrive(queue, "", 2, 5, session="s")
    other = arrive(queue, "", 1, 1, session="s")
    (job,) = queue.take(4)
    job.begin(ResumeState(None, None, MODEL, job.row.sequence))

    queue.close(killed)  # its first row is under way
    queue.charge([job])
    queue.put_back([job])
    (last,) = queue.take(4)
    assert last.flow is other
    queue.settled([last])
    queue.close(other)

    assert_forgotten(queue)


@pytest.fixture
def entry(queue):
    entry = Admission(queue, 2000)
    for _ in range(100):
        entry.measure(0.1, 1000)  # 100 us an event: 150,000 in half of the timeout
    return entry


def test_large_requests_turn_no_small_one_away(entry):
    large, num_admitted = [], 0
    for _ in range(100):
        flow = Flow("", 100, 40_000)
        try:
            entry.enter(flow, TIMEOUT_SECONDS)
        except Overloaded:
            break
        large.append(flow)
    for _ in range(100):
        entry.enter(Flow("", 1, 1), TIMEOUT_SECONDS)
        num_admitted += 1

    assert len(large) == 3
    assert num_admitted == 100


@pytest.mark.parametrize("size", [(2001, 2001), (1, 300_001)])
def test_what_can_never_fit_is_too_large(entry, size):
    with pytest.raises(RequestTooLarge):
        entry.enter(Flow("", *size), TIMEOUT_SECONDS)

    entry.enter(Flow("", 1, 150_000), TIMEOUT_SECONDS)


def test_room_is_given_back(entry, queue):
    flow = Flow("a", 2000, 2000)
    entry.enter(flow, TIMEOUT_SECONDS)
    entry.leave(flow)

    assert (entry.num_rows, entry.num_events) == (0, 0)
    assert not queue.tenants
    assert not queue.flows


@pytest.mark.parametrize(("queued", "rows"), [("100", "1024"), ("255", "10")])
def test_limits_that_exclude_each_other_stop_the_start(queued, rows):
    environ = {"CARRYOVER_MAX_QUEUED_ROWS": queued, "CARRYOVER_MAX_ROWS": rows}

    with pytest.raises(SettingError, match="CARRYOVER_MAX_QUEUED_ROWS"):
        read_settings(environ)
    read_settings({**environ, "CARRYOVER_MAX_QUEUED_ROWS": "1024"})


def test_request_that_is_alone_is_tried(entry, queue):
    alone = Flow("", 1, 200_000)  # in more than half of the timeout

    entry.enter(alone, TIMEOUT_SECONDS)
    with pytest.raises(Overloaded):
        entry.enter(Flow("", 1, 200_000), TIMEOUT_SECONDS)
    entry.leave(alone)

    assert_forgotten(queue)
