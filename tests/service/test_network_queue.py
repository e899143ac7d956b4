import numpy as np
import pytest

from service.engine.execution import NetworkQueue
from service.engine.job import Call, Flow, Job, Submission
from service.engine.resume import ResumeState
from service.engine.rows import Row
from service.errors import DeadlineExceeded, NonFiniteResult
from tests.fakes import TickingRuntime, counting_model

RED, GREEN, POISON = 0, 1, 2
NEVER = float("inf")


@pytest.fixture
def model():
    return counting_model(runtime=TickingRuntime())


@pytest.fixture
def network_queue(model):
    return NetworkQueue(model, "advance")


@pytest.fixture
def join(network_queue, model):
    """Let a row of events join the lane."""

    def add(*events, deadline=NEVER):
        sequence = np.array(events, "int32")
        call = Call(model, "", "advance", False)
        job = Job(call, Row(sequence), Flow("", 1, 1), Submission(), 0.0, deadline)
        job.begin(ResumeState(None, None, model, sequence))
        network_queue.jobs.append(job)
        return job

    return add


def run_to_the_end(network_queue):
    """Make calls until nobody is left; return who finished in which call."""
    finished = []
    while network_queue.jobs:
        ended, failed = network_queue.run()
        assert not failed
        finished.append(ended)
    return finished


def shares(job):
    return job.run.ahead().outputs["probabilities"][-1].tolist()


def test_rows_of_different_lengths_leave_as_they_come_to_their_ends(
    network_queue, model, join
):
    three, one, two = (join(*[RED] * n) for n in (3, 1, 2))

    finished = run_to_the_end(network_queue)

    assert finished == [[one], [two], [three]]
    assert model.runtime.lengths == [[1, 1, 1], [1, 1], [1]]


def test_rows_join_between_calls(network_queue, model, join):
    first = join(RED, GREEN, GREEN)
    second = join(RED, RED, GREEN)
    network_queue.run()

    late = join(GREEN)

    ended, _ = network_queue.run()
    assert ended == [late]
    assert model.runtime.lengths[-1] == [1, 1, 1]
    assert sorted(map(id, run_to_the_end(network_queue)[-1])) == sorted(
        map(id, (first, second))
    )
    assert shares(late) == [0, 1, 0]
    assert shares(first) == pytest.approx([1 / 3, 2 / 3, 0])
    assert shares(second) == pytest.approx([2 / 3, 1 / 3, 0])


def test_a_newcomer_waits_for_one_call_of_each_of_those_before_it(
    network_queue, model, join
):
    for _ in range(200):
        join(*[RED] * 1000)
    for _ in range(7):
        network_queue.run()
    before = model.runtime.calls

    newcomer = join(GREEN)
    while not newcomer.run.position:
        network_queue.run()

    assert model.runtime.calls - before == 4  # 201 rows, 64 in a call


def test_long_rows_share_the_calls_evenly(network_queue, join):
    jobs = [join(*[RED] * 1000) for _ in range(150)]

    for _ in range(75):
        network_queue.run()

    positions = [job.run.position for job in jobs]
    assert max(positions) - min(positions) <= 1
    assert sum(positions) == 75 * 64


def test_a_row_that_is_alone_continues_in_chunks(network_queue, model, join):
    job = join(*[RED, GREEN] * 20)

    run_to_the_end(network_queue)

    assert model.runtime.lengths == [[16], [16], [8]]
    assert shares(job) == [0.5, 0.5, 0]
    assert len(job.run.ahead().outputs["probabilities"]) == 40


def test_no_event_is_computed_twice_and_none_is_padding(network_queue, model, join):
    lengths = np.random.default_rng(5).integers(1, 60, 300)
    jobs = [join(*[RED] * int(n)) for n in lengths]

    run_to_the_end(network_queue)

    assert sum(sum(call) for call in model.runtime.lengths) == lengths.sum()
    for job, length in zip(jobs, lengths, strict=True):
        assert len(job.run.ahead().outputs["probabilities"]) == length
        assert np.frombuffer(job.run.memory, "<f4").tolist() == [length, 0, 0]


def test_a_row_past_its_deadline_leaves_in_the_middle(network_queue, join):
    late, other = join(RED, RED, RED, deadline=0), join(GREEN, GREEN)

    ended, ((failed, error),) = network_queue.run()

    assert not ended
    assert failed is late
    assert isinstance(error, DeadlineExceeded)
    assert run_to_the_end(network_queue) == [[other]]


def test_a_row_that_ends_with_the_call_is_not_too_late(network_queue, join):
    job = join(RED, deadline=0)

    assert network_queue.run() == ([job], [])


def test_a_row_without_a_number_leaves_alone(network_queue, join):
    bad, good = join(POISON, RED), join(RED, GREEN)

    ended, ((failed, error),) = network_queue.run()

    assert not ended
    assert failed is bad
    assert isinstance(error, NonFiniteResult)
    assert run_to_the_end(network_queue) == [[good]]
