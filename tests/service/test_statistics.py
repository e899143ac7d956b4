"""Statistics of several workers are reported as one."""

import fcntl
import os
import shutil

import pytest

from service.common.runs import lock_folder
from service.telemetry.statistics import MAX_BATCH, CallStatistics, Times, add_ended


def test_counts_of_all_workers_are_added_up(tmp_path):
    one = CallStatistics(tmp_path)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # another worker of the same service: it has the same parent's folder
        os.close(reader)
        other = CallStatistics(tmp_path)
        other.record_success("m", 1, 3, Times(4, 1, 2, 3))
        other.write()
        os.write(writer, b"x")
        os._exit(0)
    os.read(reader, 1)
    os.waitpid(child, 0)

    one.record_success("m", 1, 2, Times(40, 10, 20, 30))
    one.record_failure("m", 1, 7)

    described = one.describe("m", 1)
    assert described["inference_stats"]["success"] == {"count": 2, "ns": 110}
    assert described["inference_stats"]["fail"] == {"count": 1, "ns": 7}
    assert described["inference_stats"]["queue"] == {"count": 2, "ns": 44}
    assert described["inference_stats"]["compute_infer"] == {"count": 2, "ns": 22}
    assert (described["inference_count"], described["execution_count"]) == (5, 2)
    assert described["batch_stats"] == [
        {
            "batch_size": size,
            "compute_input": {"count": 1, "ns": scale},
            "compute_infer": {"count": 1, "ns": 2 * scale},
            "compute_output": {"count": 1, "ns": 3 * scale},
        }
        for size, scale in ((2, 10), (3, 1))
    ]


def test_versions_and_models_are_counted_apart(tmp_path):
    statistics = CallStatistics(tmp_path)

    statistics.record_success("a/b", 1, 1, Times(1, 1, 1, 1))

    assert statistics.describe("a/b", 1)["inference_count"] == 1
    assert statistics.describe("a/b", 11)["inference_count"] == 0
    assert statistics.describe("a", 1)["inference_count"] == 0


def test_batches_beyond_the_largest_are_counted_with_it():
    statistics = CallStatistics()

    statistics.record_success("m", 1, MAX_BATCH + 5, Times(1, 1, 1, 1))

    described = statistics.describe("m", 1)
    assert described["inference_count"] == MAX_BATCH + 5
    assert described["batch_stats"][0]["batch_size"] == MAX_BATCH


def test_time_of_the_last_call_is_the_latest(tmp_path):
    statistics = CallStatistics(tmp_path)

    statistics.record_success("m", 1, 1, Times(1, 1, 1, 1))
    first = statistics.describe("m", 1)["last_inference"]
    statistics.record_success("m", 1, 1, Times(1, 1, 1, 1))

    assert statistics.describe("m", 1)["last_inference"] - first < 60_000


def test_a_name_like_another_version_is_counted_apart(tmp_path):
    statistics = CallStatistics(tmp_path)

    statistics.record_success("taxi-1", 1, 3, Times(1, 1, 1, 1))

    assert statistics.describe("taxi", 1)["inference_count"] == 0
    assert statistics.describe("taxi-1", 1)["inference_count"] == 3


def test_ended_workers_leave_their_counts_and_no_file_each(tmp_path):
    for pid in (11, 12, 13):
        statistics = CallStatistics(tmp_path)
        statistics.record_success("m", 1, pid, Times(1, 1, 1, 1))
        statistics.write()
        (tmp_path / f"m@1@{os.getpid()}").rename(tmp_path / f"m@1@{pid}")

        add_ended(tmp_path, living=[13])

    assert CallStatistics(tmp_path).describe("m", 1)["inference_count"] == 36
    assert {file.name for file in tmp_path.iterdir()} == {"m@1@ended", "m@1@13"}


def test_counts_that_are_being_read_are_added_later(tmp_path):
    statistics = CallStatistics(tmp_path)
    statistics.record_success("m", 1, 7, Times(1, 1, 1, 1))
    statistics.write()

    with lock_folder(tmp_path, fcntl.LOCK_SH):
        add_ended(tmp_path, living=[])
        assert [file.name for file in tmp_path.iterdir()] == [f"m@1@{os.getpid()}"]
    add_ended(tmp_path, living=[])

    assert [file.name for file in tmp_path.iterdir()] == ["m@1@ended"]
    assert CallStatistics(tmp_path).describe("m", 1)["inference_count"] == 7


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: os.truncate(file, 0),
        lambda file: file.unlink(),
        lambda file: shutil.rmtree(file.parent),
    ],
    ids=["emptied", "removed", "folder removed"],
)
def test_harm_to_the_file_of_counts_is_repaired(tmp_path, harm):
    statistics = CallStatistics(tmp_path / "statistics")
    for _ in range(2):
        statistics.record_success("m", 1, 7, Times(1, 1, 1, 1))
        assert statistics.describe("m", 1)["inference_count"]
        harm(tmp_path / "statistics" / f"m@1@{os.getpid()}")

    assert statistics.describe("m", 1)["inference_count"] == 14
