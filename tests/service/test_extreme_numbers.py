"""Extreme numbers in every field that takes one: no 500, and no step without an answer.

The fields are those of `/openapi.json`, and of what it leaves open: events, memory in
the open, data and parameters of tensors. A number that cannot be written into an answer
or a record must be refused when it is read; later it costs a step that was taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from service.api.v2.parameters import KINDS
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Retention
from service.stores.base import Put
from service.stores.in_process import InProcessStore
from tests.assembly import SECRET, build_app
from tests.fakes import FakeClock, counting_model
from tests.service.markov import markov_model

POWERS = [2**31, 2**53, 2**63, 2**64]
EXTREMES = [
    # Both sides of each limit: the last that fits, and the first that does not.
    *[limit - k for power in POWERS for limit in (power, -power) for k in (0, 1)],
    2**53 + 1,  # the first whole number that is no float64
    *[0, 1, -1, 10**30, -(10**400)],
    *[0.5, -0.0, 5e-324, 1e22, 3.4028235e38, 1.7e308, -1.7e308],
    *[float("inf"), float("nan")],
    "HUGE",  # 5,000 digits: Python refuses to read that many
]
DIGITS = "9" * 5000
LATER = 1e12  # the sessions are forgotten by the tests alone
ROWS = {
    "instances": [
        {"sequence": ["red"], "session": "s"},
        {"sequence": ["green"], "session": "innocent"},
    ]
}
MEMORY = {"network": "ab" * 16, "step": 3, "memory": {"short_term_0": [1.0, 2.0, 0.0]}}
TENSOR = {"name": "sequence", "datatype": "INT64", "shape": [1, 1], "data": [0]}
# By the end of an address: a body that is right, to put a number into.
BODIES: dict[str, Any] = {
    ":predict": ROWS,
    ":explain": ROWS,
    ":stream": {"sequence": ["red"], "session": "s"},
    ":forecast": {"instances": [{"session": "s"}], "horizon": 2},
    ":fork": {"to": "t"},
    ":rewind": {"to_step": 1},
    ":touch": {},
    "/memory": MEMORY,
    "/traffic": {
        "stable": 1,
        "canary": {"version": 2, "share": 0.1},
        "shadow": {"version": 3, "share": 0.1},
    },
    ":promote": {"version": 1},
    "/infer": {
        "inputs": [TENSOR],
        "outputs": [{"name": "probabilities"}],
        "parameters": {"sequence_id": 5},
    },
}
ROW_MEMORY = [("memory", "step"), ("memory", "memory", "short_term_0", 0)]
OPEN_ROW = [("sequence", 0), *ROW_MEMORY]
OPEN_ROWS = [("instances", 0, *path) for path in OPEN_ROW]
# What the document leaves open.
OPEN: dict[str, list[tuple[Any, ...]]] = {
    ":predict": OPEN_ROWS,
    ":explain": OPEN_ROWS,
    ":stream": OPEN_ROW,
    ":forecast": [("instances", 0, "sequence", 0), ("instances", 0, "at")],
    "/memory": [("memory", "short_term_0", 0), ("last_event",), ("model_version",)],
    "/infer": [("inputs", 0, "data", 0)],
}


@dataclass(frozen=True)
class Field:
    """A number's place in a request."""

    method: str
    address: str
    place: str  # path, query or body
    path: tuple[Any, ...]

    @property
    def end(self) -> str:
        """The end of the address, by which its body is found."""
        return next((end for end in BODIES if self.address.endswith(end)), "")

    def __str__(self) -> str:
        return f"{self.method} {self.address} {self.place} {self.path}"


class Service:
    """A service with sessions that can be looked at and forgotten."""

    def __init__(self) -> None:
        clock, self.store = FakeClock(), InProcessStore()
        app = build_app(
            [counting_model(), markov_model()],
            clock=clock,
            store=self.store,
            seal=TokenCipher([SECRET], plain="accept"),
            retention=Retention(snapshots=4),
        )
        app.testing = False  # a crash is a 500, as a client would see it
        self.client = app.test_client()
        for session in ("s", "5"):
            for model, event in (("counting", "red"), ("days", "wake")):
                row = {"sequence": [event], "session": session}
                path = f"/v1/models/{model}:predict"
                answer = self.client.post(path, json={"instances": [row]})
                assert answer.status_code == 200
        self.begun = self.look()

    def begin(self) -> None:
        """Store what the sessions that requests are for began with, and no more."""
        if self.look() == self.begun:
            return
        while self.store.forget(float("inf"), 1000):
            pass
        puts = [Put(key, 0, one.value, LATER) for key, one in self.begun.items()]
        assert all(self.store.commit(puts))
        assert self.look() == self.begun

    def look(self) -> dict[bytes, Any]:
        """Return all that is stored."""
        return dict(self.store.scan(b"", b"", 1000))


SERVICE = Service()


def walk(
    document: Any, schema: Any, path: tuple[Any, ...]
) -> Iterator[tuple[Any, ...]]:
    """Find the numbers of a schema; "*" stands for any name."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") in ("integer", "number"):
        yield path
    for part in schema.get("anyOf", []) + schema.get("oneOf", []):
        yield from walk(document, part, path)
    for name, part in schema.get("properties", {}).items():
        yield from walk(document, part, (*path, name))
    for key, name in (("items", 0), ("additionalProperties", "*")):
        if isinstance(schema.get(key), dict):
            yield from walk(document, schema[key], (*path, name))


def find_fields() -> list[Field]:
    """List the fields of all calls that take a number."""
    document, found = SERVICE.client.get("/openapi.json").get_json(), set()
    for address, calls in document["paths"].items():
        for method, call in calls.items():
            for taken in call.get("parameters", []):
                for _ in walk(document, taken["schema"], ()):
                    found.add(Field(method, address, taken["in"], (taken["name"],)))
            for content in call.get("requestBody", {}).get("content", {}).values():
                for path in walk(document, content.get("schema", {}), ()):
                    found |= {Field(method, address, "body", p) for p in expand(path)}
            end = Field(method, address, "", ()).end
            if "requestBody" in call:
                found |= {Field(method, address, "body", p) for p in OPEN.get(end, [])}
    return sorted(drop_aliases(found), key=str)


def drop_aliases(fields: set[Field]) -> list[Field]:
    """Keep one address of each body; a version or a label in it changes no body."""
    kept: dict[Any, Field] = {}
    for field in sorted(fields, key=lambda field: len(field.address)):
        is_body = field.place == "body" and field.end
        address = field.end if is_body else field.address
        kept.setdefault((field.method, address, field.place, field.path), field)
    return list(kept.values())


def expand(path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Put the names of the parameters of tensors for any name."""
    if "*" not in path:
        return [path]
    numbers = [name for name, kinds in KINDS.items() if {int, float} & {*kinds}]
    return [(*path[:-1], name) for name in numbers]


def put(body: Any, path: tuple[Any, ...], value: Any) -> None:
    """Put a number into a body, and what it needs beside it."""
    *parents, last = path
    at = body
    for name in parents:
        if isinstance(at, dict) and name not in at:
            at[name] = deepcopy(MEMORY) if name == "memory" else {}
            at.pop("session", None)
            if name == "sequence_id":
                at[name] = [0]
            if name == "sequence_control_input":
                at[name] = [0]
            if name == "sequence":
                at[name] = ["red"]
        at = at[name]
    if last in ("sequence_id", "sequence_control_input"):
        at.pop("session", None)
    if last == "seed":
        at["samples"] = 2
    at[last] = value


def send(field: Field, value: Any, key: str) -> Any:
    """Send a request with a number in a field of it."""
    model = "days" if field.end == ":forecast" else "counting"
    named = {"model": model, "version": "1", "id": "s", "label": "stable"}
    query, body = "", deepcopy(BODIES.get(field.end))
    if field.place == "path":
        named[field.path[0]] = quote(str(value))
    elif field.place == "query":
        query = f"?{field.path[0]}={quote(str(value))}"
    else:
        put(body, field.path, value)
    address = (field.address.format(**named) + query).replace("HUGE", DIGITS)
    headers = {} if field.end == ":stream" else {"Idempotency-Key": f'"{key}"'}
    text = "" if body is None else json.dumps(body).replace('"HUGE"', DIGITS)
    data = text.encode()
    kind = "application/json"
    if field.end == ":stream":
        data, kind = data + b"\n", "application/x-ndjson"
    return SERVICE.client.open(
        address, method=field.method, data=data, content_type=kind, headers=headers
    )


def read_rows(response: Any) -> list[Any]:
    """Return the answers to the rows of a request, or the answer as a whole."""
    if response.mimetype == "application/x-ndjson":
        return [json.loads(line) for line in response.data.splitlines()]
    body = response.get_json(silent=True)
    if isinstance(body, dict) and "predictions" in body:
        return list(body["predictions"])
    return [body]


@pytest.mark.parametrize("field", find_fields(), ids=str)
def test_extreme_number_is_answered_or_refused_and_takes_no_step_unseen(field):
    for value in EXTREMES:
        SERVICE.begin()
        before = SERVICE.look()
        response = send(field, value, "k")
        rows, after = read_rows(response), SERVICE.look()
        said = f"{value!r}: {response.status_code} {response.data[:300]!r}"

        statuses = [row.get("status", 200) for row in rows if isinstance(row, dict)]
        statuses.append(response.status_code)
        # 501 is what is not served by design: classify and regress.
        crashed = [s for s in statuses if s != "ready" and 500 <= int(s) != 501]
        assert not crashed, said
        changed = {key for key in after if after[key] != before.get(key)}
        if response.status_code >= 400:
            assert not changed, said
        elif field.end in (":predict", ":explain", ":stream"):
            refused = sum(isinstance(row, dict) and "code" in row for row in rows)
            bare = sum(isinstance(row, dict) and "memory" in row for row in rows)
            assert len(changed) + refused + bare == len(rows), said
        check_afterwards(field, value, response, said)
    read_sessions(str(field))


def check_afterwards(field: Field, value: Any, response: Any, said: str) -> None:
    """Repeat the request, and read what it left in the store."""
    after = SERVICE.look()
    if field.end in (":predict", ":explain", "/infer") and response.status_code < 400:
        again = send(field, value, "k")
        assert again.status_code == response.status_code, said
        assert '"code"' in response.text or SERVICE.look().keys() == after.keys()
    # What is stored as it was before reads as it did: once for all, at the end.
    if SERVICE.look() != SERVICE.begun:
        read_sessions(said)


def read_sessions(said: str) -> None:
    """Read and list the sessions that a request may have changed or begun."""
    for session in ("s", "5", "innocent", "t"):
        path = f"/v1/models/counting/sessions/{session}"
        assert SERVICE.client.get(path).status_code < 500, said
        assert SERVICE.client.get(f"{path}/memory").status_code < 500, said
    listed = SERVICE.client.get("/v1/models/counting/sessions")
    assert listed.status_code == 200, said


def test_every_call_with_numbers_in_its_body_is_tried():
    """A new call fails here until it has a body to put numbers into."""
    document = SERVICE.client.get("/openapi.json").get_json()
    without = [f for f in find_fields() if f.place == "body" and f.end not in BODIES]

    assert not without
    assert len(find_fields()) > 60
    assert len(document["paths"]) > 40
