"""Captured events: whole sessions, once each, in files of bounded size."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from service.app import open_capture
from service.engine import capture as capture_module
from service.settings import read_settings
from service.telemetry.capture_files import CaptureBounds, CaptureFiles
from service.telemetry.engine_metrics import CAPTURED_EVENTS, DROPPED_EVENTS
from service.telemetry.tallies import find_counter
from tests.fakes import FakeClock, counting_model
from tests.service import captures
from tests.service.captures import BOUNDS, SECRET, read, row, session
from tests.waiting import wait_until

folder = pytest.fixture(captures.folder)
capture = pytest.fixture(captures.capture)
engine = pytest.fixture(captures.engine)


def test_each_applied_event_is_a_line_with_its_place_in_the_session(
    predict, capture, folder
):
    predict(session("a", "red", "green"), session("b", "green"))
    predict(session("a", "green"))
    capture.stop()

    lines = read(folder)
    by_session = {}
    for line in lines:
        event = line["capture_step"], line["event"]
        by_session.setdefault(line["capture_session"], []).append(event)
    assert sorted(by_session.values(), key=len) == [
        [(1, "green")],
        [(1, "red"), (2, "green"), (3, "green")],
    ]
    assert {line["capture_version"] for line in lines} == {1}
    assert lines[0]["capture_time"] == "2023-11-14T22:13:20.000000"
    text = json.dumps(lines)
    assert "counting" not in text
    assert '"a"' not in text


def test_repeats_and_refused_rows_are_not_captured(predict, capture, folder):
    predict(session("a", "red", at=0))
    predict(session("a", "red", at=0))
    predict(session("a", "blue"))
    predict(session("a", "poison"))
    predict(session("a", "red", at=7))
    predict(["red"], {"sequence": ["red"], "memory": None})
    predict(session("a", "red"), verb="forecast")
    capture.stop()

    assert [line["event"] for line in read(folder)] == ["red"]


def test_a_restarted_session_has_another_pseudonym_of_the_same_beginning(
    predict, capture, folder, clock
):
    predict(session("a", "red", end=True))
    clock.advance(5)
    predict(session("a", "green", start=True))
    capture.stop()

    names = [line["capture_session"] for line in read(folder)]
    assert names[0] != names[1]
    assert names[0].partition("-")[0] == names[1].partition("-")[0]


def test_columns_and_all_dialects_are_captured(client, predict, capture, folder):
    names = [f"s{k}" for k in range(20)]
    predict(*[session(name, "red") for name in names])
    predict(*[session(name, "green") for name in names])  # as columns
    predict(session("s0", "green"), verb="explain")
    client.post(
        "/v2/models/counting/infer",
        json={
            "inputs": [
                {"name": "sequence", "datatype": "INT32", "shape": [1, 1], "data": [1]}
            ],
            "parameters": {"sequence_id": "s1"},
        },
    )
    stream = json.dumps(session("s2", "green")) + "\n"
    answer = client.post("/v1/models/counting:stream", data=stream)
    assert answer.status_code == 200
    assert answer.get_data()
    capture.stop()

    lines = read(folder)
    counts = {}
    for line in lines:
        counts.setdefault(line["capture_session"], []).append(line["event"])
    assert len(counts) == 20
    assert sorted(map(len, counts.values())) == [2] * 17 + [3] * 3
    assert all(events[:2] == ["red", "green"] for events in counts.values())
    assert all(events[2:] in ([], ["green"]) for events in counts.values())


@pytest.mark.parametrize("bound", ["QUEUED_ROWS", "QUEUED_EVENTS"])
def test_a_full_queue_drops_rows_and_counts_them(capture, folder, monkeypatch, bound):
    monkeypatch.setattr(capture_module, bound, 3)
    model = counting_model()
    before = [
        find_counter(c, "counting").number for c in (CAPTURED_EVENTS, DROPPED_EVENTS)
    ]

    for k in range(5):
        capture.add(row(model, "red", name=b"%d" % k))
    capture.write_queued()
    capture.add(row(model, "red", name=b"last"))
    capture.stop()

    after = [
        find_counter(c, "counting").number for c in (CAPTURED_EVENTS, DROPPED_EVENTS)
    ]
    assert [a - b for a, b in zip(after, before, strict=True)] == [4, 2]
    assert len(read(folder)) == 4


def test_files_are_completed_by_size_and_by_age_whatever_the_wall_clock_does(folder):
    clock = FakeClock()
    files = CaptureFiles(folder, CaptureBounds(100, 60.0, 10_000), clock)
    files.write("m", [b"x" * 39 + b"\n"] * 2)
    assert list((folder / "m").glob("*.jsonl")) == []

    files.write("m", [b"y" * 39 + b"\n"])

    (complete,) = (folder / "m").glob("*.jsonl")
    assert complete.read_bytes() == (b"x" * 39 + b"\n") * 2
    clock.advance(59)
    files.complete_old()
    assert len(list((folder / "m").glob("*.jsonl"))) == 1
    clock.advance(1)
    files.complete_old()
    assert len(list((folder / "m").glob("*.jsonl"))) == 2
    assert [p.name for p in (folder / "m").iterdir() if p.name[0] == "."] == []


def test_the_folder_is_bounded_and_the_oldest_files_are_deleted(folder):
    files = CaptureFiles(folder, CaptureBounds(100, 60.0, 500))
    for k in range(20):
        files.write("m", [b"%02d" % k + b"x" * 97 + b"\n"])
        os.utime(folder)
        size = sum(p.stat().st_size for p in (folder / "m").iterdir())
        assert size <= 500
        # Names have whole seconds: make them differ as files of hours do.
        files.complete_all()
        (newest,) = [p for p in (folder / "m").iterdir() if p.name[0] == "2"]
        newest.rename(folder / "m" / f"1{k:02d}.jsonl")

    kept = sorted(p.name for p in (folder / "m").iterdir())
    assert kept == ["115.jsonl", "116.jsonl", "117.jsonl", "118.jsonl", "119.jsonl"]


WRITER = """
import sys, time
from pathlib import Path
from service.telemetry.capture_files import CaptureBounds, CaptureFiles
files = CaptureFiles(Path(sys.argv[1]), CaptureBounds(1 << 20, 60.0, 1 << 24))
files.write("m", [b'{"n": 1}\\n'] * 3)
[partial] = Path(sys.argv[1]).glob("m/.*.partial")
with partial.open("ab") as file:
    file.write(b'{"n": 2')
print("written", flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_left_is_completed_to_its_last_whole_line(folder):
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        files = CaptureFiles(folder, BOUNDS)
        files.recover()  # the process lives: its file is its own
        assert list((folder / "m").glob("*.jsonl")) == []
        process.kill()

    files.recover()

    (complete,) = (folder / "m").glob("*.jsonl")
    assert complete.read_text() == '{"n": 1}\n' * 3
    assert len(list((folder / "m").iterdir())) == 1


def test_a_full_disk_costs_no_answer_and_leaves_whole_lines(
    predict, capture, folder, monkeypatch
):
    """The system's own write fails after a part, as it does where a disk fills."""
    predict(session("a", "red"))
    capture.write_queued()
    real, room = os.write, [30]

    def write(descriptor, content):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = min(room[0], len(content))
        room[0] -= taken
        return real(descriptor, content[:taken])

    lost = find_counter(DROPPED_EVENTS, "counting")
    before = lost.number
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        assert predict(session("a", "green")).status_code == 200
        capture.write_queued()
    assert lost.number == before + 1
    assert predict(session("a", "green")).status_code == 200
    capture.stop()

    assert [line["capture_step"] for line in read(folder)] == [1, 3]


def test_a_folder_that_is_deleted_is_begun_again_with_the_next_rows(folder, caplog):
    files = CaptureFiles(folder, BOUNDS)
    files.write("counting", [b'{"n": 1}\n'])
    shutil.rmtree(folder)
    files.write("counting", [b'{"n": 2}\n'])
    files.complete_all()

    assert read(folder) == [{"n": 2}]
    assert [r.message for r in caplog.records] == [
        "a file of captured events of counting was deleted"
    ]


def test_what_is_no_file_is_not_deleted_and_costs_no_event(folder):
    files = CaptureFiles(folder, CaptureBounds(100, 60.0, 300))
    (folder / "m" / "0.jsonl").mkdir(parents=True)
    os.mkfifo(folder / "m" / "1.jsonl")
    os.mkfifo(folder / "m" / ".2.jsonl.partial")
    (folder / "m" / "3.jsonl").symlink_to(folder / "m")
    files.recover()
    for _ in range(5):
        files.write("m", [b"x" * 99 + b"\n"])
        files.complete_all()

    names = {path.name for path in (folder / "m").iterdir()}
    assert {"0.jsonl", "1.jsonl", ".2.jsonl.partial", "3.jsonl"} < names
    assert len(names) == 4 + 3


@pytest.mark.parametrize("what", ["file", "link", "pipe"])
def test_an_unusable_folder_costs_no_answer(predict, capture, folder, what):
    if what == "file":
        folder.write_text("")
    elif what == "pipe":
        os.mkfifo(folder)
    else:
        folder.symlink_to("/proc/nowhere")
    lost = find_counter(DROPPED_EVENTS, "counting")
    before = lost.number

    assert predict(session("a", "red")).status_code == 200
    capture.write_queued()

    assert lost.number == before + 1
    folder.unlink()
    assert predict(session("b", "red")).status_code == 200
    capture.stop()
    assert len(read(folder)) == 1


def test_the_thread_writes_without_being_asked(capture, folder, predict):
    capture.start()
    predict(session("a", "red"))
    wait_until(lambda: list(folder.glob("counting/.*.partial")))
    capture.stop()

    assert len(read(folder)) == 1


def test_without_the_setting_nothing_is_captured():
    assert open_capture(read_settings({}), SECRET) is None
