"""No answer shows one tenant another's session: whole responses are compared."""

import itertools
import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from service.app import create_app
from tests.fakes import CountingRuntime
from tests.keys import keyed
from tests.problems import assert_problem
from tests.service.test_session_list import PATH as SESSIONS

PREDICT = "/v1/models/counting:predict"
INFER = "/v2/models/counting/infer"
ACME, UMBRELLA = {"X-API-Key": "key-a"}, {"X-API-Key": "key-u"}
TENANTS = keyed(("acme", "key-a"), ("umbrella", "key-u"))
MEMORY = {"network": "ab" * 16, "step": 9, "memory": {"short_term_0": [9, 0, 0]}}


def row(session, **options):
    return {"instances": [{"sequence": ["red"], "session": session, **options}]}


def infer(**parameters):
    tensor = {"name": "sequence", "datatype": "BYTES", "shape": [1, 1], "data": ["red"]}
    return {"inputs": [tensor], "parameters": {"sequence_id": "{id}", **parameters}}


# Of every call, and of every way it can meet a session: method, address, headers, body.
CALLS = {
    "list": ("GET", SESSIONS, {}, None),
    "list prefix": ("GET", f"{SESSIONS}?prefix=the", {}, None),
    "list after": ("GET", f"{SESSIONS}?after=YQ&limit=1", {}, None),
    "show": ("GET", f"{SESSIONS}/{{id}}", {}, None),
    "show if": ("GET", f"{SESSIONS}/{{id}}", {"If-Match": "*"}, None),
    "head": ("HEAD", f"{SESSIONS}/{{id}}", {}, None),
    "delete": ("DELETE", f"{SESSIONS}/{{id}}", {}, None),
    "delete if": ("DELETE", f"{SESSIONS}/{{id}}", {"If-Match": "*"}, None),
    "fork": ("POST", f"{SESSIONS}/{{id}}:fork", {}, {"to": "other"}),
    "fork onto": ("POST", f"{SESSIONS}/mine:fork", {}, {"to": "{id}"}),
    "rewind": ("POST", f"{SESSIONS}/{{id}}:rewind", {}, {"to_step": 1}),
    "touch": ("POST", f"{SESSIONS}/{{id}}:touch", {}, {}),
    "export": ("GET", f"{SESSIONS}/{{id}}/memory", {}, None),
    "import": ("PUT", f"{SESSIONS}/{{id}}/memory", {}, MEMORY),
    "import if": ("PUT", f"{SESSIONS}/{{id}}/memory", {"If-Match": "*"}, MEMORY),
    "import new": ("PUT", f"{SESSIONS}/{{id}}/memory", {"If-None-Match": "*"}, MEMORY),
    "predict": ("POST", PREDICT, {}, row("{id}")),
    "predict at": ("POST", PREDICT, {}, row("{id}", at=1)),
    "predict at 0": ("POST", PREDICT, {}, row("{id}", at=0)),
    "predict start": ("POST", PREDICT, {}, row("{id}", start=True)),
    "predict end": ("POST", PREDICT, {}, row("{id}", end=True)),
    "predict key": ("POST", PREDICT, {"Idempotency-Key": '"k"'}, row("{id}")),
    "forecast": (
        "POST",
        "/v1/models/counting:forecast",
        {},
        row("{id}") | {"horizon": 2},
    ),
    "infer": ("POST", INFER, {}, infer()),
    "infer start": ("POST", INFER, {}, infer(sequence_start=True)),
    "infer end": ("POST", INFER, {}, infer(sequence_end=True)),
    "explain": ("POST", "/v1/models/counting:explain", {}, row("{id}")),
}


@pytest.fixture
def model(model):
    """The counting model, as one that can forecast."""
    output = model.manifest.output | {"kind": "next_event"}
    manifest = msgspec.structs.replace(model.manifest, output=output)
    return replace(model, manifest=manifest, runtime=SurprisedRuntime())


class SurprisedRuntime(CountingRuntime):
    """As models that can forecast have it: with a surprise for each event."""

    def run(self, signature, tensors):
        surprise = np.zeros(tensors["sequence"].shape, "float32")
        return super().run(signature, tensors) | {"surprise": surprise}


@pytest.fixture
def client(services):
    return create_app(replace(services, tenants=TENANTS)).test_client()


def send(client, call, headers):
    """Make a call and return the whole response, as bytes on the wire have it."""
    method, address, own, body = CALLS[call]
    data = None if body is None else json.dumps(body).replace("{id}", "theirs")
    response = client.open(
        address.replace("{id}", "theirs"),
        method=method,
        data=data,
        headers={**headers, **own, "X-Request-Id": "same"},
    )
    return response.status, sorted(response.headers), response.data


def live(client, store):
    client.post(PREDICT, json=row("theirs"), headers={**ACME, "Idempotency-Key": "k"})


def ended(client, store):
    client.post(PREDICT, json=row("theirs", end=True), headers=ACME)


def deleted(client, store):
    live(client, store)
    client.delete(f"{SESSIONS}/theirs", headers=ACME)


def corrupt(client, store):
    live(client, store)
    slots = store.slots
    for key, one in slots.items():
        if key.startswith(b"acme\0"):
            slots[key] = one._replace(entry=one.entry.replace(value=b"broken"))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "put", [live, ended, deleted, corrupt], ids=lambda f: f.__name__
)
def test_foreign_session_answers_as_one_never_seen(client, session_store, put, call):
    client.post(PREDICT, json=row("mine"), headers=UMBRELLA)
    store = session_store
    before = dict(store.slots)

    never_seen = send(client, call, UMBRELLA)
    store.slots = dict(before)
    put(client, store)
    foreign = send(client, call, UMBRELLA)

    assert foreign == never_seen


@pytest.mark.parametrize("call", CALLS)
def test_no_call_changes_a_foreign_session(client, session_store, call):
    client.post(PREDICT, json=row("mine"), headers=UMBRELLA)
    store = session_store
    live(client, store)
    theirs = {k: v for k, v in store.slots.items() if k.startswith(b"acme\0")}

    send(client, call, UMBRELLA)

    assert theirs == {k: v for k, v in store.slots.items() if k.startswith(b"acme\0")}


def test_tenants_have_sessions_of_the_same_id(client):
    for headers, events in [(ACME, 1), (UMBRELLA, 3)]:
        for _ in range(events):
            client.post(PREDICT, json=row("s"), headers=headers)

    steps = [
        client.get(f"{SESSIONS}/s", headers=headers).get_json()["step"]
        for headers in (ACME, UMBRELLA)
    ]
    assert steps == [1, 3]


def test_stored_answers_are_the_tenants_own(client):
    keyed = {"Idempotency-Key": '"k"'}
    answers = [
        client.post(PREDICT, json=row("s"), headers={**headers, **keyed})
        for headers in (ACME, UMBRELLA, ACME)
    ]

    replayed = [response.headers.get("Idempotency-Replayed") for response in answers]
    assert replayed == [None, None, "true"]


def test_token_of_another_tenant_answers_as_a_broken_one(client, clock):
    body = {"instances": [{"sequence": ["red"], "memory": None}]}
    answer = client.post(PREDICT, json=body, headers=ACME).get_json()
    token = answer["predictions"][0]["memory"]
    flipped = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]

    responses = []
    for seconds, sent in itertools.product((0, 1000), (token, flipped)):
        clock.advance(seconds)
        body["instances"][0]["memory"] = sent
        headers = {**UMBRELLA, "X-Request-Id": "same"}
        response = client.post(PREDICT, json=body, headers=headers)
        assert_problem(response, 400, "token_invalid")
        responses.append((response.status, sorted(response.headers), response.data))

    assert len({str(response) for response in responses}) == 1


def test_session_list_is_the_tenants_own(client):
    client.post(PREDICT, json=row("a"), headers=ACME)
    client.post(PREDICT, json=row("b"), headers=UMBRELLA)

    listed = client.get(SESSIONS, headers=UMBRELLA).get_json()["sessions"]

    assert [one["session"] for one in listed] == ["b"]


@pytest.mark.parametrize("call", CALLS)
def test_owner_is_answered_otherwise(client, session_store, call):
    """The calls above do meet the session: whom it belongs to sees that it is there."""
    client.post(PREDICT, json=row("mine"), headers=UMBRELLA)
    live(client, session_store)

    foreign, own = (send(client, call, headers) for headers in (UMBRELLA, ACME))

    assert own != foreign
