"""`GET /v1/models/{model}/sessions`: pages, prefixes, cursors."""

import pytest

from service.api.sessions.listing import LOOKS_PER_SESSION, write_cursor
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, SessionKey
from tests.problems import assert_problem

PATH = "/v1/models/counting/sessions"


@pytest.fixture
def start(predict):
    def start(*sessions, **options):
        for session in sessions:
            predict({"sequence": ["red"], "session": session, **options})

    return start


@pytest.fixture
def pages(client):
    """Walk all pages of a query and return the ids of each."""

    def walk(**query):
        found = []
        while True:
            page = client.get(PATH, query_string=query).get_json()
            found.append([one["session"] for one in page["sessions"]])
            if page["after"] is None:
                return found
            query["after"] = page["after"]

    return walk


def test_list_describes_each_session_as_its_own_address_does(client, start):
    start("s")

    [listed] = client.get(PATH).get_json()["sessions"]

    alone = client.get(f"{PATH}/s").get_json()
    assert listed.items() <= alone.items()
    assert listed["step"] == 1


def test_no_sessions_are_an_empty_page(client):
    assert client.get(PATH).get_json() == {"sessions": [], "after": None}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 1000])
def test_pages_hold_every_session_once_in_order(start, pages, limit):
    ids = ["a", "a/b", "b:fork", "ä", "\U0001f600", "a b", "aa"]
    start(*ids)

    found = pages(limit=limit)

    assert all(len(page) <= limit for page in found)
    expected = sorted(ids, key=lambda session: session.encode())
    assert [session for page in found for session in page] == expected


def test_prefix_chooses_by_the_beginning_of_the_id(start, pages):
    start("ticket-1", "ticket-2", "ticket", "other", "tick")

    assert pages(prefix="ticket-", limit=1)[:2] == [["ticket-1"], ["ticket-2"]]
    assert pages(prefix="ticket") == [["ticket", "ticket-1", "ticket-2"]]
    assert pages(prefix="nobody") == [[]]
    assert pages(prefix="ticket-", after=write_cursor("z")) == [[]]
    assert pages(prefix="ticket-", after=write_cursor("a")) == [
        ["ticket-1", "ticket-2"]
    ]


def test_sessions_that_are_gone_are_not_listed(client, start, pages, clock):
    start("expired", ttl_seconds=1)
    start("ended", end=True)
    start("deleted", "live")
    client.delete(PATH + "/deleted")

    clock.advance(1)

    assert pages() == [["live"]]


def test_page_among_many_gone_ends_early_and_continues(start, pages):
    start(*(f"a{k}" for k in range(2 * LOOKS_PER_SESSION)), end=True)
    start("b")

    found = pages(limit=1)

    assert found == [[], [], ["b"]]


def test_sessions_begun_and_ended_between_pages_spoil_no_other(client, start):
    start("a", "c", "e")
    first = client.get(PATH, query_string={"limit": 2}).get_json()

    start("b", "d")
    client.delete(PATH + "/c")
    rest = client.get(PATH, query_string={"after": first["after"]}).get_json()

    assert [one["session"] for one in rest["sessions"]] == ["d", "e"]


def test_other_models_and_tenants_are_not_listed(client, start, services, clock):
    start("mine")
    now = clock()
    record = Session(1, 1, bytes(16), now, now, now + 9, 9.0, bytes(12))
    for tenant, model in [("", "countin"), ("", "counting2"), ("a", "counting")]:
        key = SessionKey(tenant, model, "other")
        services.engine.sessions.save([(key.encode(), StoredSession(0, None), record)])

    listed = client.get(PATH).get_json()["sessions"]

    assert [one["session"] for one in listed] == ["mine"]


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=x", "limit=-1", "limit=", "limit=1&limit=2"),
        *("limit=²", "limit=99999999999", "prefix=" + "x" * 201, "page=2"),
        *("after=!", "after=AA", "after=YQ=", "after=YR"),
    ],
)
def test_query_that_makes_no_sense_is_refused(client, query):
    code = "unknown_field" if query == "page=2" else "invalid_request"

    assert_problem(client.get(f"{PATH}?{query}"), 400, code)


@pytest.mark.parametrize("prefix", ["%00", "%FF", "%0A", "%ED%A0%80"])
def test_prefix_no_id_can_have_finds_nothing(client, start, prefix):
    start("s")

    assert client.get(f"{PATH}?prefix={prefix}").get_json()["sessions"] == []


def test_sessions_of_an_unknown_model_are_not_listed(client):
    assert_problem(client.get("/v1/models/nope/sessions"), 404, "model_not_found")


def test_corrupt_session_is_listed_with_its_error(client, start, session_store):
    start("broken", "whole")
    store = session_store
    key = SessionKey("", "counting", "broken").encode()
    [entry] = store.fetch([key])
    store.slots[key] = store.slots[key]._replace(
        entry=entry.replace(value=b"x" + entry.value[1:])
    )

    broken, whole = client.get(PATH).get_json()["sessions"]

    assert broken["session"] == "broken"
    assert broken["problem"]["code"] == "corrupt_record"
    assert whole["step"] == 1
