"""The caller that runs ticks: with threads, and with greenlets in another process."""

import subprocess
import sys
import threading
from collections import deque

import pytest

from service.engine.job import Submission
from service.engine.ticks import TickLeader
from tests.servers import ROOT
from tests.waiting import wait_until

TIMEOUT_SECONDS = 60


class Watched(Submission):
    """A submission of one job that reports when its caller begins to wait."""

    __slots__ = ("listening",)

    def __init__(self):
        super().__init__()
        self.num_pending = 1
        self.listening = threading.Event()

    def listen(self):
        super().listen()
        self.listening.set()


def start(target, *arguments):
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def join(*threads):
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive(), "somebody waits for ever"


def test_a_lone_caller_ticks_at_once_on_its_own_thread():
    mine, ticked_by = Watched(), []

    def tick():
        ticked_by.append(threading.get_ident())
        mine.settle(1)

    TickLeader(tick).complete(mine)

    assert ticked_by == [threading.get_ident()]
    assert not mine.listening.is_set()


def test_a_caller_with_nothing_to_wait_for_does_not_tick():
    def tick():
        raise AssertionError("nobody asked for it")

    TickLeader(tick).complete(Submission())


def test_the_leader_ticks_until_its_own_jobs_are_done():
    mine, num_ticks = Watched(), []
    mine.num_pending = 3

    def tick():
        num_ticks.append(1)
        mine.settle(1)

    TickLeader(tick).complete(mine)

    assert len(num_ticks) == 3


def test_followers_are_served_by_the_leader():
    mine, follower, ticked_by, threads = Watched(), Watched(), [], []

    def tick():
        ticked_by.append(threading.get_ident())
        if not threads:
            threads.append(start(ticker.complete, follower))
            assert follower.listening.wait(TIMEOUT_SECONDS)
        follower.settle(1)
        mine.settle(1)

    ticker = TickLeader(tick)
    ticker.complete(mine)

    join(*threads)
    assert ticked_by == [threading.get_ident()]


def test_a_leader_that_is_done_hands_over_to_one_that_waits():
    mine, follower, ticked_by, threads = Watched(), Watched(), [], []

    def tick():
        ticked_by.append(threading.get_ident())
        if threads:
            follower.settle(1)
            return
        threads.append(start(ticker.complete, follower))
        assert follower.listening.wait(TIMEOUT_SECONDS)
        mine.settle(1)

    ticker = TickLeader(tick)
    ticker.complete(mine)

    join(*threads)
    assert ticked_by == [threading.get_ident(), threads[0].ident]


def test_a_tick_that_raises_leaves_nobody_waiting():
    mine, follower, threads = Watched(), Watched(), []

    def tick():
        if threads:
            follower.settle(1)
            return
        threads.append(start(ticker.complete, follower))
        assert follower.listening.wait(TIMEOUT_SECONDS)
        raise RuntimeError("a defect")

    ticker = TickLeader(tick)
    with pytest.raises(RuntimeError, match="a defect"):
        ticker.complete(mine)

    join(*threads)


class Late(Watched):
    """Its caller finds somebody leading, and is slow to say that it waits."""

    __slots__ = ("may_wait",)

    def __init__(self):
        super().__init__()
        self.may_wait = threading.Event()

    def listen(self):
        super().listen()
        assert self.may_wait.wait(TIMEOUT_SECONDS)


def test_a_follower_that_the_leaving_leader_could_not_see_takes_the_turn():
    mine, late, threads = Watched(), Late(), []

    def tick():
        if threads:
            late.settle(1)
            return
        threads.append(start(ticker.complete, late))
        assert late.listening.wait(TIMEOUT_SECONDS)
        mine.settle(1)

    ticker = TickLeader(tick)
    ticker.complete(mine)
    late.may_wait.set()

    join(*threads)


class Torn(Exception):
    """As when a greenlet is killed."""


class TornAway(Watched):
    """Its caller is torn away once it is woken."""

    __slots__ = ()

    def wait(self):
        super().wait()
        raise Torn


def test_a_follower_that_is_torn_away_while_it_is_woken_passes_the_turn_on():
    mine, torn, patient = Watched(), TornAway(), Watched()
    threads, failures = [], []

    def tick():
        if threads:
            patient.settle(1)
            return
        for each in (torn, patient):
            threads.append(start(complete, each))
            assert each.listening.wait(TIMEOUT_SECONDS)
            wait_until_registered(ticker, each)
        mine.settle(1)

    def complete(submission):
        try:
            ticker.complete(submission)
        except Torn as error:
            failures.append(error)

    ticker = TickLeader(tick)
    ticker.complete(mine)

    join(*threads)
    assert len(failures) == 1


def wait_until_registered(ticker, submission):
    wait_until(lambda: id(submission) in ticker.waiting, every=0.001)


def stress(num_callers=16, num_rounds=150, give_way=lambda: None):
    """Let callers come and go; a tick settles a few of the jobs in turn.

    Returns:
        How many jobs were settled.
    """
    queue, settled = deque(), []

    def tick():
        for _ in range(3):
            if queue:
                settled.append(1)
                queue.popleft().settle(1)
            give_way()

    ticker = TickLeader(tick)

    def call(number):
        for k in range(num_rounds):
            submission = Submission()
            submission.num_pending = 1 + (number + k) % 3
            queue.extend([submission] * submission.num_pending)
            ticker.complete(submission)
            assert submission.num_pending == 0

    threads = [start(call, number) for number in range(num_callers)]
    join(*threads)
    return len(settled)


NUM_JOBS = 16 * 150 * 2  # one to three a round


def test_no_wake_up_is_lost_between_threads():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        num_settled = stress()
    finally:
        sys.setswitchinterval(interval)

    assert num_settled == NUM_JOBS


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gevent
from service.common.loop import is_gevent
from tests.service.test_ticker import stress
assert is_gevent()
print(stress(give_way=lambda: gevent.sleep(0)))
"""


def test_no_wake_up_is_lost_between_greenlets():
    script = [sys.executable, "-c", GREENLETS]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == NUM_JOBS
