"""`GET` and `PUT .../memory`: export and import, in both forms."""

import json

import numpy as np
import orjson
import pytest
from safetensors.numpy import load, save

from service.sessions.record import Session
from service.sessions.state_export import (
    MemoryDocument,
    read_json,
    read_memory,
    read_safetensors,
    show_memory,
    write_json,
    write_safetensors,
)
from tests.assembly import build_engine, serve
from tests.fakes import counting_model
from tests.problems import assert_problem

PATH = "/v1/models/counting/sessions/"
FILE = "application/vnd.safetensors"
NETWORK = "ab" * 16


def document(**changed):
    tensors = {"short_term_0": [1.0, 2.0, 0.0]}
    return {"network": NETWORK, "step": 3, "memory": tensors, **changed}


@pytest.fixture
def live(predict):
    predict({"sequence": ["red", "green", "green"], "session": "s"})


def test_memory_is_exported_in_the_open(client, live):
    response = client.get(PATH + "s/memory")

    assert response.get_json() == {
        "model": "counting",
        "model_version": "1",
        "network": NETWORK,
        "step": 3,
        "last_event": "green",
        "memory": {"short_term_0": [1.0, 2.0, 0.0]},
    }


@pytest.mark.parametrize("form", ["application/json", FILE])
def test_what_was_exported_begins_a_session_that_continues_alike(
    client, live, predict, form
):
    exported = client.get(PATH + "s/memory", headers={"Accept": form})

    response = client.put(
        PATH + "t/memory", data=exported.data, content_type=exported.content_type
    )

    assert exported.mimetype == form
    assert (response.status_code, response.get_json()["step"]) == (201, 3)
    assert response.get_json()["last_event"] == "green"
    rows = [{"sequence": ["red"], "session": session} for session in ("s", "t")]
    one, other = predict(*rows).get_json()["predictions"]
    assert one["probabilities"] == other["probabilities"]
    assert (one["step"], other["step"]) == (4, 4)


def test_largest_float32_is_read_as_json_writes_it(client):
    largest = [3.4028235e38, -3.4028235e38, 0.0]
    sent = document(memory={"short_term_0": largest})

    assert client.put(PATH + "t/memory", data=json.dumps(sent)).status_code == 201
    shown = client.get(PATH + "t/memory").get_json()["memory"]["short_term_0"]
    assert np.float32(shown).tolist() == np.float32(largest).tolist()


def test_file_is_one_that_other_tools_read(client, live):
    exported = client.get(PATH + "s/memory", headers={"Accept": FILE})

    [(name, array)] = load(exported.data).items()
    assert (name, array.tolist(), array.dtype) == ("short_term_0", [1, 2, 0], "float32")


def test_every_float32_survives_both_forms():
    random = np.random.default_rng(7)
    bits = random.integers(0, 2**32, 200_000, dtype=np.uint32)
    numbers = bits.view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    whole = MemoryDocument(network="", step=1, memory={"a": numbers})

    for write, read in [
        (write_json, read_json),
        (write_safetensors, read_safetensors),
    ]:
        back = np.asarray(read(write(whole)).memory["a"]).astype(np.float32)
        assert back.tobytes() == numbers.tobytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"memory": {}},
        {"memory": {"short_term_0": [1.0, 2.0]}},
        {"memory": {"short_term_0": [[1.0, 2.0, 0.0]]}},
        {"memory": {"short_term_0": [1.0, [2.0], 0.0]}},
        {"memory": {"short_term_0": [1.0, None, 0.0]}},
        {"memory": {"short_term_0": [1.0, "2", 0.0]}},
        {"memory": {"short_term_0": [1.0, True, 0.0]}},
        {"memory": {"short_term_0": [1.0, 1e39, 0.0]}},
        {"memory": {"short_term_0": [1.0, 10**400, 0.0]}},
        {"memory": {"short_term_0": "AAAA"}},
        {"memory": {"short_term_0": {"0": 1.0}}},
        {"memory": {"long_term_0": [1.0, 2.0, 0.0]}},
        {"memory": {"short_term_0": [1, 2, 0], "long_term_0": [1, 2, 0]}},
        {"memory": [1.0, 2.0, 0.0]},
        {"step": -1},
        {"step": 2**53 + 1},
        {"step": "3"},
        {"step": 1.5},
        {"model": "other"},
        {"last_event": "blue"},
        {"last_event": 1},
        {"ttl_seconds": 0},
        {"ttl_seconds": -1},
        {"network": None},
    ],
    ids=str,
)
def test_memory_that_cannot_be_this_networks_is_refused(client, changed):
    response = client.put(PATH + "t/memory", data=json.dumps(document(**changed)))

    assert_problem(response, 400, "invalid_memory")
    assert_problem(client.get(PATH + "t"), 404, "session_not_found")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_json"),
        (b"nope", "invalid_json"),
        (orjson.dumps(document())[:-1], "invalid_json"),
        (b'{"step": NaN}', "invalid_json"),
        (b"[]", "invalid_memory"),
        (b"[" * 10_000, "invalid_memory"),
        (b"{}", "invalid_memory"),
        (json.dumps(document(extra=1)).encode(), "unknown_field"),
    ],
)
def test_body_that_is_no_memory_is_refused(client, data, code):
    assert_problem(client.put(PATH + "t/memory", data=data), 400, code)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(client, token):
    text = json.dumps(document()).replace("2.0", token)

    response = client.put(PATH + "t/memory", data=text)

    assert response.status_code == 400
    assert response.get_json()["code"] in ("invalid_json", "invalid_memory")


def file_of(array=(1.0, 2.0, 0.0), dtype="float32", **metadata):
    metadata = {"network": NETWORK, "step": "3", **metadata}
    return save({"short_term_0": np.array(array, dtype)}, metadata)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_memory"),
        (b"\xff" * 100, "invalid_memory"),
        (file_of()[:-1], "invalid_memory"),
        (file_of() + b"\0", "invalid_memory"),
        (file_of([1.0, np.nan, 0.0]), "invalid_memory"),
        (file_of([1.0, np.inf, 0.0]), "invalid_memory"),
        (file_of([1.0, 1e300, 0.0], "float64"), "invalid_memory"),
        (file_of([True, True, False], "bool"), "invalid_memory"),
        (file_of([[1.0, 2.0, 0.0]]), "invalid_memory"),
        (file_of(step="x"), "invalid_memory"),
        (file_of(step="-1"), "invalid_memory"),
        (file_of(step="1e400"), "invalid_memory"),
        (file_of(last_event="red"), "invalid_memory"),
        (file_of(author="x"), "unknown_field"),
        (save({"short_term_0": np.zeros(3, "float32")}), "invalid_memory"),
        (file_of(network="cd" * 16), "wrong_network"),
    ],
)
def test_file_that_cannot_be_this_networks_is_refused(client, data, code):
    response = client.put(PATH + "t/memory", data=data, content_type=FILE)

    assert_problem(response, 409 if code == "wrong_network" else 400, code)
    assert_problem(client.get(PATH + "t"), 404, "session_not_found")


def test_every_truncated_or_changed_file_is_refused_or_understood(client):
    whole = file_of()
    for place in range(len(whole)):
        for data in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            response = client.put(PATH + "t/memory", data=data, content_type=FILE)
            assert response.status_code in (201, 400, 409, 428), data


def test_file_of_another_number_type_is_taken_where_it_fits(client):
    response = client.put(
        PATH + "t/memory", data=file_of(dtype="float64"), content_type=FILE
    )

    assert response.status_code == 201


def test_memory_of_other_weights_is_refused_and_names_the_served(client):
    response = client.put(
        PATH + "t/memory", data=json.dumps(document(network="cd" * 16))
    )

    assert NETWORK in assert_problem(response, 409, "wrong_network")["detail"]


def test_memory_of_an_older_served_version_is_taken_as_its_own():
    family = [counting_model(1, "ab" * 32), counting_model(2, "cd" * 32)]

    memory = read_memory(
        MemoryDocument(**document(model_version="9")), "counting", family
    )

    assert (memory.model_version, memory.network.hex()) == (1, NETWORK)


def test_session_of_a_network_that_is_not_served_is_described_but_not_exported(
    client, live, services, clock
):
    engine = build_engine(clock, sessions=services.engine.sessions)
    newer = counting_model(2, "cd" * 32)
    client = serve([newer], settings=services.settings, engine=engine)

    state = client.get(PATH + "s").get_json()
    assert (state["step"], state["norms"], state["last_event"]) == (3, None, None)
    assert_problem(client.get(PATH + "s/memory"), 409, "wrong_network")


def test_import_on_a_gone_session_needs_start(client, live):
    client.delete(PATH + "s")

    refused = client.put(PATH + "s/memory", data=json.dumps(document()))
    begun = client.put(PATH + "s/memory?start=true", data=json.dumps(document()))

    assert_problem(refused, 410, "session_gone")
    assert begun.status_code == 201


def test_imported_session_lives_as_long_as_it_says(client, clock):
    client.put(PATH + "t/memory", data=json.dumps(document(ttl_seconds=5)))
    client.put(PATH + "u/memory", data=json.dumps(document()))

    clock.advance(5)

    assert_problem(client.get(PATH + "t"), 410, "session_gone")
    assert client.get(PATH + "u").get_json()["idle_seconds"] == 100


def test_import_ends_what_can_be_repeated_by_step_but_not_by_key(client, predict):
    url = "/v1/models/counting:predict"
    keyed = {"Idempotency-Key": '"k"'}
    body = {"instances": [{"sequence": ["red"], "session": "s"}]}
    first = client.post(url, json=body, headers=keyed)
    predict({"sequence": ["red"], "session": "s", "at": 1})
    client.put(
        PATH + "s/memory",
        data=json.dumps(document(step=2)),
        headers={"If-Match": "*"},
    )

    by_key = client.post(url, json=body, headers=keyed)
    by_step = predict({"sequence": ["red"], "session": "s", "at": 1})

    assert by_key.data == first.data
    assert_problem(by_step, 409, "step_conflict")


@pytest.mark.parametrize("query", ["start=maybe", "start=true&start=true", "begin=1"])
def test_query_that_makes_no_sense_is_refused(client, query):
    response = client.put(f"{PATH}t/memory?{query}", data=json.dumps(document()))

    assert response.status_code == 400


def test_export_of_what_is_not_live_is_distinguished(client, live):
    client.delete(PATH + "s")

    assert_problem(client.get(PATH + "s/memory"), 410, "session_gone")
    assert_problem(client.get(PATH + "never/memory"), 404, "session_not_found")


def test_shown_memory_holds_no_other_rows_numbers():
    record = Session(1, 1, bytes(16), 0, 0, 0, 0, np.arange(3, dtype="<f4").tobytes())

    shown = show_memory(record, counting_model())

    data = write_safetensors(shown)
    assert load(data)["short_term_0"].tolist() == [0, 1, 2]
