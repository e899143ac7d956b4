"""A canary that is consistent per session, in every worker, and its two decisions."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Conflict, ModelNotLoaded, WrongNetwork
from service.registry.traffic import CANARY_PERSON, SHADOW_PERSON, Traffic, is_in_share
from service.sessions.record import SessionKey
from service.sessions.version_policy import POLICIES
from tests.service import traffic_workers
from tests.service.migrations import NEW, build_model
from tests.service.repositories import publish
from tests.service.traffic_workers import FIRST_IN_A_FIFTH, KEYS, TrafficWorker

models = pytest.fixture(traffic_workers.models)
workers = pytest.fixture(traffic_workers.workers)
worker = pytest.fixture(traffic_workers.worker)
send = pytest.fixture(traffic_workers.send)


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


def test_full_disk_refuses_a_change_and_keeps_the_traffic(worker, monkeypatch):
    worker.set(1, 2, 0.5)

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("service.registry.shared_choices.replace_file", fail)
    with pytest.raises(ModelNotLoaded):
        worker.set(2)

    assert worker.catalog.traffic("counting") == Traffic(1, 2, 0.5)
