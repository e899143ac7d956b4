"""Limits of tenants: refused beyond them, on every call and each way past Flask."""

import re
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from werkzeug.test import Client

from service.api.fast_path import ROUTES, FastPath
from service.api.hooks import find_access
from service.api.limiter import RETRY_SECONDS, Limiter, Windows, open_limiter
from service.api.responses import answer_crash
from service.app import create_app
from service.errors import RateLimited
from service.settings import read_settings
from service.telemetry.engine_metrics import UNCOUNTED_REQUESTS
from service.telemetry.tallies import find_counter
from tests.fakes import FakeClock
from tests.keys import keyed
from tests.problems import assert_problem
from tests.redis_servers import RedisServer
from tests.servers import ROOT

PREDICT = "/v1/models/counting:predict"
BODY = {"instances": [["red"]]}
ACME, OTHER = {"X-API-Key": "key-a"}, {"X-API-Key": "key-o"}
VALUES = {"name": "counting", "version": "1", "label": "stable", "session_id": "s"}


def serve(services, rate="", rates=(), at_once=0, scopes=("predict", "sessions")):
    tenants = keyed(("acme", "key-a", scopes), ("other", "key-o", scopes))
    windows = Windows(rate, dict(rates), "memory://") if rate or rates else None
    limited = replace(services, tenants=tenants, limiter=Limiter(windows, at_once))
    app = create_app(limited)
    app.wsgi_app = FastPath(app.wsgi_app, limited, answer_crash)
    return app, Client(app)


def refused_calls(app):
    """Method and address of each route of a tenant."""
    for rule in app.url_map.iter_rules():
        if find_access(app, rule.endpoint) in ("open", "admin"):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: VALUES.get(m[1], "1"), rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield method, path


def test_every_call_of_a_tenant_is_limited(services):
    app, client = serve(services, "1/hour")
    calls = list(refused_calls(app))
    assert len(calls) > len(ROUTES)
    assert client.get("/v1/models", headers=ACME).status_code == 200

    for method, path in calls:
        response = client.open(path, method=method, headers=ACME)

        assert_problem(response, 429, "rate_limited")
        assert 0 < int(response.headers["Retry-After"]) <= 3600
        assert response.headers["RateLimit-Remaining"] == "0"


def test_what_concerns_all_tenants_or_none_is_not_limited(services):
    _, client = serve(services, "1/hour", scopes=("admin",))
    for _ in range(3):
        assert client.get("/metrics", headers=ACME).status_code == 200
        assert client.get("/v2/health/live").status_code == 200


@pytest.mark.parametrize("path", [PREDICT, "/v1/models"], ids=["fast", "Flask"])
def test_answers_say_what_is_left_and_tenants_are_apart(services, path):
    _, client = serve(services, "2/minute", {"other": "5/minute"})
    method = "POST" if path == PREDICT else "GET"

    def call(headers):
        answer = client.open(path, method=method, json=BODY, headers=headers)
        left, limit, reset = (
            int(answer.headers[f"RateLimit-{name}"])
            for name in ("Remaining", "Limit", "Reset")
        )
        assert 0 < reset <= 60
        return answer.status_code, left, limit

    assert [call(ACME) for _ in range(3)] == [(200, 1, 2), (200, 0, 2), (429, 0, 2)]
    assert call(OTHER) == (200, 4, 5)


def test_refused_request_applies_nothing(services):
    _, client = serve(services, "1/hour")
    row = {"instances": [{"session": "s", "sequence": ["red"]}]}
    steps = [client.post(PREDICT, json=row, headers=ACME) for _ in range(2)]

    assert [answer.status_code for answer in steps] == [200, 429]
    stored = services.engine.sessions
    assert stored.count() == 1


@pytest.mark.parametrize("path", [PREDICT, "/v1/models/counting:explain"])
def test_requests_at_once_are_limited_and_give_their_places_back(services, model, path):
    _, client = serve(services, at_once=1)
    meanwhile = []

    def ask():
        model.runtime.before_return = lambda: None
        meanwhile.extend(
            client.get("/v1/models", headers=headers) for headers in (ACME, OTHER)
        )

    model.runtime.before_return = ask
    assert client.post(path, json=BODY, headers=ACME).status_code == 200
    assert_problem(meanwhile[0], 429, "too_many_at_once")
    assert meanwhile[1].status_code == 200
    # A place is given back whatever becomes of the request.
    for data in (b"{", b'{"instances": [["unknown"]]}'):
        assert client.post(path, data=data, headers=ACME).status_code == 400
    assert client.get("/v1/models", headers=ACME).status_code == 200


def test_crash_gives_its_place_back(services, model):
    _, client = serve(services, at_once=1)
    run, model.runtime.run = model.runtime.run, None
    for path in (PREDICT, "/v1/models/counting:explain"):
        assert client.post(path, json=BODY, headers=ACME).status_code == 500
    model.runtime.run = run

    assert client.post(PREDICT, json=BODY, headers=ACME).status_code == 200


def test_stream_keeps_its_place_until_it_ends(services):
    _, client = serve(services, at_once=1)
    line = b'{"sequence": ["red"], "session": "s"}\n'
    stream = client.post("/v1/models/counting:stream", data=line, headers=ACME)

    assert client.get("/v1/models", headers=ACME).status_code == 429

    assert stream.status_code == 200
    stream.close()
    assert client.get("/v1/models", headers=ACME).status_code == 200


def test_without_limits_nothing_is_counted_or_imported():
    settings = read_settings({})
    code = "import sys, service.app; sys.exit('limits' in sys.modules)"

    assert open_limiter(settings) is None
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120)
    assert done.returncode == 0


def test_settings_open_the_limiter_they_ask_for():
    environ = {
        "CARRYOVER_RATE_LIMITS": "acme=1/day",
        "CARRYOVER_CONCURRENCY_LIMIT": "7",
    }
    limiter = open_limiter(read_settings(environ))

    limiter.begin({}, "acme")
    with pytest.raises(RateLimited, match="at most 1"):
        limiter.begin({}, "acme")
    for _ in range(7):
        limiter.begin({}, "other")
    with pytest.raises(RateLimited, match="at most 7 at once"):
        limiter.begin({}, "other")


def count_in_threads(limiter, number):
    admitted = []

    def count():
        for _ in range(number):
            environ = {}
            try:
                limiter.begin(environ, "acme")
                admitted.append(1)
            except RateLimited:
                pass
            limiter.finish(environ)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(admitted)


def test_exactly_the_limit_is_admitted():
    limiter = Limiter(Windows("50/day", {}, "memory://"), 0)

    assert count_in_threads(limiter, 25) == 50


@pytest.mark.redis
@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_workers_that_share_a_redis_count_together(kind, caplog):
    clock, uncounted = FakeClock(), find_counter(UNCOUNTED_REQUESTS)
    server = RedisServer(kind)
    try:
        one, other = (
            Limiter(Windows("3/day", {}, server.url, clock), 0) for _ in range(2)
        )
        for limiter in (one, other, one):
            limiter.begin({}, "acme")
        with pytest.raises(RateLimited):
            other.begin({}, "acme")
    finally:
        server.stop()
    before = uncounted.number

    for _ in range(3):  # it does not answer: nothing is refused
        other.begin({}, "acme")

    assert uncounted.number == before + 3
    assert caplog.text.count("does not count them") == 1  # asked once
    clock.advance(RETRY_SECONDS)
    other.begin({}, "acme")
    assert caplog.text.count("does not count them") == 2
