"""The short way past Flask answers, logs and counts as the long one does."""

import json

import pytest
from werkzeug.test import Client, EnvironBuilder

from service.api.fast_path import FastPath
from service.api.responses import answer_crash
from service.app import create_app
from service.telemetry import metrics
from tests.assembly import build_services
from tests.fakes import counting_model

PATH = "/v1/models/counting:predict"
ROUTE = "/v1/models/<model:name>:predict"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SETTINGS = {"CARRYOVER_MAX_ROWS": "5", "CARRYOVER_MAX_BODY_BYTES": "2000"}


def build(clock, models="artifacts"):
    """Services of their own store, so that both ways begin alike."""
    settings = {**SETTINGS, "CARRYOVER_MODELS": str(models)}
    return build_services([counting_model()], settings=settings, clock=clock)


@pytest.fixture
def both(clock):
    """A client of the short way with nothing behind it, and one of Flask's."""

    def refuse(environ, start_response):
        raise AssertionError(f"{environ['PATH_INFO']} went on to Flask")

    short = Client(FastPath(refuse, build(clock), answer_crash))
    return short, Client(create_app(build(clock)))


def send(client, data, headers=None, environ=None, path=PATH):
    builder = EnvironBuilder(
        path,
        method="POST",
        data=data,
        headers={"X-Request-Id": "same", **(headers or {})},
        content_type="application/json",
    )
    described = {**builder.get_environ(), **(environ or {})}
    environ = {k: v for k, v in described.items() if v is not None}
    return client.run_wsgi_app(environ, buffered=True)  # closes it, as a server does


def rows(*instances, **members):
    return json.dumps({"instances": list(instances), **members}).encode()


def status_of(answer):
    """The status without its phrase, which Flask writes in capitals."""
    return int(answer[1].split()[0])


SESSION = {"sequence": ["red", "green"], "session": "s"}
CHUNKED = {
    "HTTP_TRANSFER_ENCODING": "chunked",
    "wsgi.input_terminated": True,
    "CONTENT_LENGTH": None,
}


class BrokenBody:
    """A body with a lost connection, or with wrong chunks."""

    def read(self, size=-1):
        raise OSError("unexpected end of file")


REQUESTS = {
    "bare rows": [(rows(["red"], ["red", "green"]), {})],
    "a session": [(rows(SESSION), {}), (rows(SESSION), {})],
    "all timesteps": [(rows(["red", "green"], **{"return": "all"}), {})],
    "top": [(rows(["red"], top=2), {})],
    "a repeat": [(rows(SESSION), {"headers": {"Idempotency-Key": '"k"'}})] * 2,
    "a repeat by its step": [(rows({**SESSION, "at": 0}), {})] * 2,
    "another under the key": [
        (rows(SESSION), {"headers": {"Idempotency-Key": '"k"'}}),
        (rows({**SESSION, "top": 1}), {"headers": {"Idempotency-Key": '"k"'}}),
    ],
    "a bad key": [(rows(SESSION), {"headers": {"Idempotency-Key": '"'}})],
    "one bad row": [(rows(["red"], ["blue"]), {})],
    "bad rows": [(rows(["blue"], []), {})],
    "a bad row": [(rows(["blue"]), {})],
    "no number": [(rows(["poison"]), {})],
    "a step elsewhere": [(rows({**SESSION, "at": 9}), {})],
    "an ended session": [(rows({**SESSION, "end": True}), {}), (rows(SESSION), {})],
    "no JSON": [(b"{", {})],
    "no body": [(b"", {})],
    "no UTF-8": [(b'{"instances": [["\xff"]]}', {})],
    "no rows": [(rows(), {})],
    "too many rows": [(rows(*[["red"]] * 6), {})],
    "an unknown member": [(rows(["red"], tops=2), {})],
    "announced too long": [(b" " * 2001, {})],
    "too long in chunks": [(b" " * 2001, {"environ": CHUNKED})],
    "in chunks": [(rows(["red"]), {"environ": CHUNKED})],
    "too short": [(rows(["red"]), {"environ": {"CONTENT_LENGTH": "500"}})],
    "a bad length": [(rows(["red"]), {"environ": {"CONTENT_LENGTH": "ten"}})],
    "neither length nor chunks": [(rows(["red"]), {"environ": {"CONTENT_LENGTH": ""}})],
    "a lost connection": [
        (b"", {"environ": {"CONTENT_LENGTH": "10", "wsgi.input": BrokenBody()}})
    ],
    "a trace": [(rows(["red"]), {"headers": {"traceparent": TRACE}})],
    "a bad trace": [(rows(["red"]), {"headers": {"traceparent": "00-x"}})],
    "a query": [(rows(["red"]), {"environ": {"QUERY_STRING": "x=1"}})],
}


@pytest.mark.parametrize("calls", REQUESTS.values(), ids=REQUESTS.keys())
def test_both_ways_answer_the_same(both, calls):
    for data, options in calls:
        short, long = (send(client, data, **options) for client in both)

        assert status_of(short) == status_of(long)
        assert b"".join(short[0]) == b"".join(long[0])
        assert sorted(short[2]) == sorted(long[2])


BY_VERSION = {
    "/v1/models/counting/versions/1:predict": ROUTE.replace(
        ":predict", "/versions/<version:version>:predict"
    ),
    "/v1/models/counting/versions/0:predict": ROUTE.replace(
        ":predict", "/versions/<version:version>:predict"
    ),
    "/v1/models/counting/labels/stable:predict": ROUTE.replace(
        ":predict", "/labels/<label:label>:predict"
    ),
}


@pytest.mark.parametrize(("path", "route"), BY_VERSION.items())
def test_versions_and_labels_are_answered_the_same(
    clock, tmp_path, caplog, path, route
):
    (tmp_path / "counting").mkdir()
    (tmp_path / "counting" / "labels.json").write_text('{"stable": 1}')

    def refuse(environ, start_response):
        raise AssertionError(f"{environ['PATH_INFO']} went on to Flask")

    short = Client(FastPath(refuse, build(clock, tmp_path), answer_crash))
    long = Client(create_app(build(clock, tmp_path)))
    for _ in range(2):  # the second time the session's version is another step
        answers = [send(client, rows(SESSION), path=path) for client in (short, long)]
        assert [status_of(answer) for answer in answers] == [200, 200]
        assert b"".join(answers[0][0]) == b"".join(answers[1][0])
        assert sorted(answers[0][2]) == sorted(answers[1][2])
        lines = [
            log_of(client, caplog, rows(["red"]), path=path) for client in (short, long)
        ]
        assert lines[0] == lines[1]
        assert lines[0]["route"] == route


@pytest.mark.parametrize("given", ["", 'a"b c', "x" * 129, "a\u00e9"])
def test_an_id_that_is_invalid_is_replaced_on_both_ways(both, given):
    environ = {"HTTP_X_REQUEST_ID": given}

    for client in both:
        _, _, headers = send(client, rows(["red"]), environ=environ)

        assert len(headers["X-Request-Id"]) == 32
        assert headers["X-Request-Id"] != given


def log_of(client, caplog, *arguments, **options):
    caplog.clear()
    with caplog.at_level("INFO", logger="service.api.access_log"):
        send(client, *arguments, **options)
    (record,) = [r for r in caplog.records if r.name == "service.api.access_log"]
    line = json.loads(record.message)
    assert line.pop("milliseconds") >= 0
    assert line.pop("time")
    return line


@pytest.mark.parametrize("calls", REQUESTS.values(), ids=REQUESTS.keys())
def test_both_ways_write_the_same_line(both, caplog, calls):
    for data, options in calls:
        short, long = (log_of(c, caplog, data, **options) for c in both)

        assert short == long
        assert short["request_id"] == "same"
        assert short["route"] == ROUTE


def counts():
    """Every counter but seconds, by name and labels."""
    metrics.count_all()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in metrics.REGISTRY.collect()
        for sample in family.samples
        if family.name.startswith("carryover")
        and not sample.name.endswith(("_created", "_sum", "_bucket"))
    }


def counted(client, *arguments, **options):
    """Return what a request adds to the counters."""
    before = counts()
    send(client, *arguments, **options)
    after = counts()
    changes = {name: after[name] - before.get(name, 0) for name in after}
    return {name: change for name, change in changes.items() if change}


@pytest.mark.parametrize(
    "name", ["bare rows", "a session", "one bad row", "bad rows", "no JSON", "top"]
)
def test_both_ways_count_a_request_once(both, name):
    for data, options in REQUESTS[name]:
        short, long = (counted(client, data, **options) for client in both)

        assert short == long
        of_requests = {
            k: n for k, n in short.items() if k[0] == "carryover_requests_total"
        }
        assert list(of_requests.values()) == [1]
        ((_, labels),) = of_requests
        assert dict(labels)["route"] == ROUTE


def test_a_crash_is_answered_on_both_ways_without_its_details(clock, caplog):
    answers = []
    for is_short in (True, False):
        services = build(clock)

        def fail(*_, **__):
            raise RuntimeError("a secret")

        services.engine.advance = fail
        app = create_app(services).wsgi_app
        client = Client(FastPath(app, services, answer_crash) if is_short else app)
        answers.append(send(client, rows(["red"])))

    short, long = answers
    assert status_of(short) == status_of(long) == 500
    assert b"".join(short[0]) == b"".join(long[0])
    assert b"secret" not in b"".join(answers[0][0])
    assert "a secret" in caplog.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("OPTIONS", PATH),
        ("POST", "/v1/models/counting:explain"),
        ("POST", "/v1/models/counting/versions/2:predict"),
        ("POST", "/v1/models/none:predict"),
        ("POST", "/v1/models/a/b:predict"),
        ("POST", "/v1/models/counting:predict/"),
        ("GET", "/v1/models/counting"),
    ],
)
def test_everything_else_continues_to_flask(clock, method, path):
    services = build(clock)
    app = create_app(services).wsgi_app
    passed = []

    def note(environ, start_response):
        passed.append(environ["PATH_INFO"])
        return app(environ, start_response)

    Client(FastPath(note, services, answer_crash)).open(path, method=method)

    assert passed == [path]


def test_a_request_is_logged_once_when_its_answer_is_sent(both, caplog):
    environ = EnvironBuilder(PATH, method="POST", data=rows(["red"])).get_environ()
    with caplog.at_level("INFO", logger="service.api.access_log"):
        body = both[0].application(environ, lambda status, headers: None)
        assert b"predictions" in b"".join(body)
        assert not caplog.records

        body.close()

    assert len(caplog.records) == 1
