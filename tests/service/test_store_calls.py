"""Budgets of store calls: however many rows a call has, it reads once and writes once.

Derived from the application's routes: a new one is counted as the others are. A call of
the store is a transaction of LMDB or a round trip to Redis.
"""

import json
from collections import Counter

import pytest

from service.api.v1.lines import Lines
from service.stores.in_process import InProcessStore
from tests.service.routes import BODIES, ROUTES_OF_APP, make_world, ways_of

# As many as a tick takes.
NUM_ROWS = 64
ROWS = {"fetch": 1, "commit": 1}
# To fork reads the session and what is in the place of its copy; a listing of a model
# that is not served looks whether it has sessions.
ANY = {"fetch": 2, "commit": 1, "scan": 2}


class CountingStore:
    """A store that counts its calls."""

    def __init__(self):
        self.clear()

    def clear(self):
        self._store, self.calls = InProcessStore(), Counter()

    def __getattr__(self, name):
        method = getattr(self._store, name)

        def counted(*arguments):
            self.calls[name] += 1
            return method(*arguments)

        return counted


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A service that keeps chains of tokens, which costs what sessions do or more."""
    folder = tmp_path_factory.mktemp("world")
    return make_world(folder, CountingStore(), has_chains=True)


@pytest.fixture
def batches(monkeypatch):
    """The batches in which a stream's lines came: how they do is for its threads."""
    taken, take = [], Lines.take

    def noted(lines):
        batch = take(lines)
        taken.extend([batch] if batch else [])
        return batch

    monkeypatch.setattr(Lines, "take", noted)
    return taken


def write_rows(endpoint, rows):
    """Write a body of many rows as the route of an endpoint takes them."""
    bodies = [BODIES[endpoint](**row) for row in rows]
    if "instances" in bodies[0]:
        own = [row for body in bodies for row in body["instances"]]
        return json.dumps({**bodies[0], "instances": own})
    if endpoint.startswith("stream."):
        return "\n".join(map(json.dumps, bodies))
    return None


def takes_rows(route):
    endpoint = route.values[0][0].endpoint
    return endpoint in BODIES and write_rows(endpoint, [{"session": "s"}]) is not None


WITH_ROWS = [route for route in ROUTES_OF_APP if takes_rows(route)]


def seal_memories(world):
    """Have a client hold memories; return its tokens."""
    body = {"instances": [{"sequence": ["red"], "memory": None}] * NUM_ROWS}
    answer = world.ways["flask"].post(
        "/v1/models/counting:predict", json=body, headers={"X-API-Key": "key-a"}
    )
    return [row["memory"] for row in answer.get_json()["predictions"]]


def exceeded(calls, budget, times=1):
    """Return the calls of the store beyond a budget."""
    return {k: n for k, n in calls.items() if n > budget.get(k, 0) * times}


def test_routes_with_rows_are_found():
    assert len(WITH_ROWS) >= 12  # predict, explain, forecast, stream; three addresses


@pytest.mark.parametrize("kind", ["new sessions", "sessions", "new memory", "tokens"])
@pytest.mark.parametrize("route", WITH_ROWS)
def test_rows_are_read_in_one_call_and_written_in_one(world, route, kind, batches):
    world.store.clear()
    names = [f"s-{k}" for k in range(NUM_ROWS)]
    rows = [{"session": name} for name in names]
    if kind == "sessions":
        for name in names:
            world.begin("acme", name)
    elif kind == "new memory":
        rows = [{"memory": None}] * NUM_ROWS
    elif kind == "tokens":
        rows = [{"memory": token} for token in seal_memories(world)]
    for way in ways_of(route):
        world.store.calls.clear()
        batches.clear()

        data = write_rows(route[0].endpoint, rows)
        answer = world.send(route, "acme", way=way, data=data)

        assert answer[0].startswith("200") or "new" in kind
        assert not exceeded(world.store.calls, ROWS, max(len(batches), 1))


@pytest.mark.parametrize("route", ROUTES_OF_APP)
def test_any_call_makes_few_calls_of_the_store(world, route):
    world.begin("acme", "s", events=2)
    for way in ways_of(route):
        for session in ("s", "never-seen"):
            world.store.calls.clear()

            world.send(route, "acme", session=session, way=way)

            assert not exceeded(world.store.calls, ANY)
