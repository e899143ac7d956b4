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
