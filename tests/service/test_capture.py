"""Captured events: whole sessions, once each, in files of bounded size."""

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from service.app import check_redacted, open_capture
from service.engine import capture as capture_module
from service.engine.capture import Capture, CapturedRow, CaptureOptions
from service.engine.captured_events import decode_record
from service.registry.catalog import Catalog
from service.settings import read_settings
from service.telemetry.capture_files import CaptureBounds, CaptureFiles
from service.telemetry.engine_metrics import CAPTURED_EVENTS, DROPPED_EVENTS
from service.telemetry.tallies import find_counter
from tests.assembly import build_engine
from tests.fakes import FakeClock, counting_model
from tests.waiting import wait_until

BOUNDS = CaptureBounds(1 << 20, 3600.0, 1 << 24)
SECRET = b"s" * 32


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "capture"


@pytest.fixture
def capture(folder):
    options = CaptureOptions({"counting": 1.0}, SECRET)
    return Capture(options, CaptureFiles(folder, BOUNDS))


@pytest.fixture
def engine(clock, capture):
    return build_engine(clock, capture=capture)


def read(folder, model="counting"):
    """Read the complete files."""
    files = sorted((folder / model).glob("*.jsonl")) if folder.exists() else []
    return [
        json.loads(line) for file in files for line in file.read_text().splitlines()
    ]


def session(name, *events, **more):
    return {"session": name, "sequence": list(events), **more}


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


def test_a_share_of_sessions_is_captured_whole_and_the_same_everywhere(folder):
    model = counting_model()

    def choose(share):
        options = CaptureOptions({"counting": share}, os.urandom(32))
        capture = Capture(options, CaptureFiles(folder, BOUNDS))
        return {k for k in range(4000) if capture.chooses(model, b"%d" % k)}

    tenth, again, half = choose(0.1), choose(0.1), choose(0.5)

    assert tenth == again
    assert tenth < half
    assert 300 < len(tenth) < 500
    assert 1800 < len(half) < 2200
    other = dataclasses.replace(
        model, manifest=type(model.manifest)(**{**fields(model.manifest), "name": "x"})
    )
    assert not Capture(
        CaptureOptions({"counting": 1.0}, SECRET), CaptureFiles(folder, BOUNDS)
    ).chooses(other, b"1")


def fields(manifest):
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


def row(model, *events, name=b"key", step=None):
    sequence = np.array([0] * len(events), np.int32)
    return CapturedRow(
        model, name, "acme", list(events), sequence, step or len(events), 1.0, 2.0
    )


def test_tenants_are_left_out_or_hashed_and_fields_redacted(folder):
    model = counting_model()
    files = CaptureFiles(folder, BOUNDS)
    plain = Capture(CaptureOptions({"counting": 1.0}, SECRET), files)
    named = Capture(
        CaptureOptions({"counting": 1.0}, SECRET, True, frozenset({"team"})), files
    )
    event = {"event": "red", "team": "blue", "amount": 3}

    (without,) = plain.describe(row(model, event))
    (hashed,) = named.describe(row(model, event))

    assert "capture_tenant" not in without
    assert without["team"] == "blue"
    assert "team" not in hashed
    assert hashed["amount"] == 3
    assert len(hashed["capture_tenant"]) == 16
    assert "acme" not in json.dumps(hashed)


FIELDS = [
    {"name": "Team", "type": "category", "vocabulary": ["red", "blue"]},
    {"name": "amount", "type": "number"},
    {"name": "place", "type": "vector", "size": 2},
    {"name": "capture_session", "type": "number"},
]


def record_model():
    return with_input(counting_model(), {"kind": "record", "fields": FIELDS})


def with_input(model, schema):
    manifest = msgspec.structs.replace(model.manifest, input=schema)
    return dataclasses.replace(model, manifest=manifest)


def describe(model, redacted, event=None, sequence=(0,)):
    """The columns of a captured event, written as the settings say."""
    given = {"CARRYOVER_CAPTURE": "counting=1", "CARRYOVER_CAPTURE_REDACT": redacted}
    capture = open_capture(read_settings(given), SECRET)
    events = None if event is None else [event]
    array = np.array([sequence], np.float32)
    [line] = capture.describe(
        CapturedRow(model, b"key", "acme", events, array, 1, 1.0, 2.0)
    )
    assert line["capture_session"].endswith("-3e8")  # a field never replaces it
    return {name for name in line if not name.startswith("capture_")}


@pytest.mark.parametrize("by_numbers", [False, True])
@pytest.mark.parametrize(
    ("redacted", "left"),
    [
        ("", {"Team", "amount", "place"}),
        ("team", {"amount", "place"}),
        (" TEAM , Amount,,", {"place"}),
        ("place", {"Team", "amount"}),
        ("tea,am", {"Team", "amount", "place"}),
        ("capture_session", {"Team", "amount", "place"}),
    ],
)
def test_fields_are_left_out_however_they_came(redacted, left, by_numbers):
    event = {"Team": "red", "amount": 2, "place": [1, 2], "capture_session": 7}
    sent = {"sequence": (0, 2, 1, 2, 7)} if by_numbers else {"event": event}

    assert describe(record_model(), redacted, **sent) == left


@pytest.mark.parametrize("redacted", ["event", "EVENT", "event_0,event_1"])
def test_names_and_numbers_of_events_are_left_out(redacted):
    numbers = with_input(counting_model(), {"kind": "vector", "size": 2})

    assert describe(numbers, redacted, [1.0, 2.0]) == set()
    assert describe(numbers, "", [1.0, 2.0]) == {"event_0", "event_1"}
    assert describe(numbers, "event_1", [1.0, 2.0]) == {"event_0"}
    if redacted != "event_0,event_1":
        assert describe(counting_model(), redacted, "red") == set()


def test_a_misspelt_field_is_warned_of_at_the_start(caplog):
    catalog = Catalog([record_model()])
    settings = {"CARRYOVER_CAPTURE": "counting=1,other=1"}
    for redacted in ("TEAM,amount", "", "taem,amount"):
        settings["CARRYOVER_CAPTURE_REDACT"] = redacted
        check_redacted(read_settings(settings), catalog)

    assert [record.getMessage() for record in caplog.records] == [
        "CARRYOVER_CAPTURE_REDACT names taem, which is no field of counting; nothing "
        "is left out for it"
    ]


def test_records_that_came_as_numbers_get_their_names_back():
    schema = [
        {"name": "what", "type": "category", "vocabulary": ["red", "green"]},
        {"name": "at", "type": "time"},
        {"name": "amount", "type": "number"},
        {"name": "missing", "type": "number"},
    ]

    record = decode_record(schema, [1.0, 19000.0, 3723.5, 2.5, float("nan")])

    assert record == {
        "what": "green",
        "at": "2022-01-08T01:02:03.500000",
        "amount": 2.5,
    }


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
files._open["m"].append(b'{"n": 2')
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
