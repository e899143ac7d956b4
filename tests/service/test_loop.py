"""Long works take turns: one slice of one work in a turn of the event loop."""

import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT

PROGRAM = Path(__file__).with_name("long_work.py")


def test_one_slice_of_one_work_runs_in_a_turn_of_the_loop():
    ran = subprocess.run(
        [sys.executable, str(PROGRAM)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, killed, third, fourth, later = (
        [int(turn) for turn in line.split()] for line in ran.stdout.splitlines()
    )

    assert later.pop() == 1  # a failure in a thread comes to its caller
    assert not ran.stderr  # and to nobody else
    assert not killed
    assert len(first) == len(third) == len(fourth) == len(later) == 5
    turns = first + third + fourth + later
    assert len(set(turns)) == len(turns)
    # They alternate: none is done before another has begun.
    assert max(first[0], third[0], fourth[0]) < min(first[-1], third[-1], fourth[-1])
