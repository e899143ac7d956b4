"""Every route x tenants: derived from the application, so that a new one is covered.

A route that needs scope `predict` or `sessions` must be shown here to meet a session of
its owner, and to answer a stranger as if there were none. A new route without a body in
`BODIES` answers both alike, and fails.
"""

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from service.api.fast_path import ROUTES, FastPath
from service.api.hooks import find_access
from service.api.openapi import OPERATIONS, PAGES
from service.api.responses import answer_crash
from service.app import create_app
from service.registry.catalog import Catalog
from service.registry.model_repository import Repository
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Retention
from service.stores.in_process import InProcessStore
from tests.assembly import SECRET, build_services
from tests.fakes import FakeClock, counting_model
from tests.keys import keyed
from tests.service.test_tenants_apart import SurprisedRuntime

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PREDICT = "/v1/models/counting:predict"
MEMORY = {"network": "ab" * 16, "step": 9, "memory": {"short_term_0": [9, 0, 0]}}
TENSOR = {"name": "sequence", "datatype": "BYTES", "shape": [1, 1], "data": ["red"]}


def rows(**options):
    return lambda **row: {"instances": [{"sequence": ["red"], **row}], **options}


def infer(**row):
    names = {"session": "sequence_id", "memory": "memory"}
    return {"inputs": [TENSOR], "parameters": {names[k]: row[k] for k in row}}


# By view: what a call sends, given a row's session or memory.
BODIES = {
    "predict.predict": rows(),
    "predict.explain": rows(),
    "forecast.forecast_rows": rows(horizon=2),
    "stream.stream": lambda **row: {"sequence": ["red"], **row},
    "v2.infer": infer,
    "session_changes.fork": lambda **row: {"to": "other"},
    "session_changes.rewind": lambda **row: {"to_step": 1},
    "session_changes.touch": lambda **row: {},
    "session_memory.import_": lambda **row: MEMORY,
}
KEYS = {"acme": "key-a", "umbrella": "key-u", "ops": "key-o"}
TENANTS = keyed(("acme", "key-a"), ("umbrella", "key-u"), ("ops", "key-o", {"admin"}))


class World:
    """A service with keys, and both ways into it."""

    def __init__(self, folder, store=None, *, has_chains=False):
        self.clock = FakeClock()
        self.store = store or InProcessStore()
        model = counting_model()
        output = model.manifest.output | {"kind": "next_event"}
        manifest = msgspec.structs.replace(model.manifest, output=output)
        model = replace(model, manifest=manifest, runtime=SurprisedRuntime())
        self.catalog = Catalog([model])
        self.folder = folder
        repository = Repository(self.catalog, folder, None, state=folder / "state")
        services = build_services(
            self.catalog,
            settings={"CARRYOVER_MODELS": str(folder)},
            tenants=TENANTS,
            repository=repository,
            clock=self.clock,
            store=self.store,
            seal=TokenCipher([SECRET], has_chains),
            retention=Retention(snapshots=4),
        )
        self.app = create_app(services)
        self.ways = {
            "flask": self.app.test_client(),
            "shortcut": Client(FastPath(self.app.wsgi_app, services, answer_crash)),
        }

    def send(
        self, route, tenant, session="s", way="flask", headers=(), data=None, **row
    ):
        """Make a route's call; the whole answer, as bytes on the wire have it."""
        rule, method = route
        values = {"name": "counting", "version": 1, "label": "stable"}
        values |= {"session": session, "filename": "index.html", "path": "index.html"}
        address = self.app.url_map.bind("").build(
            rule.endpoint, {k: values[k] for k in rule.arguments}, method
        )
        body = BODIES.get(rule.endpoint, dict)
        response = self.ways[way].open(
            fill(rule, values) or address,
            method=method,
            data=data or json.dumps(body(**(row or {"session": session}))),
            headers={
                "X-API-Key": KEYS.get(tenant, ""),
                "X-Request-Id": "same",
                **dict(headers),
            },
        )
        # Two calls may be on both sides of a second.
        headers = [pair for pair in response.headers if pair[0] != "Date"]
        return response.status, sorted(headers), response.data

    def begin(self, tenant, session="s", events=1):
        for _ in range(events):
            body = rows()(session=session)
            headers = {"X-API-Key": KEYS[tenant]}
            self.ways["flask"].post(PREDICT, json=body, headers=headers)

    def access(self, route):
        return find_access(self.app, route[0].endpoint)


def fill(rule, values):
    """Write the address of this very rule: `build` takes any of the endpoint's."""
    text = rule.rule
    for name in rule.arguments:
        at = text.index(f":{name}>") if f":{name}>" in text else text.index(f"<{name}>")
        begin = text.rindex("<", 0, at + 1)
        end = text.index(">", at) + 1
        text = text[:begin] + str(values[name]) + text[end:]
    return text


def make_world(folder, store=None, **options):
    (folder / "counting").mkdir(exist_ok=True, parents=True)
    (folder / "counting" / "labels.json").write_text('{"stable": 1}')
    (folder / "state").mkdir(exist_ok=True)
    return World(folder, store, **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three services; making one takes as long as a hundred calls."""
    return [make_world(tmp_path_factory.mktemp("world")) for _ in range(3)]


@pytest.fixture
def worlds(made):
    """The services, with nothing stored."""
    for world in made:
        world.store.slots.clear()
    return made


@pytest.fixture(scope="module")
def scoped(tmp_path_factory):
    """A service of which an admin may unload the model."""
    return make_world(tmp_path_factory.mktemp("scoped"))


@pytest.fixture
def world(worlds):
    return worlds[0]


def all_routes():
    """Every rule and method of the application, and the fast path's."""
    with tempfile.TemporaryDirectory() as folder:
        app = make_world(Path(folder)).app
    return [
        pytest.param((rule, method), id=f"{method} {rule.rule}")
        for rule in app.url_map.iter_rules()
        for method in METHODS
        if method in rule.methods
    ]


ROUTES_OF_APP = all_routes()
SHORT = set(ROUTES.values())


def ways_of(route):
    return ["flask", "shortcut"] if route[0].rule in SHORT else ["flask"]


def test_fast_path_has_no_route_of_its_own(world):
    rules = {rule.rule for rule in world.app.url_map.iter_rules()}

    assert rules >= SHORT


def test_every_address_is_built_when_asked_for(world):
    for rule in world.app.url_map.iter_rules():
        _, address = rule.build(dict.fromkeys(rule.arguments, 3))

        assert address == re.sub("<.*?>", "3", rule.rule)


@pytest.mark.parametrize("route", ROUTES_OF_APP)
def test_every_view_declares_what_a_key_needs(world, route):
    view = world.app.view_functions[route[0].endpoint]

    assert view in OPERATIONS or route[0].endpoint.startswith(PAGES)


@pytest.mark.parametrize("route", ROUTES_OF_APP)
def test_stranger_is_answered_as_if_there_were_no_session(worlds, route):
    empty, full, _ = worlds
    for way in ways_of(route):
        for world in (empty, full):
            world.store.slots.clear()
            world.begin("umbrella", "mine")
        full.begin("acme", "s", events=2)
        theirs = {k: v for k, v in full.store.slots.items() if k.startswith(b"acme")}

        foreign = full.send(route, "umbrella", way=way)

        assert foreign == empty.send(route, "umbrella", way=way)
        for key, value in theirs.items():
            assert full.store.slots[key] == value


@pytest.mark.parametrize("route", ROUTES_OF_APP)
def test_owner_of_a_session_sees_it_where_the_route_has_a_tenant(worlds, route):
    full, empty, _ = worlds
    for way in ways_of(route):
        empty.store.slots.clear()
        full.begin("acme", "s", events=2)

        own, never = (world.send(route, "acme", way=way) for world in (full, empty))

        has_tenant = full.access(route) in ("predict", "sessions")
        assert (own != never) == has_tenant, (own, never)


@pytest.mark.parametrize("route", ROUTES_OF_APP)
def test_call_without_a_key_is_refused_where_it_is_not_open(world, route):
    status = world.send(route, "nobody")[0]

    assert status.startswith("401") == (world.access(route) != "open")


@pytest.mark.parametrize("route", ROUTES_OF_APP)
def test_call_of_another_scope_is_refused(world, scoped, route):
    access = world.access(route)

    for way in ways_of(route):
        usual = world.send(route, "acme", way=way)[0]
        admin = scoped.send(route, "ops", way=way)[0]
        assert usual.startswith("403") == (access == "admin")
        assert admin.startswith("403") == (access in ("predict", "sessions"))


@pytest.mark.parametrize("route", ROUTES_OF_APP)
def test_usual_key_changes_nothing_of_the_whole_service(world, route):
    before = shared_state(world)

    for way in ways_of(route):
        world.send(route, "acme", way=way)

    assert shared_state(world) == before


def shared_state(world):
    """Return what belongs to no tenant: files of models and state, served versions."""
    files = {p: p.read_bytes() for p in world.folder.rglob("*") if p.is_file()}
    names = world.catalog.names()
    foreign = {k for k in world.store.slots if not k.startswith((b"acme\0", b"\0"))}
    return files, {name: world.catalog.versions(name) for name in names}, foreign


def test_admin_key_does_change_it(tmp_path):
    world = make_world(tmp_path)
    before = shared_state(world)
    [unload] = [
        (rule, "POST")
        for rule in world.app.url_map.iter_rules()
        if rule.endpoint == "v2_repository.unload"
    ]

    assert world.send(unload, "ops")[0].startswith("200")

    assert shared_state(world) != before


def has_memory(route):
    endpoint = route.values[0][0].endpoint
    return endpoint in BODIES and not endpoint.startswith("session_")


WITH_MEMORY = [route for route in ROUTES_OF_APP if has_memory(route)]


@pytest.mark.parametrize("route", WITH_MEMORY)
def test_sealed_memory_of_another_tenant_is_opened_by_no_route(world, route):
    token = seal_by_stream(world, "acme")

    for way in ways_of(route):
        own = world.send(route, "acme", way=way, memory=token)
        foreign = world.send(route, "umbrella", way=way, memory=token)
        assert b"token_invalid" in foreign[2]
        assert b"token_invalid" not in own[2]


def seal_by_stream(world, tenant):
    line = json.dumps({"sequence": ["red"], "memory": None})
    answer = world.ways["flask"].post(
        "/v1/models/counting:stream", data=line, headers={"X-API-Key": KEYS[tenant]}
    )
    return json.loads(answer.data)["memory"]


@pytest.mark.parametrize("route", WITH_MEMORY)
def test_stored_answer_of_another_tenant_is_repeated_by_no_route(world, route):
    keyed_by = {"Idempotency-Key": '"k"'}

    for way in ways_of(route):
        world.send(route, "acme", way=way, headers=keyed_by)
        foreign = world.send(route, "umbrella", way=way, headers=keyed_by)
        assert ("Idempotency-Replayed", "true") not in foreign[1]
        world.store.slots.clear()


ACTS = st.tuples(
    st.sampled_from(["acme", "umbrella"]),
    st.integers(0, len(ROUTES_OF_APP) - 1),
    st.sampled_from(["s", "t", "s/memory"]),
    st.booleans(),
)


@given(acts=st.lists(ACTS, min_size=2, max_size=14))
@settings(max_examples=60, deadline=None)
def test_tenant_that_shares_a_service_is_answered_as_alone(made, acts):
    """Non-interference: any calls of two tenants, interleaved, and each one's alone."""
    shared, *others = made
    alone = dict(zip(("acme", "umbrella"), others, strict=True))
    for world in made:
        world.store.slots.clear()

    for tenant, number, session, is_short in acts:
        [route] = ROUTES_OF_APP[number].values
        way = ways_of(route)[-1 if is_short else 0]
        together = shared.send(route, tenant, session, way=way)
        assert together == alone[tenant].send(route, tenant, session, way=way)
