"""`ETag`, `If-Match`, `If-None-Match`: changes for one state only."""

import json

import pytest

from service.api.etags import Condition, tag_of
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session
from service.stores.in_process import InProcessStore
from tests.assembly import build_engine, serve
from tests.fakes import counting_model
from tests.problems import assert_problem

PATH = "/v1/models/counting/sessions/s"
MEMORY = {"network": "ab" * 16, "step": 9, "memory": {"short_term_0": [9, 0, 0]}}
CALLS = {
    "delete": ("DELETE", "", None),
    "fork": ("POST", ":fork", {"to": "t"}),
    "rewind": ("POST", ":rewind", {"to_step": 1}),
    "touch": ("POST", ":touch", {"ttl_seconds": 5}),
    "import": ("PUT", "/memory", MEMORY),
}


@pytest.fixture
def live(predict):
    predict({"sequence": ["red"], "session": "s"})


@pytest.fixture
def call(client):
    def call(name, **headers):
        method, suffix, body = CALLS[name]
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        data = None if body is None else json.dumps(body)
        return client.open(PATH + suffix, method=method, data=data, headers=headers)

    return call


def etag(client, suffix="", **headers):
    return client.get(PATH + suffix, headers=headers).headers["ETag"]


@pytest.mark.parametrize("name", CALLS)
def test_change_for_the_present_state_is_made(client, live, call, name):
    assert call(name, If_Match=f'"x", {etag(client)}').status_code in (200, 201)


@pytest.mark.parametrize("name", CALLS)
def test_change_for_any_state_is_made(live, call, name):
    assert call(name, If_Match="*").status_code in (200, 201)


@pytest.mark.parametrize("name", CALLS)
def test_change_for_another_state_is_refused_and_not_made(
    client, live, predict, call, name
):
    before = etag(client)
    predict({"sequence": ["green"], "session": "s"})
    state = client.get(PATH).data

    for sent in (before, f"W/{etag(client)}", '""', '"x"', "", "garbage"):
        problem = assert_problem(call(name, If_Match=sent), 412, "precondition_failed")
        assert (problem["step"], problem["etag"]) == (2, etag(client))
    assert client.get(PATH).data == state
    assert client.get(PATH[:-1] + "t").status_code == 404


def test_import_on_a_live_session_must_say_which_state(client, live, call):
    problem = assert_problem(call("import"), 428, "precondition_required")

    assert (problem["step"], problem["etag"]) == (1, etag(client))
    replaced = call("import", If_Match=problem["etag"])
    assert (replaced.status_code, replaced.get_json()["step"]) == (200, 9)
    assert replaced.headers["ETag"] == etag(client)
    assert_problem(call("import", If_Match=problem["etag"]), 412, "precondition_failed")


def test_import_that_must_begin_replaces_nothing(live, call, client):
    refused = call("import", If_None_Match="*")
    client.delete(PATH)

    assert_problem(refused, 412, "precondition_failed")
    assert client.put(PATH[:-1] + "new/memory", data=json.dumps(MEMORY)).status_code


def test_import_that_must_replace_begins_nothing(client, call):
    assert_problem(call("import", If_Match="*"), 412, "precondition_failed")
    assert_problem(call("import", If_Match='"1-x"'), 412, "precondition_failed")
    assert_problem(client.get(PATH), 404, "session_not_found")


def test_both_forms_of_a_memory_have_their_tags_and_both_are_of_the_state(
    client, live, call
):
    session, memory = etag(client), etag(client, "/memory")
    file = etag(client, "/memory", Accept="application/vnd.safetensors")

    assert session == memory != file
    assert call("touch", If_Match=file).status_code == 200


@pytest.mark.parametrize("suffix", ["", "/memory"])
def test_client_that_has_the_state_is_not_answered_again(client, live, suffix):
    known = {"If-None-Match": etag(client, suffix)}

    response = client.get(PATH + suffix, headers=known)
    other = client.get(PATH + suffix, headers={"If-None-Match": '"x"'})
    stale = client.get(PATH + suffix, headers={"If-Match": '"x"'})

    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == known["If-None-Match"]
    assert other.status_code == 200
    assert_problem(stale, 412, "precondition_failed")


def test_tag_changes_with_every_change_and_with_nothing_else(
    client, live, predict, call
):
    tags = [etag(client), etag(client)]
    predict({"sequence": ["red"], "session": "other"})
    assert {*tags, etag(client)} == {tags[0]}

    for change in (
        lambda: predict({"sequence": ["red"], "session": "s"}),
        lambda: call("touch"),
        lambda: call("touch"),
        lambda: call("import", If_Match="*"),
        lambda: call("import", If_Match="*"),
    ):
        assert change().status_code in (200, 201)
        tags.append(etag(client))
    assert len(set(tags)) == len(tags) - 1


def test_tag_never_comes_again_when_an_id_is_forgotten_and_begun_again(
    client, live, predict, services, clock
):
    first = etag(client)
    client.delete(PATH)
    clock.advance(2000)
    assert services.engine.sessions.sweep(10) == 1

    predict({"sequence": ["red"], "session": "s"})

    assert etag(client).partition("-")[0] == first.partition("-")[0]
    assert etag(client) != first


def test_change_that_lost_a_race_is_checked_again(
    client, live, services, session_store, clock
):
    """An event arrives between the look and the change: `If-Match` no longer holds."""

    class Racing(InProcessStore):
        def commit(self, puts):
            slot, race = self.slots[puts[0].key], self.race
            self.race = None
            if race:
                entry = slot.entry.replace(version=slot.entry.version + 1)
                self.slots[puts[0].key] = slot._replace(entry=entry)
            return super().commit(puts)

    store = Racing()
    store.slots = session_store.slots
    engine = build_engine(clock, store=store)
    client = serve([counting_model()], settings=services.settings, engine=engine)

    for name, (method, suffix, body) in CALLS.items():
        if name == "fork":  # it changes the fork, which has no state to be for
            continue
        tag, store.race = etag(client), True
        data = None if body is None else json.dumps(body)
        response = client.open(
            PATH + suffix, method=method, data=data, headers={"If-Match": tag}
        )
        assert_problem(response, 412, "precondition_failed")


def test_what_is_not_live_has_no_tag():
    record = Session(1, 1, bytes(16), 0, 0, 9, 9, bytes(4))

    assert tag_of(StoredSession(0, None)) == ""
    assert tag_of(StoredSession(3, record)) != tag_of(StoredSession(4, record))
    Condition().check(StoredSession(0, None))
