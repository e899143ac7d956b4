"""Large bodies share a budget of bytes: by tenant, in order, and within a time."""

import gzip
import io
import threading

import pytest

from service.api import body, compression
from service.api.body import (
    LARGE_BYTES,
    SLOW_SECONDS,
    BodyBudget,
    read_body,
    release_body,
)
from service.app import build_services
from service.errors import BodyTooLarge, InvalidRequest, Overloaded
from service.server.connection import Body
from service.settings import read_settings
from tests.fakes import FakeClock
from tests.waiting import wait_until

MAX_BODY_BYTES = 3 * LARGE_BYTES
LARGE = bytes(LARGE_BYTES + 1)


def request(content, *, is_chunked=False):
    environ = {"wsgi.input": io.BytesIO(content), "wsgi.input_terminated": True}
    if not is_chunked:
        environ["CONTENT_LENGTH"] = str(len(content))
    return environ


def read(environ, budget, tenant=""):
    return read_body(environ, MAX_BODY_BYTES, budget, tenant)


@pytest.fixture
def budget():
    return BodyBudget(MAX_BODY_BYTES, timeout_seconds=0)


@pytest.fixture
def patient():
    return BodyBudget(MAX_BODY_BYTES, timeout_seconds=60)


def claim_in_thread(budget, tenant, num_bytes, done):
    def work():
        done.append((tenant, budget.claim(tenant, num_bytes)))

    num_waiting = budget.num_waiting
    thread = threading.Thread(target=work)
    thread.start()
    wait_until(
        lambda: budget.num_waiting != num_waiting or not thread.is_alive(), every=0.001
    )
    return thread


def test_small_body_needs_no_room(budget):
    budget.claim("", MAX_BODY_BYTES)

    assert read(request(b"small"), budget) == b"small"


@pytest.mark.parametrize("is_chunked", [False, True])
def test_large_body_has_its_room_until_it_is_released(budget, is_chunked):
    environ = request(LARGE, is_chunked=is_chunked)

    assert read(environ, budget) == LARGE
    assert budget.num_bytes == len(LARGE)

    release_body(environ)
    release_body(environ)
    assert budget.num_bytes == 0


@pytest.mark.parametrize("is_chunked", [False, True])
def test_large_body_without_room_is_refused_and_not_read(budget, is_chunked):
    budget.claim("", MAX_BODY_BYTES)
    environ = request(LARGE, is_chunked=is_chunked)

    with pytest.raises(Overloaded):
        read(environ, budget)

    assert environ["wsgi.input"].tell() <= LARGE_BYTES + 1
    assert budget.num_bytes == MAX_BODY_BYTES
    assert body.CLAIM not in environ


def test_body_longer_than_all_room_gets_all_of_it(budget):
    claim = budget.claim("", 10 * MAX_BODY_BYTES)

    assert budget.num_bytes == MAX_BODY_BYTES
    budget.release(claim)
    assert budget.num_bytes == 0


def test_chunked_body_that_is_too_long_is_refused(budget):
    with pytest.raises(BodyTooLarge):
        read(request(bytes(MAX_BODY_BYTES + 1), is_chunked=True), budget)


def test_room_of_a_body_that_breaks_off_is_released_too(budget):
    environ = request(LARGE)
    environ["CONTENT_LENGTH"] = str(len(LARGE) + 1)

    with pytest.raises(InvalidRequest):
        read(environ, budget)

    release_body(environ)
    assert budget.num_bytes == 0


def test_next_is_the_tenant_with_the_least_under_way(patient):
    first = patient.claim("greedy", LARGE_BYTES)
    second = patient.claim("greedy", LARGE_BYTES)
    third = patient.claim("greedy", LARGE_BYTES)
    done = []
    threads = [
        claim_in_thread(patient, "greedy", LARGE_BYTES, done),
        claim_in_thread(patient, "other", LARGE_BYTES, done),
    ]

    patient.release(first)
    threads[1].join(60)
    assert [tenant for tenant, _ in done] == ["other"]

    patient.release(second)
    threads[0].join(60)
    assert [tenant for tenant, _ in done] == ["other", "greedy"]

    for claim in (third, *(claim for _, claim in done)):
        patient.release(claim)
    assert patient.num_bytes == 0


def test_large_claim_is_not_passed_by_smaller_ones_of_its_tenant(patient):
    first = patient.claim("", LARGE_BYTES)
    done = []
    threads = [
        claim_in_thread(patient, "", MAX_BODY_BYTES, done),
        claim_in_thread(patient, "", 1, done),
    ]

    assert done == []
    patient.release(first)
    threads[0].join(60)
    assert [claim.num_bytes for _, claim in done] == [MAX_BODY_BYTES]
    patient.release(done[0][1])
    threads[1].join(60)


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(body, "LARGE_BYTES", 1)


@pytest.mark.usefixtures("all_are_large")
@pytest.mark.parametrize("verb", ["predict", "explain", "forecast"])
def test_every_way_in_gives_the_room_back(client, services, verb):
    content = b'{"instances": []}'

    answer = client.post(f"/v1/models/counting:{verb}", data=content)

    assert answer.status_code == 400
    assert services.bodies.num_bytes == 0


@pytest.mark.usefixtures("all_are_large")
def test_request_without_room_is_answered_503(client, services, monkeypatch):
    monkeypatch.setattr(services.bodies, "timeout_seconds", 0)
    services.bodies.claim("", services.bodies.max_bytes)

    answer = client.post("/v1/models/counting:predict", data=b"{}")

    assert (answer.status_code, answer.json["code"]) == (503, "overloaded")
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("path", ["", "/versions/1"])
def test_compressed_body_needs_room_for_what_it_becomes(
    client, services, monkeypatch, path
):
    monkeypatch.setattr(compression, "LARGE_BYTES", 1)
    monkeypatch.setattr(services.bodies, "timeout_seconds", 0)
    headers = {"Content-Encoding": "gzip"}
    other = services.bodies.claim("", services.bodies.max_bytes)

    def infer():
        address = f"/v2/models/counting{path}/infer"
        return client.post(address, data=gzip.compress(b"{}"), headers=headers)

    assert infer().status_code == 503

    services.bodies.release(other)
    assert infer().status_code == 400
    assert services.bodies.num_bytes == 0


def test_body_that_does_not_come_takes_no_room(budget):
    for content in (b"", bytes(LARGE_BYTES)):
        environ = request(content)
        environ["CONTENT_LENGTH"] = str(MAX_BODY_BYTES)
        with pytest.raises(InvalidRequest):
            read(environ, budget)

        assert body.CLAIM not in environ


def test_a_part_is_left_to_other_tenants():
    budget = BodyBudget(MAX_BODY_BYTES, timeout_seconds=0, tenant_bytes=2 * LARGE_BYTES)
    budget.claim("greedy", 2 * LARGE_BYTES)

    with pytest.raises(Overloaded):
        budget.claim("greedy", 1)
    budget.claim("other", LARGE_BYTES)


def test_one_body_may_be_longer_than_the_part_of_a_tenant():
    budget = BodyBudget(MAX_BODY_BYTES, timeout_seconds=0, tenant_bytes=LARGE_BYTES)

    budget.claim("", MAX_BODY_BYTES)


def test_keys_leave_room_for_one_body_to_other_tenants(tmp_path):
    keys = tmp_path / "keys"
    keys.touch()
    names = {"STATE": tmp_path, "MODELS": tmp_path, "MEMORY": "memory://", "WORKERS": 1}
    names |= {"TOKEN_KEY_FILE": tmp_path / "key", "API_KEYS_FILE": keys}
    settings = read_settings({f"CARRYOVER_{k}": str(v) for k, v in names.items()})

    bodies = build_services(settings).bodies

    assert bodies.tenant_bytes == bodies.max_bytes - settings.max_body_bytes


def test_slow_body_is_ended_while_another_waits():
    clock, ended = FakeClock(), []
    budget = BodyBudget(MAX_BODY_BYTES, timeout_seconds=60, clock=clock)
    here = budget.claim("a", LARGE_BYTES, lambda: ended.append("here"))
    budget.settle(here, LARGE_BYTES)
    slow = budget.claim("a", 2 * LARGE_BYTES, lambda: ended.append("slow"))

    clock.now += SLOW_SECONDS - 1
    budget.end_slow()
    assert ended == []

    clock.now += 1
    budget.end_slow()
    budget.end_slow()
    assert ended == ["slow"]

    budget.release(slow)
    budget.release(here)
    assert budget.num_bytes == 0


def test_whoever_waits_ends_what_is_slow(monkeypatch):
    monkeypatch.setattr(body, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(body, "SLOW_SECONDS", 0)
    budget = BodyBudget(MAX_BODY_BYTES, timeout_seconds=60)
    slow = []
    slow.append(budget.claim("a", MAX_BODY_BYTES, lambda: budget.release(slow[0])))

    assert budget.claim("b", MAX_BODY_BYTES).granted.is_set()


def test_server_can_end_a_body():
    # By this name, which is looked for on what the request is read from.
    assert callable(Body.stop)
