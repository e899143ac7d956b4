from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from training.publish import list_versions, publish_version

ROOT = Path(__file__).parents[2]

# Publishes a version of two files, and stops to be killed at a step that it is given.
STALLING = """
import sys
from pathlib import Path
from training.publish import publish_version

folder, where = Path(sys.argv[1]), sys.argv[2]

def stall(step):
    if step == where:
        print("stalled", flush=True)
        sys.stdin.read()

def fill(path):
    path.mkdir()
    (path / "weights").write_text("half of")
    stall("fill")

def seal(path, number):
    (path / "number").write_text(str(number))
    stall("seal")

publish_version(folder, fill, seal)
"""


def fill(path):
    path.mkdir()
    (path / "weights").write_text("all of it")


def seal(path, number):
    (path / "number").write_text(str(number))


def stall_and(folder, where):
    """Start a process that is publishing and has come as far as `where`."""
    process = subprocess.Popen(
        [sys.executable, "-c", STALLING, str(folder), where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "stalled\n"
    return process


def test_first_version_is_1_and_the_next_one_above_the_highest(tmp_path):
    folder = tmp_path / "artifacts" / "nature"

    first = publish_version(folder, fill, seal)
    (folder / "9").mkdir()
    second = publish_version(folder, fill, seal)

    assert (first, second) == (folder / "1", folder / "10")
    assert (second / "number").read_text() == "10"
    assert (second / "weights").read_text() == "all of it"


def test_only_folders_named_by_a_number_are_versions(tmp_path):
    for name in ("1", "03", "2.partial", ".4.1.partial", "latest"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")

    assert list_versions(tmp_path) == [1]
    assert list_versions(tmp_path / "none") == []


@pytest.mark.parametrize("where", ["fill", "seal"])
def test_killed_publisher_leaves_no_version_and_is_cleaned_up_after(tmp_path, where):
    with stall_and(tmp_path, where) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert list_versions(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1
    assert publish_version(tmp_path, fill, seal) == tmp_path / "1"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_living_publisher_is_left_alone_and_takes_the_next_number(tmp_path):
    with stall_and(tmp_path, "seal") as process:
        mine = publish_version(tmp_path, fill, seal)
        process.communicate("")

    assert mine == tmp_path / "1"
    assert (tmp_path / "2" / "number").read_text() == "2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_failure_while_filling_leaves_nothing_behind(tmp_path):
    def fail(path):
        path.mkdir()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish_version(tmp_path, fail, seal)

    assert list(tmp_path.iterdir()) == []


def test_concurrent_publishers_never_share_a_number(tmp_path):
    num_threads, num_versions = 8, 5
    published = []

    def publish():
        for _ in range(num_versions):
            published.append(publish_version(tmp_path, fill, seal))

    threads = [threading.Thread(target=publish) for _ in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    total = num_threads * num_versions
    assert sorted(int(path.name) for path in published) == list(range(1, total + 1))
    assert all((path / "number").read_text() == path.name for path in published)
    assert len(os.listdir(tmp_path)) == total
