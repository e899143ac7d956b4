"""Streams that wait, break down, have no room or lose their client or their key."""

import io
import json
import os
import threading
import time
from dataclasses import replace

import pytest

from service.api.tenants import load_tenants
from service.api.v1.lines import Lines
from service.app import create_app
from service.engine.job import Flow
from tests.fakes import FakeClock
from tests.keys import digest
from tests.problems import assert_problem_body
from tests.service.streams import (
    PATH,
    Pipe,
    answer_together,
    dump,
    readers,
    row,
)
from tests.waiting import TIMEOUT_SECONDS, wait_until


def test_a_defect_fails_its_lines_and_leaves_no_hole(open_stream, services, model):
    pipe, engine = Pipe(), services.engine
    _, answers = open_stream(pipe)

    def break_down():
        model.runtime.before_return = lambda: None
        raise RuntimeError("a defect")

    model.runtime.before_return = break_down
    pipe.write(dump(row("red")))
    crashed = json.loads(next(answers))
    pipe.write(dump(row("red")))
    refused = json.loads(next(answers))
    pipe.write(dump(row("red", at=0)))
    resumed = json.loads(next(answers))

    assert_problem_body(crashed, 500, "internal")
    assert refused["code"] == "earlier_row_failed"
    assert resumed["step"] == 1
    assert engine.advance(model, [], tenant="") == []


def test_lines_that_wait_are_one_batch(open_stream, model):
    pipe = Pipe()
    release = threading.Event()
    model.runtime.before_return = lambda: release.wait(TIMEOUT_SECONDS)
    _, answers = open_stream(pipe)
    lines = [dump(row("red", session=str(k))) for k in range(50)]
    got = answer_together(pipe, answers, release, *lines)

    assert len(got) == 51
    assert model.runtime.calls < 6


def test_an_answer_that_is_not_taken_stops_the_reading(monkeypatch):
    monkeypatch.setattr("service.api.v1.lines.MAX_WAITING_LINES", 10)
    body = io.BytesIO(b"1\n" * 1000)
    lines = Lines(body, 100)
    lines.start()
    first = lines.take()
    wait_until(lambda: body.tell() >= 2 * (len(first) + 10), every=0.001)
    time.sleep(0.05)  # it would read on in this time

    assert body.tell() <= 2 * (len(first) + 11)
    lines.close()
    assert not readers()


def test_long_lines_wait_in_smaller_numbers(monkeypatch):
    monkeypatch.setattr("service.api.v1.lines.MAX_WAITING_BYTES", 1000)
    lines = Lines(io.BytesIO((b"x" * 399 + b"\n") * 50), 2000)
    lines.start()
    taken = []

    while batch := lines.take():
        taken.append(len(batch))

    assert sum(taken) == 50
    assert max(taken) <= 4


def test_a_client_that_is_gone_leaves_no_thread(open_stream):
    pipe = Pipe()
    response, answers = open_stream(pipe)
    pipe.write(dump(row("red")))
    next(answers)
    assert readers()

    pipe.write(None)
    response.close()

    assert not readers()


def test_a_stream_is_one_line_of_the_log_and_its_rows_are_counted(
    open_stream, client, caplog
):
    caplog.set_level("INFO", "service.api.access_log")

    def count():
        text = client.get("/metrics").text
        lines = [one for one in text.splitlines() if "carryover_rows_total{" in one]
        return sum(float(one.split()[-1]) for one in lines if "counting" in one)

    before, pipe = count(), Pipe()
    response, answers = open_stream(pipe)
    pipe.write(dump(["red"]), dump(["blue"]), b"")
    caplog.clear()
    b"".join(answers)
    assert not [r for r in caplog.records if ":stream" in r.message]
    response.close()

    (record,) = [r for r in caplog.records if ":stream" in r.message]
    assert (
        json.loads(record.message).items()
        >= {
            "rows": 2,
            "status": 200,
            "model": "counting",
        }.items()
    )
    assert count() == before + 2


def test_a_full_queue_slows_a_stream_and_fails_no_line(services, model):
    engine = services.engine
    engine.admission.max_rows, other = 1, Flow("", 1, 1)
    engine.admission.enter(other, 60)
    client = create_app(services).test_client()
    timer = threading.Timer(0.05, lambda: engine.admission.leave(other))
    timer.start()

    response = client.post(PATH, data=dump(row("red")))

    assert json.loads(response.data)["step"] == 1


IN_PARTS = pytest.mark.parametrize("between", [b"", b"not JSON\n"], ids=["", "pieces"])


class PassingTime:
    """Stands for `time` where a stream waits for room: a wait passes at once."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds

    def sleep(self, _):
        self.seconds += 10


@IN_PARTS
def test_part_without_room_leaves_the_others_their_answers(
    monkeypatch, services, model, between
):
    monkeypatch.setattr("service.api.v1.stream.time", PassingTime())
    entry = services.engine.admission
    entry.max_rows = 1  # a batch of more lines is handed over in parts

    def fill():
        model.runtime.before_return = lambda: None
        entry.max_rows = 10
        entry.enter(Flow("", 9, 9), 60)
        entry.max_rows = 1

    model.runtime.before_return = fill
    client = create_app(services).test_client()
    last = dump(row("blue", session="t"), row("red", session="u", at=0))

    response = client.post(PATH, data=dump(row("red")) + between + last)

    first, *others = map(json.loads, response.data.splitlines())
    assert first["step"] == 1
    assert not between or others.pop(0)["code"] == "invalid_json"
    assert [answer["code"] for answer in others] == ["unknown_event", "overloaded"]
    assert "this line was not applied" in others[-1]["detail"]


@IN_PARTS
def test_part_that_breaks_down_leaves_the_others_their_answers(
    monkeypatch, services, between
):
    advance = services.engine.advance
    services.engine.admission.max_rows = 1

    def break_down(model, rows, **options):
        if [row.session for row in rows] == ["t"]:
            raise RuntimeError("a defect")
        return advance(model, rows, **options)

    monkeypatch.setattr(services.engine, "advance", break_down)
    client = create_app(services).test_client()
    last = dump(row("red", session="t", at=0), row("red", at=1))

    response = client.post(PATH, data=dump(row("red")) + between + last)

    first, *others = map(json.loads, response.data.splitlines())
    assert first["step"] == 1
    assert not between or others.pop(0)["code"] == "invalid_json"
    broken, last_answer = others
    assert_problem_body(broken, 500, "internal")
    assert last_answer["step"] == 2


def test_batch_that_can_never_fit_is_split(open_stream, services, model):
    services.engine.admission.max_rows = 2
    pipe, release = Pipe(), threading.Event()
    model.runtime.before_return = lambda: release.wait(TIMEOUT_SECONDS)
    _, answers = open_stream(pipe)
    lines = [row("red"), row("nonsense", session="t"), row("red", session="t")]
    lines += [row("red"), row("green", session="t")]
    first, *answered = answer_together(pipe, answers, release, *map(dump, lines))

    assert first["step"] == 1
    assert [answer.get("step") for answer in answered] == [2, None, None, 3, None]
    codes = [answer.get("code") for answer in answered]
    # No line of a session is applied after one that failed, in any part.
    assert codes[1] == "unknown_event"
    assert codes[2] == codes[4] == "earlier_row_failed"
    assert services.engine.admission.num_rows == 0


def test_line_that_can_never_fit_fails_alone(services, model):
    services.engine.admission.max_rows = 0
    client = create_app(services).test_client()

    response = client.post(PATH, data=dump(row("red"), row("red", session="t")))

    answers = list(map(json.loads, response.data.splitlines()))
    assert [answer["code"] for answer in answers] == ["request_too_large"] * 2


@pytest.mark.parametrize("end", ["revoked", "expired", "another's"])
def test_a_key_that_is_no_longer_good_ends_its_open_stream(
    open_stream, services, tmp_path, end
):
    clock, file, key = FakeClock(), tmp_path / "api.keys", digest("key-a")
    file.write_text(f"acme: {key} expires=2023-11-15\n")
    os.utime(file, (0, 0))
    tenants = load_tenants(str(file), clock)
    application = create_app(replace(services, tenants=tenants))
    pipe = Pipe()
    _, answers = open_stream(pipe, application, HTTP_X_API_KEY="key-a")
    pipe.write(dump(row("red")))
    assert json.loads(next(answers))["step"] == 1

    if end == "expired":
        clock.advance(86_400)
    else:
        file.write_text("" if end == "revoked" else f"other: {key}\n")
        os.utime(file, (0, 0))
        clock.advance(1)
    pipe.write(dump(row("green")), b"")

    assert_problem_body(json.loads(next(answers)), 401, "unauthorized")
    assert list(answers) == []
    file.write_text(f"acme: {key}\n")
    os.utime(file, (0, 0))
    clock.advance(1)
    answer = application.test_client().post(
        "/v1/models/counting:predict",
        json={"instances": [row("red")]},
        headers={"X-API-Key": "key-a"},
    )
    assert answer.json["predictions"][0]["step"] == 2  # the refused line took none
