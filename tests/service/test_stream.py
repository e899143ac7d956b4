"""`POST /v1/models/{model}:stream`, in this process: lines in, lines out."""

import json

import pytest

from tests.problems import assert_problem, assert_problem_body
from tests.service.streams import PATH, Pipe, dump, row


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
    blocked = "earlier_row_failed"
    shown = [
        a if isinstance(a, list) else a.get("code", a.get("step")) for a in answers
    ]
    assert shown == [1, code, blocked, [1, 0, 0], blocked, 2, 3, 1, code, blocked]


def test_a_wrong_control_of_a_sequence_holds_back_its_session(stream):
    wrong = {"sequence": ["red"], "sequence_id": [7], "sequence_control_input": [0, 1]}

    bad, blocked = stream(wrong, row("red", session="7"))

    assert (bad["code"], blocked["code"]) == ("invalid_request", "earlier_row_failed")


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
