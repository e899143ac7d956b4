"""Folders of captured events as one log: whole sessions, in the order of steps."""

import json
import os

import pytest

from training.data.event_log import Roles
from training.data.files import find_file, fingerprint_file
from training.data.log_reader import read_log
from training.errors import DataError

ROLES = Roles("capture_session", "event")


def line(session, step, event, second=0):
    return {
        "capture_session": session,
        "capture_step": step,
        "capture_time": f"2026-11-29T01:00:{second:02d}.000000",
        "event": event,
    }


def write(folder, name, *lines):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(each) + "\n" for each in lines))


def read(folder):
    log = read_log(folder, ROLES)
    names = [log.events.names[code] for code in log.events.codes]
    return {
        str(case): names[start:stop]
        for case, start, stop in zip(
            log.case_names, log.offsets, log.offsets[1:], strict=False
        )
    }


def test_only_files_of_a_folder_are_read(tmp_path):
    folder = tmp_path / "captured"
    write(folder, "1.jsonl", line("a", 1, "red"))
    os.mkfifo(folder / "2.jsonl")
    (folder / "3.jsonl").mkdir()

    assert read(folder) == {"a": ["red"]}


def test_sessions_in_files_of_several_workers_are_joined_by_step(tmp_path):
    folder = tmp_path / "[captured]*"
    write(folder, "b.jsonl", line("s", 2, "two", 1), line("later", 1, "x", 9))
    write(folder, "a.jsonl", line("s", 3, "three", 2), line("s", 1, "007", 0))

    assert read(folder) == {"s": ["007", "two", "three"], "later": ["x"]}
    assert list(read(folder)) == ["s", "later"]


def test_what_is_not_whole_is_cut(tmp_path):
    write(
        tmp_path,
        "a.jsonl",
        line("no beginning", 2, "x"),
        line("hole", 1, "a"),
        line("hole", 3, "c"),
        line("rewound", 1, "a", 0),
        line("rewound", 2, "old", 1),
        line("rewound", 2, "new", 5),
    )
    (tmp_path / ".b.jsonl.partial").write_text('{"capture_session": "unfinished')

    assert read(tmp_path) == {"hole": ["a"], "rewound": ["a", "new"]}


def test_a_clock_step_changes_no_order(tmp_path):
    write(tmp_path, "a.jsonl", line("s", 1, "a", 50), line("s", 2, "b", 10))

    assert read(tmp_path) == {"s": ["a", "b"]}


def test_another_file_makes_another_fingerprint(tmp_path):
    write(tmp_path, "a.jsonl", line("s", 1, "a"))
    before = fingerprint_file(tmp_path)
    write(tmp_path, "b.jsonl", line("t", 1, "a"))

    assert fingerprint_file(tmp_path) != before


def test_a_folder_without_whole_sessions_is_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder; expected a file"):
        find_file(tmp_path)
    write(tmp_path, "a.jsonl", line("s", 2, "b"))
    with pytest.raises(DataError, match="no session from its first event on"):
        read(tmp_path)
    (tmp_path / "b.jsonl").write_text("{\n")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)
