"""Debounced work runs once a moment later, whatever thread asks for it."""

import subprocess
import sys
import threading

from service.common.loop import Debouncer
from tests.servers import ROOT

SECONDS = 60
OFFLOADED = """
from gevent import monkey; monkey.patch_all()
import gevent
from gevent.event import Event
from service.common.loop import offload
from service.common.loop import Debouncer

ran = Event()
debouncer = Debouncer(ran.set)
for trigger in (offload, lambda work: work()):  # in the pool, and then in the loop
    trigger(debouncer.trigger)
    assert ran.wait(30), "nothing ran"
    ran.clear()
"""


def test_many_triggers_run_the_work_once():
    ran, runs = threading.Event(), []

    def work():
        runs.append(1)
        ran.set()

    debouncer = Debouncer(work)
    for _ in range(5):
        debouncer.trigger()

    assert ran.wait(SECONDS)
    assert runs == [1]


def test_work_that_was_offloaded_may_trigger():
    done = subprocess.run(
        [sys.executable, "-c", OFFLOADED], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


STALLED = """
from gevent import monkey; monkey.patch_all()
import os, sys
import gevent
from pathlib import Path
from service.telemetry import metrics_counts, statistics

gate = monkey.get_original("threading", "Lock")()
gate.acquire()
opened, replace = [], os.replace

def stall(*files):  # as a file system does that writes for others
    opened.append(gate.acquire(timeout=60))
    gate.release()
    replace(*files)

os.replace = stall
folder = Path(sys.argv[1])
counts = metrics_counts.WrittenDict(str(folder / "counter_1.db"))
calls = statistics.CallStatistics(folder)
calls.record_success("m", 1, 1, statistics.Times(1, 1, 1, 1))
writers = [gevent.spawn(metrics_counts.write_counts), gevent.spawn(calls.write)]
gevent.sleep(0)
gate.release()  # the loop is free, or this comes too late
gevent.joinall(writers, raise_error=True)
assert opened == [True, True], opened
assert len(list(folder.iterdir())) == 2
"""


def test_files_of_counts_are_not_written_in_the_event_loop(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", STALLED, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
