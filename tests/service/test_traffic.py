"""A canary that is consistent per session, in every worker, and its two decisions."""

import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.rows import Row
from service.errors import Conflict, ModelNotLoaded, WrongNetwork
from service.registry.traffic import CANARY_PERSON, SHADOW_PERSON, Traffic, is_in_share
from service.registry.traffic_control import change_traffic
from service.sessions.record import SessionKey
from service.sessions.version_policy import POLICIES, Policies, Retention
from tests.assembly import build_engine, serve
from tests.fakes import FakeClock
from tests.problems import assert_problem
from tests.service.test_migration import NEW, OLD, build_model
from tests.service.test_repository import Worker, publish

RED = 0
KEYS = [SessionKey("", "counting", f"s{k}").encode() for k in range(4000)]
# The first sessions in a share of 0.2, as every process has it, whatever its seed.
FIRST_IN_A_FIFTH = ["s2", "s5", "s14", "s16"]


class TrafficWorker(Worker):
    """A worker of a service that serves version 1, and 2 on another network."""

    def __init__(self, *arguments, **options):
        self.clock = FakeClock()
        super().__init__(*arguments, clock=self.clock, **options)

    def load(self, path):
        model = super().load(path)
        version = model.manifest.version
        return build_model(version, OLD if version == 1 else NEW)

    def change(self, alter):
        return change_traffic(self.repository, self.catalog, "counting", alter)

    def set(self, *traffic):
        return self.change(lambda before: Traffic(*traffic))

    def build_engine(self, sessions, clock, policy="pin"):
        kept = Retention(policies=Policies(policy))
        return build_engine(
            clock, sessions=sessions, retention=kept, catalog=self.catalog
        )

    def serve(self, sessions, clock):
        engine = self.build_engine(sessions, clock)
        return serve(self.catalog, engine=engine, repository=self.repository)


@pytest.fixture
def models(tmp_path):
    for version in (1, 2):
        publish(tmp_path / "models", version)
    return tmp_path / "models"


@pytest.fixture
def workers(models, tmp_path):
    return [TrafficWorker(models, tmp_path / "state") for _ in range(2)]


@pytest.fixture
def worker(workers):
    return workers[0]


@pytest.fixture
def send(worker, engine, clock):
    """Advance a session by an event at the address without a version."""

    def advance(session, policy="pin", by=worker, version=None, **options):
        row = Row(np.array([RED], "int32"), session=session, **options)
        model = by.catalog.find("counting", version)
        own = by.build_engine(engine.sessions, clock, policy)
        named = version is not None
        return own.advance(model, [row], tenant="", is_version_named=named)[0]

    return advance


@pytest.fixture
def client(worker, engine, clock):
    return worker.serve(engine.sessions, clock)


def put(client, **body):
    return client.put("/v1/models/counting/traffic", json=body)


def canary(share, version=2):
    return {"version": version, "share": share}


@given(st.floats(0, 1), st.floats(0, 1), st.binary(min_size=1, max_size=64))
def test_larger_share_contains_the_smaller_one(one, other, key):
    small, large = sorted((one, other))
    assert is_in_share(key, small) <= is_in_share(key, large)
    assert not is_in_share(key, 0)
    assert is_in_share(key, 1)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("purpose", [CANARY_PERSON, SHADOW_PERSON])
def test_share_is_that_part_of_the_sessions(share, purpose):
    number = sum(is_in_share(key, share, purpose) for key in KEYS)

    # Five standard deviations of as many throws of a coin.
    assert abs(number - 4000 * share) <= 5 * (4000 * share * (1 - share)) ** 0.5


def test_share_is_the_same_in_every_process():
    chosen = [f"s{k}" for k in range(17) if is_in_share(KEYS[k], 0.2)]
    assert chosen == FIRST_IN_A_FIFTH


def test_shares_of_other_purposes_tenants_and_models_are_other_sessions():
    keys = [
        SessionKey(tenant, model, f"s{k}").encode()
        for tenant, model in (("a", "x"), ("b", "x"), ("a", "y"))
        for k in range(200)
    ]
    chosen = [is_in_share(key, 0.5) for key in keys]
    shadowed = [is_in_share(key, 0.5, SHADOW_PERSON) for key in keys]

    parts = [chosen[:200], chosen[200:400], chosen[400:], shadowed[:200]]
    assert len({tuple(part) for part in parts}) == 4


def test_share_of_new_sessions_begins_on_the_canary_in_every_worker(workers, send):
    workers[0].set(1, 2, 0.2)

    begun = {f"s{k}": send(f"s{k}", by=workers[k % 2]).version for k in range(17)}

    assert [name for name, version in begun.items() if version == 2] == FIRST_IN_A_FIFTH


@pytest.mark.parametrize("policy", POLICIES)
def test_live_sessions_stay_where_they_are_while_a_canary_is_on_trial(
    worker, send, policy
):
    worker.set(1, 2, 0.0)
    assert send("early").version == 1
    worker.set(1, 2, 1.0)
    assert send("late").version == 2
    worker.set(1, 2, 0.0)

    again = [send(name, policy) for name in ("early", "late")]

    assert [(o.version, o.step, o.is_reset) for o in again] == [
        (1, 2, False),
        (2, 2, False),
    ]


def test_explicit_version_wins(worker, send):
    worker.set(1, 2, 1.0)

    assert send("s", version=1).version == 1
    assert isinstance(send("t", version=2).version, int)
    assert send("t", version=2).step == 2


def test_rows_without_a_session_begin_on_the_stable_version(worker, send):
    worker.set(1, 2, 1.0)

    assert send(None).version == 1
    assert send(None, seal_memory=True).version == 1


def test_restarted_session_begins_where_new_ones_do(worker, send):
    worker.set(1, 2, 1.0)
    assert send("s").version == 2
    worker.change(Traffic.rollback)

    assert send("s").version == 2  # live: it stays
    assert send("s", start=True, is_strict=True).version == 1


@pytest.mark.parametrize("options", [{"key": "k", "fingerprint": b"f" * 16}, {"at": 0}])
def test_repeat_is_recognised_after_the_share_has_changed(worker, send, options):
    worker.set(1, 2, 1.0)
    first = send("s", **options)
    worker.change(Traffic.rollback)

    again = send("s", **options)

    assert (first.version, again.version, again.is_replayed) == (2, 2, True)
    assert send("s").step == 2


def test_canary_that_cannot_take_the_first_event_does_not_refuse_it(
    worker, send, monkeypatch
):
    other = build_model(2, NEW, ("green", "blue"))
    worker.set(1, 2, 1.0)
    worker.catalog.replace("counting", [worker.catalog.find("counting", 1), other])

    outcome = send("s", events=["red"])

    assert outcome.version == 1


def test_canary_that_is_gone_begins_no_session_and_its_own_follow_the_policy(
    worker, send, models, tmp_path
):
    worker.set(1, 2, 1.0)
    assert send("s").version == 2
    (models / "counting" / "2" / "damaged").touch()

    restarted = TrafficWorker(models, tmp_path / "state", generation="second")

    assert restarted.catalog.versions("counting") == [1]
    assert send("new", by=restarted).version == 1
    assert isinstance(send("s", by=restarted), WrongNetwork)
    assert send("s", by=restarted, policy="reset").is_reset
    assert "damaged" in restarted.repository.failures("counting")[2]


def test_stable_version_that_is_gone_is_replaced_by_none_on_trial(models, tmp_path):
    publish(models, 3)
    worker = TrafficWorker(models, tmp_path / "state", max_versions=3)
    worker.set(2, 3, 0.5)
    (models / "counting" / "2" / "damaged").touch()

    restarted = TrafficWorker(models, tmp_path / "state", "second", max_versions=3)

    assert restarted.catalog.find("counting").manifest.version == 1


def test_traffic_survives_a_restart_and_damage_of_its_file(models, tmp_path, workers):
    workers[0].set(1, 2, 0.25)
    [file] = (tmp_path / "state").rglob("repository.json")
    for damage in ("", "{", file.read_text().replace("0.25", "7.5")):
        file.write_text(damage)

        restarted = TrafficWorker(models, tmp_path / "state", generation=damage)

        assert restarted.catalog.traffic("counting") == Traffic(1, 2, 0.25)
        assert workers[1].catalog.find("counting").manifest.version == 1


def test_record_of_an_earlier_release_has_no_traffic(models, tmp_path, workers):
    [file] = (tmp_path / "state").rglob("repository.json")
    content = json.loads(file.read_text())
    content["models"]["counting"] = content["models"]["counting"][:5]
    file.write_text(json.dumps(content))

    restarted = TrafficWorker(models, tmp_path / "state")

    assert restarted.catalog.find("counting").manifest.version == 2


def test_versions_of_the_traffic_stay_served_beyond_the_newest(models, tmp_path):
    one = TrafficWorker(models, tmp_path / "state", max_versions=1)
    one.set(1, 2, 0.5)
    publish(models, 3)
    one.repository.load("counting")
    one.repository.adopt_newer()

    restarted = TrafficWorker(models, tmp_path / "state", "second", max_versions=1)

    for worker in (one, restarted):
        assert worker.catalog.versions("counting") == [1, 2, 3]
        assert worker.catalog.find("counting").manifest.version == 1


def test_changes_at_the_same_time_are_made_one_after_the_other(workers):
    workers[0].set(1)
    errors = []

    def promote(worker, version):
        try:
            worker.change(lambda traffic: traffic.promote(version))
        except Conflict as error:  # the others were faster each time
            errors.append(error)

    threads = [
        threading.Thread(target=promote, args=(workers[k % 2], 1 + k % 2))
        for k in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for worker in workers:
        worker.repository.reconcile()
    traffic = {worker.catalog.traffic("counting") for worker in workers}
    assert errors == []
    assert traffic in ({Traffic(1, previous=2)}, {Traffic(2, previous=1)})


def test_change_that_was_decided_on_older_traffic_is_decided_again(workers):
    one, other = workers
    one.set(1)
    seen = []

    def add_shadow(before):
        if not seen:  # meanwhile, in another worker
            other.set(1, 2, 0.5)
        seen.append(before)
        return Traffic(before.stable, before.canary, before.share, 2, 1.0)

    one.change(add_shadow)

    assert seen == [Traffic(1), Traffic(1, 2, 0.5)]
    assert one.catalog.traffic("counting") == Traffic(1, 2, 0.5, 2, 1.0)


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


def test_full_disk_refuses_a_change_and_keeps_the_traffic(worker, monkeypatch):
    worker.set(1, 2, 0.5)

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("service.registry.shared_choices.replace_file", fail)
    with pytest.raises(ModelNotLoaded):
        worker.set(2)

    assert worker.catalog.traffic("counting") == Traffic(1, 2, 0.5)


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
