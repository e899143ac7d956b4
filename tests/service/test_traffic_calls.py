"""Calls that direct traffic between versions, and what each dialect gets of it."""

import pytest

from service.registry.traffic import Traffic
from tests.problems import assert_problem
from tests.service import traffic_workers
from tests.service.repositories import publish
from tests.service.traffic_workers import FIRST_IN_A_FIFTH, TrafficWorker

models = pytest.fixture(traffic_workers.models)
workers = pytest.fixture(traffic_workers.workers)
worker = pytest.fixture(traffic_workers.worker)
send = pytest.fixture(traffic_workers.send)


@pytest.fixture
def client(worker, engine, clock):
    return worker.serve(engine.sessions, clock)


def put(client, **body):
    return client.put("/v1/models/counting/traffic", json=body)


def canary(share, version=2):
    return {"version": version, "share": share}


def test_promote_and_rollback_are_each_one_call(client, predict_on):
    put(client, canary=canary(1.0))
    assert predict_on("a") == "2"

    rolled = client.post("/v1/models/counting:rollback")
    assert (rolled.json["stable"], rolled.json["canary"]) == (1, None)
    assert predict_on("b") == "1"
    assert_problem(client.post("/v1/models/counting:rollback"), 409, "conflict")

    put(client, canary=canary(0.05))
    assert client.post("/v1/models/counting:promote").json["stable"] == 2
    assert predict_on("c") == "2"
    assert client.post("/v1/models/counting:rollback").json["stable"] == 1
    assert predict_on("d") == "1"
    assert_problem(client.post("/v1/models/counting:promote"), 409, "conflict")
    named = client.post("/v1/models/counting:promote", json={"version": 2})
    again = client.post("/v1/models/counting:promote", json={"version": 2})
    assert named.json == again.json
    assert client.get("/v1/models/counting/traffic").json == again.json


@pytest.fixture
def predict_on(client):
    """Begin a session, and say on which version."""

    def send(session, where=""):
        row = {"sequence": ["red"], "session": session}
        body = {"instances": [row]}
        client.post(f"/v1/models/counting{where}:predict", json=body)
        state = client.get(f"/v1/models/counting/sessions/{session}")
        return state.json["model_version"]

    return send


def test_labels_name_the_parts_of_the_traffic(client, predict_on):
    put(client, canary=canary(0.0))

    assert predict_on("a", "/labels/stable") == "1"
    assert predict_on("b", "/labels/canary") == "2"
    client.post("/v1/models/counting:promote")
    assert predict_on("c", "/labels/stable") == "2"


def test_every_dialect_begins_the_same_session_on_the_same_version(client, predict_on):
    put(client, canary=canary(0.2))
    tensor = {"name": "sequence", "shape": [1, 1], "datatype": "BYTES", "data": ["red"]}

    for session in (*FIRST_IN_A_FIFTH, "s1"):
        expected = "2" if session in FIRST_IN_A_FIFTH else "1"
        assert predict_on(session) == expected
        client.delete(f"/v1/models/counting/sessions/{session}")
        line = {"sequence": ["red"], "session": session, "start": True}
        streamed = client.post("/v1/models/counting:stream", json=line)
        assert streamed.status_code == 200, streamed.data
        state = client.get(f"/v1/models/counting/sessions/{session}")
        assert state.json["model_version"] == expected
        parameters = {"sequence_id": session, "sequence_start": True}
        body = {"inputs": [tensor], "parameters": parameters}
        answer = client.post("/v2/models/counting/infer", json=body)
        assert answer.status_code == 200, answer.data
        state = client.get(f"/v1/models/counting/sessions/{session}")
        assert state.json["model_version"] == expected


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"canary": canary(-0.1)}, 400, "invalid_request"),
        ({"canary": canary(1.1)}, 400, "invalid_request"),
        ({"canary": canary(0.1, 0)}, 400, "invalid_request"),
        ({"canary": canary(0.1, -1)}, 400, "invalid_request"),
        ({"canary": canary(0.1, 9)}, 400, "model_not_loaded"),
        ({"stable": 9}, 400, "model_not_loaded"),
        ({"shadow": canary(0.1, 9)}, 400, "model_not_loaded"),
        ({"stable": 2, "canary": canary(0.1)}, 400, "invalid_request"),
        ({"stable": 2, "shadow": canary(0.1)}, 400, "invalid_request"),
        ({"canary": {"version": 2}}, 400, "invalid_request"),
        ({"canary": 2}, 400, "invalid_request"),
        ({"canry": canary(0.1)}, 400, "unknown_field"),
    ],
)
def test_wrong_traffic_is_refused_and_changes_nothing(client, body, status, code):
    before = put(client, canary=canary(0.5)).json

    assert_problem(put(client, **body), status, code)

    assert client.get("/v1/models/counting/traffic").json == before


@pytest.mark.parametrize("share", ["NaN", "Infinity", "1e999", "true", '"0.1"'])
def test_share_that_is_no_number_is_refused(client, share):
    body = f'{{"canary": {{"version": 2, "share": {share}}}}}'
    answer = client.put("/v1/models/counting/traffic", data=body)
    assert answer.status_code == 400


def test_stable_version_is_what_the_address_without_one_meant(client):
    put(client, stable=1)

    state = put(client, canary=canary(0.05)).json

    assert (state["stable"], state["canary"]["version"]) == (1, 2)
    assert put(client).json["stable"] == 1
    assert put(client, stable=0).json["stable"] is None


def test_only_version_cannot_be_the_canary(tmp_path, engine, clock):
    publish(tmp_path / "one", 1)
    worker = TrafficWorker(tmp_path / "one", tmp_path / "state")
    client = worker.serve(engine.sessions, clock)

    assert_problem(put(client, canary=canary(0.1, 1)), 409, "conflict")


def test_fork_and_rewind_of_a_canary_session_stay_on_it(worker, send, client):
    worker.set(1, 2, 1.0)
    send("s")
    worker.change(Traffic.rollback)

    client.post("/v1/models/counting/sessions/s:fork", json={"to": "copy"})

    assert send("copy").version == 2


@pytest.mark.parametrize("part", ["canary", "shadow", "previous"])
def test_load_after_unload_serves_the_stable_version_beside_a_damaged_one(
    workers, worker, send, models, client, part
):
    on_trial = {"canary": (1, 2, 1.0), "shadow": (1, 0, 0.0, 2, 1.0)}
    worker.set(*on_trial.get(part, (1, 0, 0.0, 0, 0.0, 2)))
    client.post("/v2/repository/models/counting/unload")
    assert [each.catalog.names() for each in workers] == [[], []]
    damage = models / "counting" / "2" / "damaged"
    damage.touch()

    loaded = client.post("/v2/repository/models/counting/load")

    assert loaded.status_code == 200, loaded.text
    for each in workers:
        assert send("s", by=each).version == 1
        assert "damaged" in each.repository.failures("counting")[2]
    status = client.get("/v1/models/counting").json["model_version_status"]
    assert {one["version"]: one["state"] for one in status}["1"] == "AVAILABLE"
    assert "damaged" in str(status)
    [broken] = [
        one for one in client.post("/v2/repository/index").json if one["version"] == "2"
    ]
    assert (broken["state"], "damaged" in broken["reason"]) == ("UNAVAILABLE", True)

    damage.unlink()
    for each in workers:
        each.clock.advance(10)
        assert each.catalog.versions("counting") == [1, 2]


def test_load_after_unload_is_refused_where_the_stable_version_is_damaged(
    worker, models, client
):
    worker.set(1, 2, 1.0)
    client.post("/v2/repository/models/counting/unload")
    (models / "counting" / "1" / "damaged").touch()

    refused = client.post("/v2/repository/models/counting/load")

    assert refused.status_code == 400
    assert "damaged" in refused.json["error"]
    assert worker.catalog.loaded("counting") == {}
