"""A canary of the weights of the stable version: an A/A test keeps its sessions too."""

import json

import numpy as np
import pytest

from service.engine import column_lane
from service.engine.rows import Row
from service.registry.traffic import Traffic
from tests.service.migrations import OLD, build_model
from tests.service.repositories import Worker, publish
from tests.service.traffic_workers import TrafficWorker

RED = 0
MANY = 2 * column_lane.MIN_ROWS


class TwinWorker(TrafficWorker):
    """A worker of a service that serves one network under several versions."""

    def load(self, path):
        return build_model(Worker.load(self, path).manifest.version, OLD)


@pytest.fixture
def workers(tmp_path):
    for version in (1, 2, 3):
        publish(tmp_path / "models", version)
    return [
        TwinWorker(tmp_path / "models", tmp_path / "state", max_versions=3)
        for _ in range(2)
    ]


@pytest.fixture
def send(workers, engine, clock):
    """Advance rows by an event at the address without a version, by some worker."""

    def advance(rows, by=0, policy="pin", version=None):
        worker = workers[by]
        model = worker.catalog.find("counting", version)
        own = worker.build_engine(engine.sessions, clock, policy)
        named = version is not None
        return own.advance(model, rows, tenant="", is_version_named=named)

    return advance


def rows_of(names):
    return [Row(np.array([RED], "int32"), session=name) for name in names]


def token_row(token, **more):
    return Row(
        np.array([RED], "int32"), session=None, seal_memory=True, token=token, **more
    )


@pytest.mark.parametrize("number", [1, MANY], ids=["one by one", "as columns"])
@pytest.mark.parametrize("policy", ["pin", "refuse", "reset", "replay"])
def test_live_sessions_stay_where_they_began(workers, send, number, policy):
    early = [f"early{k}" for k in range(number)]
    late = [f"late{k}" for k in range(number)]
    workers[0].set(1, 2, 0.0)
    send(rows_of(early), policy=policy)
    workers[0].set(1, 2, 1.0)
    send(rows_of(late), policy=policy)

    seen = []
    for turn in range(3):
        workers[0].set(1, 2, turn / 2)
        outcomes = send(rows_of([*early, *late]), by=turn % 2, policy=policy)
        seen.append([(one.version, one.step) for one in outcomes])

    assert seen == [
        [(1, turn + 2)] * number + [(2, turn + 2)] * number for turn in range(3)
    ]


def test_sessions_of_a_canary_never_move_to_the_shadow(workers, send):
    workers[0].set(1, 2, 1.0, 3, 1.0)
    send(rows_of(["s"]))

    [outcome] = send(rows_of(["s"]), by=1)

    assert (outcome.version, outcome.step) == (2, 2)


def test_pinned_sessions_stay_on_their_own_of_two_versions_of_their_weights(
    workers, send, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        TwinWorker,
        "load",
        lambda self, path: build_model(
            int(path.name), "cd" * 32 if path.name == "1" else OLD
        ),
    )
    for worker in workers:
        paths = [tmp_path / "models" / "counting" / version for version in "123"]
        worker.catalog.replace("counting", [worker.load(path) for path in paths])
    workers[0].set(1, 2, 1.0)
    send(rows_of(["s"]))

    [outcome] = send(rows_of(["s"]), by=1)

    assert (outcome.version, outcome.step) == (2, 2)


def test_tokens_stay_where_they_began(workers, send):
    workers[0].set(1, 2, 1.0)
    [begun] = send([token_row(None)], version=2)
    [stable] = send([token_row(None)])

    seen = []
    for turn in range(2):
        [begun, stable] = send(
            [token_row(begun.token), token_row(stable.token)], by=turn
        )
        seen.append((begun.version, begun.step, stable.version, stable.step))

    assert seen == [(2, 2, 1, 2), (2, 3, 1, 3)]


def test_version_in_the_address_wins(workers, send):
    workers[0].set(1, 2, 1.0)
    send(rows_of(["s"]))

    assert [one.version for one in send(rows_of(["s"]), version=1)] == [1]
    assert [one.version for one in send(rows_of(["s"]))] == [1]


@pytest.mark.parametrize("number", [1, MANY], ids=["one by one", "as columns"])
def test_without_a_canary_the_same_weights_continue_under_the_stable_version(
    workers, send, number
):
    names = [f"s{k}" for k in range(number)]
    workers[0].set(1, 2, 1.0)
    send(rows_of(names))
    workers[0].change(Traffic.rollback)

    for step in (2, 3):
        outcomes = send(rows_of(names), by=1)
        assert {(one.version, one.step) for one in outcomes} == {(1, step)}


def test_memory_in_the_open_stays_with_the_version_that_it_names(
    workers, send, engine, clock
):
    worker = workers[0]
    worker.set(1, 2, 1.0)
    client = worker.serve(engine.sessions, clock)
    send(rows_of(["s"]))

    memory = client.get("/v1/models/counting/sessions/s/memory").json
    put = client.put(
        "/v1/models/counting/sessions/copy/memory", data=json.dumps(memory)
    )

    assert put.status_code < 300, put.text
    assert memory["model_version"] == "2"
    assert [one.version for one in send(rows_of(["copy"]), by=1)] == [2]
