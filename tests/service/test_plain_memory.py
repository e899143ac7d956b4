"""`"memory_format": "plain"`: client-held memory in the open."""

import json

import pytest

from service.sessions.tokens.cipher import TokenCipher
from tests import assembly
from tests.fakes import counting_model
from tests.problems import assert_problem, assert_problem_body

PREDICT = "/v1/models/counting:predict"


@pytest.fixture
def serve(services, clock):
    def serve(plain, *models):
        return assembly.serve(
            models or [counting_model()],
            settings=services.settings,
            clock=clock,
            sessions=services.engine.sessions,
            seal=TokenCipher([assembly.SECRET], True, plain),
        )

    return serve


def send(client, memory, *events, memory_format="plain", **options):
    row = {"sequence": list(events), "memory": memory, **options}
    body = {"instances": [row], "memory_format": memory_format}
    return client.post(PREDICT, json=body)


def advance(*arguments, **options):
    response = send(*arguments, **options)
    assert response.status_code == 200, response.get_json()
    return response.get_json()["predictions"][0]


def test_memory_is_shown_as_a_sessions_is_exported(serve):
    answer = advance(serve("show"), None, "red", "green")

    assert answer["memory"] == {
        "model": "counting",
        "model_version": "1",
        "network": "ab" * 16,
        "step": 2,
        "last_event": "green",
        "memory": {"short_term_0": [1.0, 1.0, 0.0]},
    }
    assert "expires_at" not in answer


def test_memory_continues_where_it_is_accepted(serve, clock):
    client = serve("accept")
    memory = advance(client, None, "red")["memory"]
    clock.advance(1e6)

    again = [advance(client, memory, "green") for _ in range(2)]

    assert again[0] == again[1]
    assert again[0]["probabilities"] == [0.5, 0.5, 0.0]
    assert again[0]["step"] == 2


def test_client_goes_between_sealed_and_plain(serve):
    client = serve("accept")
    plain = advance(client, None, "red")["memory"]

    token = advance(client, plain, "red", memory_format="sealed")["memory"]
    answer = advance(client, token, "green")

    assert isinstance(token, str)
    assert answer["memory"]["memory"]["short_term_0"] == [2.0, 1.0, 0.0]


def test_plain_memory_can_become_a_session(serve):
    client = serve("show")
    memory = advance(client, None, "red")["memory"]

    response = client.put(
        "/v1/models/counting/sessions/s/memory", data=json.dumps(memory)
    )

    assert response.status_code == 201


@pytest.mark.parametrize("plain", ["off", "show"])
def test_memory_in_the_open_is_not_accepted_unless_allowed(serve, plain):
    memory = advance(serve("show"), None, "red")["memory"]

    response = send(serve(plain), memory, "red", memory_format="sealed")

    assert_problem(response, 403, "plain_memory_refused")


def test_memory_is_not_shown_where_it_is_off(serve):
    client = serve("off")
    token = advance(client, None, "red", memory_format="sealed")["memory"]

    assert_problem(send(client, None, "red"), 403, "plain_memory_refused")
    assert_problem(send(client, token, "red"), 403, "plain_memory_refused")
    assert advance(client, token, "red", memory_format="sealed")["step"] == 2


def test_rows_of_sessions_and_without_memory_are_what_they_were(serve):
    rows = [["red"], {"sequence": ["red"], "session": "s"}]
    body = {"instances": rows, "memory_format": "plain"}

    bare, remembered = serve("off").post(PREDICT, json=body).get_json()["predictions"]

    assert bare == [1.0, 0.0, 0.0]
    assert "memory" not in remembered


def test_step_of_a_plain_memory_is_checked(serve):
    client = serve("accept")
    memory = advance(client, None, "red")["memory"]

    assert_problem(send(client, memory, "red", at=5), 409, "step_conflict")


def test_memory_of_an_older_version_continues_with_it(serve):
    memory = advance(serve("show"), None, "red")["memory"]
    client = serve("accept", counting_model(1, "ab" * 32), counting_model(2, "cd" * 32))

    answer = advance(client, memory, "green")

    assert answer["memory"]["model_version"] == "1"


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"network": "cd" * 16}, 409, "wrong_network"),
        ({"memory": {"short_term_0": [1]}}, 400, "invalid_memory"),
        ({"memory": {"short_term_0": [1, 2, 1e39]}}, 400, "invalid_memory"),
        ({"model": "other"}, 400, "invalid_memory"),
        ({"step": -1}, 400, "invalid_memory"),
        ({"owner": "me"}, 400, "unknown_field"),
    ],
    ids=str,
)
def test_changed_memory_is_refused_and_spoils_no_other_row(
    serve, changed, status, code
):
    client = serve("accept")
    memory = advance(client, None, "red")["memory"] | changed
    rows = [{"sequence": ["red"], "memory": memory}, ["red"]]

    response = client.post(PREDICT, json={"instances": rows})

    bad, good = response.get_json()["predictions"]
    assert_problem_body(bad, status, code)
    assert good == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("word", ["open", "", None, 1])
def test_other_formats_are_refused(serve, word):
    response = send(serve("show"), None, "red", memory_format=word)

    assert_problem(response, 400, "invalid_request")


@pytest.mark.parametrize("memory", [[], 1, True, {}])
def test_memory_of_another_type_is_refused(serve, memory):
    response = send(serve("accept"), memory, "red")

    assert response.status_code == 400
    assert response.get_json()["code"] in ("invalid_request", "invalid_memory")
