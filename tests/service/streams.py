"""A stream's lines and its body for tests; the fixtures are those of conftest.py."""

import json
import queue
import threading

from tests.waiting import TIMEOUT_SECONDS

PATH = "/v1/models/counting:stream"


def dump(*rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def row(*events, session="s", **options):
    return {"sequence": list(events), "session": session, **options}


class Pipe:
    """A body that a test writes while it is read; `None` breaks it off."""

    def __init__(self):
        self.lines = queue.Queue()
        self._rest = b""  # of a line longer than was asked for

    def write(self, *written):
        for line in written:
            self.lines.put(line)

    def readline(self, size):
        line = self._rest
        while not line.endswith(b"\n") and len(line) < size:
            piece = self.lines.get(timeout=TIMEOUT_SECONDS)
            if piece is None:
                raise OSError("connection reset")
            if not piece:
                break
            line += piece
        line, self._rest = line[:size], line[size:]
        return line


def readers():
    return [t for t in threading.enumerate() if "_read" in t.name]


def answer_together(pipe, answers, release, *lines):
    """Return all answers: a row's, at which the network waits, and those of `lines`.

    Args:
        release: Event that the network waits for; set once all lines are read ahead.
    """
    got = []
    taker = threading.Thread(target=lambda: got.extend(b"".join(answers).splitlines()))
    pipe.write(dump(row("red")))
    taker.start()
    pipe.write(*lines, b"")
    while pipe.lines.qsize():
        taker.join(0.001)
    release.set()
    taker.join(TIMEOUT_SECONDS)
    return [json.loads(answer) for answer in got]
