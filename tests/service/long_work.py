"""Works for long in several greenlets, and prints in which turns of the loop.

A program of its own: it patches its process. Prints a turn for each slice of each work,
one line a work; the second is killed while it waits, the last works once more then, and
counts in its line a failure in a thread.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import sys

import gevent

from service.common import loop

NUM_WORKS, NUM_SLICES = 4, 5
loop.SLICE_SECONDS = -1.0  # every slice is used up at once


def work(turns):
    with loop.Breaks(loop.SLICE_SECONDS) as breaks:
        for _ in range(NUM_SLICES):
            breaks.take()
            turns.append(gevent.get_hub().loop.iteration)


works = [[] for _ in range(NUM_WORKS)]
greenlets = [gevent.spawn(work, turns) for turns in works]
gevent.sleep(0)
greenlets[1].kill()
gevent.joinall(greenlets)
last = []
gevent.spawn(work, last).join()
try:
    loop.offload(int, "no number")
except ValueError as error:
    last.append(len(error.args))
sys.stdout.writelines(f"{' '.join(map(str, turns))}\n" for turns in (*works, last))
