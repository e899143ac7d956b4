"""Log lines that cannot be written cost no caller anything, and are counted."""

import contextlib
import logging
import os

import pytest

from service.telemetry.log_lines import MAX_WAITING, BufferedLines


def open_pipe():
    """Open the end of a pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def open_full_disk():
    """Open a file without room."""
    return open("/dev/full", "w")


@pytest.mark.parametrize("open_sink", [open_pipe, open_full_disk])
def test_lines_that_cannot_be_written_raise_nothing(open_sink, tmp_path):
    sink = open_sink()
    lines = BufferedLines(sink)
    for _ in range(2 * MAX_WAITING):
        lines.write(lambda: "a line")
    lines.flush()
    lines.emit(logging.LogRecord("a", logging.ERROR, "", 0, "a warning", (), None))

    with contextlib.suppress(OSError):
        sink.close()
    with (tmp_path / "log").open("w") as lines.stream:
        lines.write("the next")
        lines.flush()
    text = (tmp_path / "log").read_text()
    number = 2 * MAX_WAITING + 1
    assert text.startswith(f"{number} log lines were lost: ")
    assert text.endswith("\nthe next\n")


def test_a_line_that_fails_costs_no_other(tmp_path):
    def fail():
        raise TypeError("no text")

    with (tmp_path / "log").open("w") as stream:
        lines = BufferedLines(stream)
        lines.write("one")  # written at once
        for line in ("two", fail, "three"):
            lines.write(line)
        lines.flush()
    assert (tmp_path / "log").read_text().splitlines() == [
        "one",
        "1 log lines were lost: no text",
        "two",
        "three",
    ]
