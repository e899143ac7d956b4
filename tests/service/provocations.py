"""Requests that provoke each error of the service."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import msgspec
import orjson
from flask import Response

from service.api.limiter import Limiter, Windows
from service.engine.job import Flow
from service.errors import CarryoverError, StoreUnavailable
from service.registry.artifact import MANIFEST
from service.registry.catalog import Catalog, load_model
from service.registry.model_repository import Repository
from service.sessions.record import SessionKey
from service.sessions.tokens.cipher import TokenCipher
from service.stores.base import Put
from service.stores.in_process import InProcessStore
from tests import assembly
from tests.assembly import SECRET, build_engine
from tests.fakes import counting_model
from tests.keys import NO_KEYS, keyed

PREDICT = "/v1/models/counting:predict"
SETTINGS = {
    "CARRYOVER_MAX_ROWS": "20",
    "CARRYOVER_MAX_BODY_BYTES": "20000",
    "CARRYOVER_MAX_EXPLAINED_EVENTS": "10",
}


class FaultyStore(InProcessStore):
    """A store that fails when a test says so."""

    def __init__(self):
        super().__init__()
        self.fail = lambda: None

    def fetch(self, keys):
        if isinstance(self.fail(), StoreUnavailable):
            raise self.fail()
        return super().fetch(keys)

    def commit(self, puts):
        if isinstance(self.fail(), CarryoverError):
            raise self.fail()
        if self.fail() == "lose":
            return [False] * len(puts)
        return super().commit(puts)


class World:
    """A service, and the parts of it that can be made to fail."""

    def __init__(self, clock, model, folder):
        self.clock, self.store, self.folder = clock, FaultyStore(), folder
        self.serve(model)

    def serve(self, model, settings=SETTINGS, tenants=NO_KEYS, limiter=None, **limits):
        """Serve a model over the same memory."""
        self.model = model
        seal = TokenCipher([SECRET], has_chains=True)
        self.engine = build_engine(self.clock, store=self.store, seal=seal, **limits)
        catalog, load = Catalog([model]), partial(load_model, max_events=50)
        repository = Repository(catalog, self.folder, load, state=self.folder / "state")
        self.client = assembly.serve(
            catalog,
            settings=settings,
            engine=self.engine,
            tenants=tenants,
            repository=repository,
            limiter=limiter,
        )

    def rows(self, *instances, verb="predict", **body):
        body = {"instances": list(instances), **body}
        return self.client.post(f"/v1/models/counting:{verb}", json=body)

    def row(self, **fields):
        return self.rows({"sequence": ["red"], "session": "s", **fields})

    def send(self, data):
        return self.client.post(PREDICT, data=data)

    def get(self, path, method="GET"):
        return self.client.open(path, method=method)


def crash(world):
    world.model.runtime.run = None
    return world.rows(["red"])


def expire(world):
    world.row()
    world.clock.advance(100)
    return world.row()


def expire_token(world):
    answer = world.rows({"sequence": ["red"], "memory": None}).get_json()
    world.clock.advance(50)
    return world.rows(
        {"sequence": ["red"], "memory": answer["predictions"][0]["memory"]}
    )


def overload(world):
    world.serve(world.model, max_queued_rows=2)
    world.engine.admission.enter(Flow("", 2, 2), 60)
    return world.rows(["red"], ["red"])


def never_fit(world):
    world.serve(world.model, max_queued_rows=1)
    return world.rows(["red"], ["red"])


def run_out_of_time(world):
    world.serve(world.model, timeout_seconds=1e-9)
    return world.rows(["red"])


def replace_network(world):
    world.row()
    world.serve(counting_model(version=2, network="cd" * 32))
    return world.row()


def corrupt(world):
    world.row()
    key = SessionKey("", "counting", "s").encode()
    (entry,) = world.store.fetch([key])
    value = entry.value[:-1] + bytes([entry.value[-1] ^ 1])
    world.store.commit([Put(key, entry.version, value, 1e12)])
    return world.row()


def fail_with(fault):
    def provoke(world):
        world.store.fail = lambda: fault
        return world.row()

    return provoke


def repeat(row):
    def provoke(world):
        world.row()
        return world.row(**row)

    return provoke


def hold_back(world):
    first, second = world.rows(
        {"sequence": ["red"], "session": "s", "at": 9},
        {"sequence": ["red"], "session": "s"},
    ).get_json()["rows"]
    assert first["code"] == "step_conflict"
    return problem_answer(second)


def problem_answer(body):
    """Give a row's problem document the form of an answer of its own."""
    data = orjson.dumps(body)
    return Response(data, body["status"], mimetype="application/problem+json")


def send_under_key(world, *sequences):
    rows = [{"sequence": sequence, "session": "s"} for sequence in sequences]
    headers = {"Idempotency-Key": '"k"'}
    return world.client.post(PREDICT, json={"instances": rows}, headers=headers)


def reuse_key(world):
    send_under_key(world, ["red"])
    return send_under_key(world, ["green"])


def ask_for_too_many_answers(world):
    answer = send_under_key(world, *[["red"]] * 9).get_json()
    return problem_answer(answer["predictions"][8])


def repeat_early(world):
    early = []

    def repeat():
        world.model.runtime.before_return = lambda: None
        early.append(send_under_key(world, ["red"]))

    world.model.runtime.before_return = repeat
    send_under_key(world, ["red"])
    return early[0]


def forecast(world):
    body = {"instances": [["red"]], "horizon": 1}
    return world.client.post("/v1/models/counting:forecast", json=body)


def go_on_with_no_sequence(world):
    tensor = {"name": "sequence", "datatype": "BYTES", "shape": [1, 1], "data": ["red"]}
    body = {"inputs": [tensor], "parameters": {"sequence_id": 42}}
    return world.client.post("/v2/models/counting/infer", json=body)


def send_too_many(world):
    world.serve(world.model, limiter=Limiter(Windows("1/hour", {}, "memory://"), 0))
    world.row()
    return world.row()


def send_too_many_at_once(world):
    limiter = Limiter(None, 1)
    limiter.begin({}, "")
    world.serve(world.model, limiter=limiter)
    return world.row()


def run_late(world):
    world.serve(world.model, {"CARRYOVER_REQUEST_TIMEOUT_SECONDS": "1e-9"})
    return world.row()


def load_damaged(world):
    manifest = world.folder / "broken" / "1" / MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    return world.client.post("/v2/repository/models/broken/load")


def take_token(world):
    answer = world.rows({"sequence": ["red"], "memory": None}).get_json()
    return {"sequence": ["red"], "memory": answer["predictions"][0]["memory"]}


def send_to_another_model(world):
    row = take_token(world)
    manifest = msgspec.structs.replace(world.model.manifest, name="other")
    world.serve(replace(world.model, manifest=manifest))
    return world.client.post("/v1/models/other:predict", json={"instances": [row]})


def send_an_old_token(world):
    row = take_token(world)
    world.rows(row)
    return world.rows(row | {"sequence": ["green"]})


def change(verb, **fields):
    def provoke(world):
        world.row()
        headers = fields.pop("headers", {})
        path = f"/v1/models/counting/sessions/s{verb}"
        method = "PUT" if verb == "/memory" else "POST"
        return world.client.open(path, method=method, json=fields, headers=headers)

    return provoke


def send_a_key_of_another_scope(world):
    world.serve(world.model, tenants=keyed(("acme", "key-a", {"sessions"})))
    return world.client.post(PREDICT, headers={"X-API-Key": "key-a"})


def send_without_a_key(world):
    world.serve(world.model, tenants=keyed())
    return world.row()
