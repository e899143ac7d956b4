"""The harness's own clients: what they send, count and refuse."""

import json
import re
import shutil
import time
from itertools import pairwise

import pytest

from benchmarks.speed.open_loop import arrivals, run_open_loop
from benchmarks.speed.streams import SESSIONS_PER_STREAM, run_streams
from benchmarks.speed.wrk import LoadError, run_wrk, write_load
from tests.benchmarks.answering import answering, whole_answer

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SESSIONS = [[f"{name}-{visit}" for visit in (1, 2, 3)] for name in "abcd"]


def answer_lines(line):
    """Answer every line of a stream by a line, after the head."""

    def reply(data):
        head = STREAM_HEAD if data.startswith(b"POST") else b""
        lines = line * data.count(b"}\n")
        return head + (b"%x\r\n%s\r\n" % (len(lines), lines) if lines else b"")

    return reply


def bodies(seen):
    """Return what was posted, in order."""
    return re.findall(r"\r\n\r\n([a-d]-\d)", b"".join(seen).decode())


def test_stream_client_counts_every_answer():
    with answering(answer_lines(b'{"step":1}\n')) as (port, seen):
        rate = run_streams(port, "/v1/models/lstm:stream", seconds=0.2)

    lines = sum(data.count(b"}\n") for data in seen)
    assert 0 < rate * 0.2 <= lines
    assert lines % SESSIONS_PER_STREAM == 0


def test_stream_client_sends_rows_of_sessions():
    with answering(answer_lines(b'{"step":1}\n')) as (port, seen):
        run_streams(port, "/v1/models/lstm:stream", seconds=0.05)

    line = re.search(rb"\{.*?\}\n", b"".join(seen)).group()
    assert json.loads(line).keys() == {"sequence", "session"}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda _: whole_answer("404 Not Found", b"{}"), id="status"),
        pytest.param(answer_lines(b'{"error":"unknown"}\n'), id="line"),
    ],
)
def test_refused_stream_is_no_measurement(reply):
    with answering(reply) as (port, _), pytest.raises(LoadError):
        run_streams(port, "/v1/models/lstm:stream", seconds=0.2)


def test_arrivals_are_random_and_of_the_rate_asked_for():
    times = list(arrivals(rate=1000, seconds=4))
    gaps = [b - a for a, b in pairwise(times)]

    assert len(times) == pytest.approx(4000, rel=0.05)
    # Of a Poisson process as many gaps are below the mean as 1 - 1/e.
    assert sum(g < 1e-3 for g in gaps) / len(gaps) == pytest.approx(0.632, abs=0.03)


needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="a compiler of C is not installed"
)


@needs_compiler
def test_open_loop_answers_for_every_arrival():
    with answering(lambda _: whole_answer("200 OK", b"{}")) as (port, seen):
        run = run_open_loop(port, "/", SESSIONS, rate=200, connections=2, seconds=0.25)

    assert 0 < run.p50_seconds <= run.p99_seconds
    assert len(bodies(seen)) == len(arrivals(200, 0.25))


@needs_compiler
def test_open_loop_counts_from_when_a_request_was_due():
    def reply(_):
        time.sleep(0.02)  # one of two connections answers 50 a second
        return whole_answer("200 OK", b"{}")

    with answering(reply) as (port, _):
        run = run_open_loop(port, "/", SESSIONS, rate=200, connections=2, seconds=0.5)

    # As many wait as came beyond 100 a second: half a second's at the end.
    assert run.p99_seconds > 0.3


@needs_compiler
def test_open_loop_sends_a_session_its_visits_in_order():
    with answering(lambda _: whole_answer("200 OK", b"{}")) as (port, seen):
        run_open_loop(port, "/", SESSIONS, rate=200, connections=1, seconds=0.1)

    assert bodies(seen)[:6] == ["a-1", "b-1", "c-1", "d-1", "a-2", "b-2"]


@needs_compiler
def test_open_loop_refuses_errors():
    refusing = answering(lambda _: whole_answer("500 No", b"{}"))

    with refusing as (port, _), pytest.raises(LoadError):
        run_open_loop(port, "/", SESSIONS, rate=200, connections=1, seconds=0.1)


def test_sessions_of_a_load_have_as_many_visits(tmp_path):
    with pytest.raises(ValueError, match="visits"):
        write_load(tmp_path / "load", "/", [["a"], ["a", "b"]])


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_begins_sessions_with_their_first_visit_and_repeats_the_others(tmp_path):
    load = write_load(tmp_path / "load", "/", SESSIONS[:2], count_events=lambda _: 5)

    with answering(lambda _: whole_answer("200 OK", b"{}")) as (port, seen):
        run = run_wrk(port, load, connections=1, seconds=1)

    order = ["a-1", "b-1", "a-2", "b-2", "a-3", "b-3", "a-2", "b-2"]
    assert bodies(seen)[:8] == order
    assert run.events == pytest.approx(5 * run.requests, rel=0.01)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_refuses_errors(tmp_path):
    load = write_load(tmp_path / "load", "/", SESSIONS)

    refusing = answering(lambda _: whole_answer("400 Bad", b"{}"))

    with refusing as (port, _), pytest.raises(LoadError):
        run_wrk(port, load, connections=1, seconds=1)
