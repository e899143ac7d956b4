"""`POST /v1/models/{model}:stream`, in this process: lines in, lines out."""

import io
import json
import os
import queue
import threading
import time
from dataclasses import replace

import pytest
from werkzeug.test import EnvironBuilder

from service.api.tenants import load_tenants
from service.api.v1.lines import Lines
from service.app import create_app
from service.engine.job import Flow
from tests.fakes import FakeClock
from tests.keys import digest
from tests.problems import assert_problem, assert_problem_body
from tests.waiting import PATIENCE_SECONDS

PATH = "/v1/models/counting:stream"


def dump(*rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def row(*events, session="s", **options):
    return {"sequence": list(events), "session": session, **options}


@pytest.fixture
def stream(client):
    """POST lines, and return the answers."""

    def send(*rows, data=None, path=PATH, **options):
        data = dump(*rows) if data is None else data
        response = client.post(path, data=data, **options)
        assert response.status_code == 200, response.text
        assert response.mimetype == "application/x-ndjson"
        return [json.loads(line) for line in response.text.splitlines()]

    return send


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
            piece = self.lines.get(timeout=PATIENCE_SECONDS)
            if piece is None:
                raise OSError("connection reset")
            if not piece:
                break
            line += piece
        line, self._rest = line[:size], line[size:]
        return line


@pytest.fixture
def open_stream(client):
    """Begin a stream with lines still to come; end it after the test.

    Not through Flask's client, which waits for the first answer.
    """
    opened = []

    def begin(pipe, application=client.application, **headers):
        environ = EnvironBuilder(path=PATH, method="POST").get_environ() | headers
        environ |= {"wsgi.input": pipe, "wsgi.input_terminated": True}
        answers = application(environ, lambda status, headers: None)
        opened.append((answers, pipe))
        return answers, iter(answers)

    yield begin
    for answers, pipe in opened:
        pipe.write(b"")
        answers.close()


def readers():
    return [t for t in threading.enumerate() if "_read" in t.name]


def test_a_line_is_answered_before_the_next_one_is_sent(open_stream):
    pipe = Pipe()
    _, answers = open_stream(pipe)

    for step in range(1, 4):
        pipe.write(dump(row("red")))
        assert json.loads(next(answers))["step"] == step


def test_answers_are_those_of_requests_in_the_order_of_the_lines(stream, predict):
    events = ["red", "green", "green", "red", "red", "green", "red"]
    rows = [(name, event) for event in events for name in "abc"]

    streamed = stream(*[row(event, session=f"{name}") for name, event in rows])

    for answer, (name, event) in zip(streamed, rows, strict=True):
        (single,) = predict(row(event, session=f"{name}-single")).json["predictions"]
        assert answer.pop("session") == name
        single.pop("session")
        assert answer == single


def test_a_bare_row_answers_bare_values(stream, predict):
    (answer,) = stream(["red", "green"])

    assert answer == predict(["red", "green"]).json["predictions"][0]


def test_memory_the_client_holds_continues(stream):
    (first,) = stream({"sequence": ["red"], "memory": None})
    (second,) = stream({"sequence": ["green"], "memory": first["memory"]})

    assert second["step"] == 2


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"17", "invalid_request"),
        (b'{"sequence": ["red"], "sesion": "s"}', "unknown_field"),
        (b'["blue"]', "unknown_event"),
        (b"[]", "empty_sequence"),
        (b"[NaN]", "non_finite_input"),
        (b'["poison"]', "non_finite"),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else value,
)
def test_a_bad_line_is_answered_with_a_problem_and_the_stream_continues(
    stream, line, code
):
    good = dump(row("red"))

    first, bad, last = stream(data=good + line + b"\n" + good)

    assert_problem_body(bad, bad["status"], code)
    assert bad["line"] == 2
    assert "instances" not in bad["detail"]
    assert "the body is not" not in bad["detail"]
    assert (first["step"], last["step"]) == (1, 2)


@pytest.mark.parametrize("is_one_batch", [True, False], ids=["one batch", "batches"])
@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"sequence": ["red"], "session": "s"', "invalid_json"),
        (b'["red"' + b" " * 20_000 + b"]", "body_too_large"),
        (dump(row("red")).rstrip()[:-1] + b" " * 20_000 + b"}", "body_too_large"),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else value,
)
def test_no_line_is_applied_after_one_that_may_be_of_its_session(
    stream, open_stream, line, code, is_one_batch
):
    sent = [
        dump(row("red")),
        line + b"\n",
        dump(row("red")),
        dump(["red"]),
        dump(row("red", session="t")),
        dump(row("red", at=1)),
        dump(row("red")),
        dump(row("red", session="t", start=True)),
        line + b"\n",
        dump(row("red")),
    ]
    if is_one_batch:
        answers = stream(data=b"".join(sent))
    else:
        pipe = Pipe()
        _, answered = open_stream(pipe)
        answers = []
        for one in sent:
            pipe.write(one)
            answers.append(json.loads(next(answered)))

    bad = answers[1]
    assert_problem_body(bad, bad["status"], code)
    assert bad["line"] == 2
    held = "earlier_row_failed"
    shown = [
        a if isinstance(a, list) else a.get("code", a.get("step")) for a in answers
    ]
    assert shown == [1, code, held, [1, 0, 0], held, 2, 3, 1, code, held]


def test_a_wrong_control_of_a_sequence_holds_back_its_session(stream):
    wrong = {"sequence": ["red"], "sequence_id": [7], "sequence_control_input": [0, 1]}

    bad, held = stream(wrong, row("red", session="7"))

    assert (bad["code"], held["code"]) == ("invalid_request", "earlier_row_failed")


def test_blank_lines_are_ignored_and_counted(stream):
    good, bad = stream(data=b"\r\n" + dump(["red"]) + b"  \n{\n\n")

    assert good == [1.0, 0.0, 0.0]
    assert bad["line"] == 4


def test_the_last_line_needs_no_end(stream):
    answers = stream(data=dump(row("red")) + dump(row("red"))[:-1])

    assert [answer["step"] for answer in answers] == [1, 2]


def test_no_lines_are_no_answers(stream):
    assert stream(data=b"") == []


@pytest.mark.parametrize("ending", [[None], [b'{"sequence": ["red"], "ses', None]])
def test_a_line_that_broke_off_is_not_applied(open_stream, predict, ending):
    pipe = Pipe()
    _, answers = open_stream(pipe)
    pipe.write(dump(row("red")), *ending)

    first, broken = (json.loads(line) for line in b"".join(answers).splitlines())

    assert first["step"] == 1
    assert_problem_body(broken, 400, "invalid_request")
    assert broken["line"] == 2
    assert predict(row("red")).json["predictions"][0]["step"] == 2


def test_a_body_shorter_than_announced_is_broken(client):
    data = dump(row("red")) + dump(row("red"))[:-1]

    response = client.post(PATH, data=data, environ_overrides={"CONTENT_LENGTH": "500"})

    first, broken = map(json.loads, response.text.splitlines())
    assert first["step"] == 1
    assert "of 500 bytes" in broken["detail"]


def test_no_line_of_a_session_is_applied_after_one_that_failed(stream):
    answers = stream(
        row("red"), row("blue"), row("red"), row("red", session="other"), row("green")
    )

    assert [a.get("code", a.get("step")) for a in answers] == [
        1,
        "unknown_event",
        "earlier_row_failed",
        1,
        "earlier_row_failed",
    ]
    assert answers[2]["session"] == "s"


@pytest.mark.parametrize("is_one_batch", [True, False], ids=["one batch", "batches"])
def test_a_session_continues_where_a_line_says_so(open_stream, is_one_batch):
    pipe, found = Pipe(), []
    _, answers = open_stream(pipe)
    sent = [
        row("red"),
        row("poison"),
        row("red"),
        row("red", at=7),
        row("red"),
        row("green", at=1),
        row("red"),
        row("poison", session="t"),
        row("red", session="t", start=True),
        row("red", session="t"),
    ]

    if is_one_batch:
        pipe.write(*[dump(one) for one in sent], b"")
        found = b"".join(answers).splitlines()
    else:
        for one in sent:
            pipe.write(dump(one))
            found.append(next(answers))

    assert [a.get("code", a.get("step")) for a in map(json.loads, found)] == [
        1,
        "non_finite",
        "earlier_row_failed",
        "step_conflict",
        "earlier_row_failed",
        2,
        3,
        "non_finite",
        1,
        2,
    ]


def test_a_line_sent_again_with_its_step_is_answered_again(stream):
    first, again = stream(row("red", at=0), row("red", at=0))

    assert first == again


def test_the_query_says_what_a_body_says(stream):
    (answer,) = stream(
        row("red", "green"), path=f"{PATH}?return=all&top=1&threshold=0.6"
    )

    assert answer["probabilities"] == [[1, 0, 0], [0.5, 0.5, 0]]
    assert [top[0]["label"] for top in answer["top"]] == ["red", "red"]
    assert answer["decided"] == [["red"], []]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("return=some", "invalid_request"),
        ("top=0", "invalid_request"),
        ("top=x", "invalid_request"),
        ("threshold=2", "invalid_request"),
        ("tpo=1", "unknown_field"),
    ],
)
def test_a_wrong_query_is_refused(client, query, code):
    assert_problem(client.post(f"{PATH}?{query}"), 400, code)


def test_an_idempotency_key_is_refused(client):
    response = client.post(PATH, headers={"Idempotency-Key": '"k"'})

    body = assert_problem(response, 400, "invalid_request")
    assert "`at`" in body["detail"]


def test_a_model_that_is_not_served_is_refused(client):
    response = client.post("/v1/models/none:stream", data=dump(["red"]))

    assert_problem(response, 404, "model_not_found")


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
    held = json.loads(next(answers))
    pipe.write(dump(row("red", at=0)))
    resumed = json.loads(next(answers))

    assert_problem_body(crashed, 500, "internal")
    assert held["code"] == "earlier_row_failed"
    assert resumed["step"] == 1
    assert engine.advance(model, [], tenant="") == []


def test_lines_that_wait_are_one_batch(open_stream, model):
    pipe = Pipe()
    release = threading.Event()
    model.runtime.before_return = lambda: release.wait(PATIENCE_SECONDS)
    _, answers = open_stream(pipe)
    got = []
    taker = threading.Thread(target=lambda: got.extend(b"".join(answers).splitlines()))
    pipe.write(dump(row("red")))
    taker.start()
    pipe.write(*[dump(row("red", session=str(k))) for k in range(50)], b"")
    while pipe.lines.qsize():  # until all are read ahead
        taker.join(0.001)
    release.set()
    taker.join(PATIENCE_SECONDS)

    assert len(got) == 51
    assert model.runtime.calls < 6


def test_an_answer_that_is_not_taken_stops_the_reading(monkeypatch):
    monkeypatch.setattr("service.api.v1.lines.MAX_WAITING_LINES", 10)
    body = io.BytesIO(b"1\n" * 1000)
    lines = Lines(body, 100)
    lines.start()
    first = lines.take()
    while body.tell() < 2 * (len(first) + 10):
        time.sleep(0.001)
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
    model.runtime.before_return = lambda: release.wait(PATIENCE_SECONDS)
    _, answers = open_stream(pipe)
    got = []
    taker = threading.Thread(target=lambda: got.extend(b"".join(answers).splitlines()))
    pipe.write(dump(row("red")))
    taker.start()
    lines = [row("red"), row("nonsense", session="t"), row("red", session="t")]
    pipe.write(*map(dump, [*lines, row("red"), row("green", session="t")]), b"")
    while pipe.lines.qsize():  # until all are read ahead: the next batch
        taker.join(0.001)
    release.set()
    taker.join(PATIENCE_SECONDS)
    first, *answered = map(json.loads, got)

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
