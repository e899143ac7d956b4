"""`GET` and `DELETE` of a session, health, status, metadata, over Flask's client."""

from urllib.parse import quote

import pytest

from service.engine import shadow
from service.errors import StoreUnavailable
from service.sessions.lifecycle import NEVER_SEEN
from service.sessions.record import SessionKey
from service.sessions.tokens import chains
from tests.assembly import serve
from tests.problems import assert_problem

PATH = "/v1/models/counting/sessions/"


@pytest.fixture
def live(predict):
    predict({"sequence": ["red", "green"], "session": "s"})


def test_session_says_where_it_is(client, live, clock):
    assert client.get(PATH + "s").get_json() == {
        "session": "s",
        "model": "counting",
        "model_version": "1",
        "step": 2,
        "created_at": "2023-11-14T22:13:20.000Z",
        "updated_at": "2023-11-14T22:13:20.000Z",
        "expires_at": "2023-11-14T22:15:00.000Z",
        "idle_seconds": 100.0,
        "memory_bytes": 12,
        "record_bytes": 91,
        "last_event": "green",
        "norms": {"short_term_0": pytest.approx(2**0.5)},
        "rewind_steps": [],
    }


def test_session_never_seen_is_not_found(client):
    assert_problem(client.get(PATH + "nobody"), 404, "session_not_found")


def test_deleted_session_is_gone_for_every_call(client, live, predict):
    answer = client.delete(PATH + "s").get_json()

    assert answer == {"session": "s", "deleted": True, "step": 2}
    assert_problem(client.get(PATH + "s"), 410, "session_gone")
    assert_problem(client.delete(PATH + "s"), 410, "session_gone")
    response = predict({"sequence": ["red"], "session": "s"})
    assert assert_problem(response, 410, "session_gone")["reason"] == "deleted"


def test_expired_session_is_gone(client, live, clock):
    clock.advance(100)

    assert_problem(client.get(PATH + "s"), 410, "session_gone")


@pytest.mark.parametrize(
    ("session", "address"),
    [
        ("Línea/7 ö", "L%C3%ADnea/7%20%C3%B6"),
        ("/a", "%2Fa"),
        ("//", "%2F%2F"),
        ("a//b", "a//b"),
        ("a/", "a/"),
        ("..", ".."),
        ("a:fork", "a%3Afork"),
    ],
)
def test_ids_with_slashes_and_accents_are_ids_of_their_own(
    client, predict, session, address
):
    predict({"sequence": ["red"], "session": session})
    predict({"sequence": ["red"], "session": "a"})

    assert client.get(PATH + address).get_json()["session"] == session
    assert client.delete(PATH + address).get_json()["session"] == session
    assert client.get(PATH + "a").status_code == 200


@pytest.mark.parametrize("session", ["x" * 201, "%00", "a%07b", "a%0Ab"])
def test_unusable_ids_are_refused(client, session):
    assert_problem(client.get(PATH + session), 400, "invalid_request")


def test_sessions_of_an_unknown_model_are_not_found(client):
    response = client.get("/v1/models/nope/sessions/s")

    assert_problem(response, 404, "model_not_found")


def test_status_satisfies_tensorflow_serving_and_kserve(client):
    assert client.get("/v1/models/counting").get_json() == {
        "name": "counting",
        "ready": True,
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ],
    }
    assert client.get("/v1/models").get_json() == {"models": ["counting"]}


def test_metadata_says_what_the_model_takes_and_answers(client):
    metadata = client.get("/v1/models/counting/metadata").get_json()

    assert metadata["input"]["vocabulary"] == ["red", "green", "poison"]
    assert metadata["memory_bytes"] == 12
    assert "files" not in metadata


@pytest.mark.parametrize("path", ["", "/metadata", "/versions/1/metadata"])
def test_unknown_models_have_no_status(client, path):
    assert_problem(client.get(f"/v1/models/nope{path}"), 404, "model_not_found")


def test_service_with_models_is_ready(client):
    assert client.get("/v2/health/live").get_json() == {"live": True}
    assert client.get("/v2/health/ready").get_json() == {"ready": True, "models": 1}


def test_service_with_a_failing_store_is_not_ready(client, services):
    def refuse(keys):
        raise StoreUnavailable("the disk is gone.")

    services.engine.sessions.load = refuse

    response = client.get("/v2/health/ready")

    assert_problem(response, 503, "store_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_service_without_models_is_live_but_not_ready(services):
    client = serve([], settings=services.settings, engine=services.engine)

    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/V2/x", "/x" * 400])
def test_unknown_addresses_are_problems(client, path):
    assert_problem(client.get(path), 404, "not_found")


def test_wrong_methods_are_problems_that_name_the_right_ones(client):
    response = client.get("/v1/models/counting:predict")

    assert_problem(response, 405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_request_ids_are_echoed_and_forged_ones_replaced(client):
    given = client.get("/v2/health/live", headers={"X-Request-Id": "abc-1"})
    forged = client.get("/v2/health/live", headers={"X-Request-Id": 'a"b c'})

    assert given.headers["X-Request-Id"] == "abc-1"
    assert len(forged.headers["X-Request-Id"]) == 32


def test_log_line_names_model_and_code_of_refused_requests(predict, caplog):
    with caplog.at_level("INFO", logger="service.api.access_log"):
        predict(["blue"])

    assert '"model":"counting","version":1' in caplog.text
    assert '"code":"unknown_event"' in caplog.text


def test_log_line_holds_no_session_and_no_event(predict, caplog):
    with caplog.at_level("INFO", logger="service.api.access_log"):
        predict({"sequence": ["red"], "session": "patient-7"})

    assert len(caplog.records) == 1
    assert '"status":200' in caplog.text
    assert "patient-7" not in caplog.text
    assert '"red"' not in caplog.text


@pytest.fixture
def unloaded(live, services):
    """A session of a model that is served no more."""
    services.catalog.replace("counting", [])


def test_session_of_an_unloaded_model_is_listed_and_shown(client, unloaded):
    [listed] = client.get(PATH.rstrip("/")).get_json()["sessions"]
    shown = client.get(PATH + "s").get_json()

    assert (listed["session"], listed["step"]) == ("s", 2)
    assert (shown["model"], shown["step"], shown["norms"]) == ("counting", 2, None)


def test_session_of_an_unloaded_model_can_be_deleted(client, unloaded):
    answer = client.delete(PATH + "s").get_json()

    assert answer == {"session": "s", "deleted": True, "step": 2}
    assert_problem(client.get(PATH + "s"), 410, "session_gone")
    assert client.get(PATH.rstrip("/")).get_json()["sessions"] == []


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("touch", {}, 200),
        ("fork", {"to": "t"}, 201),
        ("rewind", {"to_step": 1}, 409),  # these sessions keep no earlier memory
    ],
)
def test_session_of_an_unloaded_model_is_changed_without_its_network(
    client, unloaded, verb, body, status
):
    answer = client.post(f"{PATH}s:{verb}", json=body)

    assert answer.status_code == status


@pytest.mark.parametrize("address", ["nobody", "", "a%00b", "x" * 500])
def test_unloaded_model_has_no_other_session(client, unloaded, address):
    path = PATH + address if address else "/v1/models/never/sessions"

    assert client.get(path).status_code in (400, 404)


@pytest.mark.parametrize("name", ["never", "a%00b", "x" * 500])
def test_model_without_sessions_is_not_found(client, unloaded, name):
    for path in (f"/v1/models/{name}/sessions", f"/v1/models/{name}/sessions/s"):
        assert_problem(client.get(path), 404, "model_not_found")
        if path.endswith("/s"):
            assert_problem(client.delete(path), 404, "model_not_found")


@pytest.mark.parametrize("mark", [chains.MARK, shadow.MARK.decode()])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/s"),
        ("DELETE", "/s"),
        ("GET", "/s/memory"),
        ("POST", "/s:touch"),
        ("POST", "/s:fork"),
        ("POST", "/s:rewind"),
    ],
)
def test_records_beside_the_sessions_are_met_by_no_call(
    client, live, services, mark, method, path
):
    sessions = services.engine.sessions
    [found] = sessions.load([SessionKey("", "counting", "s").encode()])
    hidden = SessionKey("", "counting" + mark, "s").encode()
    sessions.save([(hidden, NEVER_SEEN, found.record)])

    address = f"/v1/models/counting{quote(mark)}/sessions{path}"
    for sent in (None, {"to": "t"}, {"to_step": 1}, {"ttl_seconds": 1}):
        answer = client.open(address, method=method, json=sent)
        assert answer.status_code in (400, 404)
    assert sessions.load([hidden])[0] == found


def test_session_of_an_unloaded_model_gets_no_event(client, unloaded, predict):
    assert_problem(
        predict({"sequence": ["red"], "session": "s"}), 404, "model_not_found"
    )
