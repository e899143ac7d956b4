"""Disk without room: the workers count alone, and no write ends a process."""

import os
import subprocess
import sys

import pytest

from benchmarks.chaos.faults import full_disk, small_disk
from tests.servers import ROOT

# What a worker writes: metrics, statistics and the chosen versions. Each is made on
# the full disk, or made before and grown there; then it is written to.
WORK = """
import sys
from pathlib import Path
from service.telemetry.metrics_counts import WrittenDict, counts_alone, write_counts
from service.registry.shared_choices import SharedChoices
from service.telemetry.statistics import CallStatistics, Times

folder = Path(sys.argv[1])
def prepare():
    return WrittenDict(str(folder / "counter_1.db"))

def work(counts):
    for number in range(3000):
        counts.write_value(f"a key that fills a page {number}", 1.0, 0.0)
    assert counts.read_value("a key that fills a page 2999")[0] == 1.0
    statistics = CallStatistics(folder)
    statistics.record_success("m", 1, 1, Times(1, 1, 1, 1))
    statistics.write()
    write_counts()
    assert counts_alone()  # and /metrics answers from memory
    choices = SharedChoices(folder, folder)
    choices.stamp()
    try:
        choices.add("m", "loaded", [1])
    except OSError as error:
        print("refused:", error.strerror)

if sys.argv[2] == "made before":
    counts = prepare()
    print("ready", flush=True)
    sys.stdin.readline()
    work(counts)
else:
    print("ready", flush=True)
    sys.stdin.readline()
    work(prepare())
print("done")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("when", ["made before", "made there"])
def test_counts_on_a_full_disk_end_no_process(tmp_path, when):
    folder = tmp_path / "disk"
    with small_disk(folder) as is_own:
        if not is_own:
            pytest.skip("a small file system cannot be mounted here")
        process = subprocess.Popen(
            [sys.executable, "-c", WORK, folder, when],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "ready\n"
        with full_disk(folder):
            out, err = process.communicate("go\n")

    assert process.returncode == 0, err
    assert out.splitlines()[-1] == "done"
    assert "refused: No space left on device" in out
    assert "this worker counts alone" in err
