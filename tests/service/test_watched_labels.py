"""Version labels that the watch adopts, for all workers: whole, or not at all."""

import json

import pytest

from service.errors import UnknownLabel, VersionNotFound
from tests.service.repositories import Worker, publish

GOOD = {"stable": 1}


class Follower(Worker):
    """A worker of a service with a watch."""

    def __init__(self, models, state, generation="first"):
        self.counted = []
        super().__init__(
            models,
            state,
            generation,
            follows_labels=True,
            count_labels=lambda name, is_good: self.counted.append((name, is_good)),
        )

    def resolve(self, label):
        version = self.repository.find_labelled("counting", label)
        return self.catalog.find("counting", version).manifest.version


def label(models, labels):
    text = labels if isinstance(labels, str) else json.dumps(labels)
    (models / "counting" / "labels.json").write_text(text)


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    publish(folder, 1)
    label(folder, GOOD)
    return folder


@pytest.fixture
def workers(models, tmp_path):
    return [Follower(models, tmp_path / "state") for _ in range(2)]


def look(workers):
    """Look as each worker's watch does, one after the other."""
    for worker in workers:
        worker.repository.adopt_newer()


def test_labels_are_adopted_by_the_start(workers):
    assert [worker.resolve("stable") for worker in workers] == [1, 1]


def test_label_and_the_version_it_names_arrive_together(workers, models):
    one, other = workers
    publish(models, 2)
    label(models, {"stable": 1, "canary": 2})
    with pytest.raises(UnknownLabel):  # not noticed yet, by any worker
        other.resolve("canary")

    one.repository.adopt_newer()

    assert [worker.resolve("canary") for worker in workers] == [2, 2]
    assert one.counted[-1] == ("counting", True)


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"stable": "1"}', '{"stable": 0}', '{"stable": 9}']
)
def test_damaged_labels_are_refused_once_and_the_old_ones_stay(
    workers, models, tmp_path, damage, caplog
):
    label(models, damage)

    for _ in range(3):
        look(workers)

    late = Follower(models, tmp_path / "state", "second")  # a restart later
    assert [worker.resolve("stable") for worker in (*workers, late)] == [1, 1, 1]
    assert [worker.counted[1:] for worker in workers] == [[("counting", False)], []]
    errors = [r for r in caplog.records if r.levelname == "ERROR"]
    assert sum(r.name.startswith("service.") for r in errors) == 1
    for worker in (*workers, late):
        assert "labels" in worker.repository.version_labels("counting").failure

    label(models, GOOD)
    look(workers)

    assert late.repository.version_labels("counting").failure == ""
    assert workers[0].counted[-1] == ("counting", True)


def test_labels_that_name_a_broken_version_wait_for_its_repair(workers, models):
    damage = publish(models, 2) / "damaged"
    damage.touch()
    label(models, {"stable": 2, "canary": 1})
    before = workers[0].loads
    for _ in range(3):
        look(workers)

    assert workers[0].loads == before + 1  # tried once
    assert [worker.resolve("stable") for worker in workers] == [1, 1]
    with pytest.raises(UnknownLabel):  # whole, or not at all
        workers[0].resolve("canary")

    damage.unlink()
    look(workers)

    assert [worker.resolve("stable") for worker in workers] == [2, 2]


def test_labelled_version_makes_no_room_for_newer_ones(workers, models):
    for version in (2, 3, 4):
        publish(models, version)
        look(workers)

    assert workers[1].catalog.versions("counting") == [1, 3, 4]
    assert workers[1].resolve("stable") == 1

    workers[0].repository.load("counting")  # as a call does

    assert workers[1].resolve("stable") == 1
    label(models, {"stable": 4})
    look(workers)
    assert workers[1].catalog.versions("counting") == [3, 4]


def test_label_brings_an_older_version_once_it_is_there(workers, models):
    publish(models, 5)
    label(models, {"stable": 5, "old": 3})
    look(workers)
    with pytest.raises(UnknownLabel):
        workers[1].resolve("old")

    publish(models, 3)
    look(workers)

    assert [worker.resolve("old") for worker in workers] == [3, 3]


def test_removed_file_removes_the_labels(workers, models):
    (models / "counting" / "labels.json").unlink()

    look(workers)

    with pytest.raises(UnknownLabel, match="labels are: none"):
        workers[1].resolve("stable")


def test_look_at_unchanged_labels_writes_and_loads_nothing(workers, models):
    [state] = models.parent.glob("state/**/repository.json")
    before, loads = state.stat().st_ino, [worker.loads for worker in workers]

    look(workers)

    assert state.stat().st_ino == before
    assert [worker.loads for worker in workers] == loads


def test_label_survives_an_unload_and_a_load(workers, models):
    workers[0].repository.unload("counting")
    label(models, "{")
    look(workers)
    workers[1].repository.load("counting")

    assert workers[0].resolve("stable") == 1


def test_label_of_a_version_that_a_worker_cannot_open_is_not_another(workers, models):
    one, other = workers
    damage = publish(models, 2) / "damaged"
    label(models, {"stable": 2})
    one.repository.adopt_newer()
    damage.touch()

    with pytest.raises(VersionNotFound):
        other.resolve("stable")
