"""Every route x tenants: derived from the application, so that a new one is covered.

A route that needs scope `predict` or `sessions` must be shown here to meet a session of
its owner, and to answer a stranger as if there were none. A new route without a body in
`BODIES` of `tests.service.routes` answers both alike, and fails.
"""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.api.openapi import OPERATIONS, PAGES
from tests.service.routes import BODIES, KEYS, ROUTES_OF_APP, SHORT, make_world, ways_of


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
