"""Loads and unloads reach every worker; repositories of one state are workers."""

import os
import shutil

import pytest

from service.errors import ModelNotFound, ModelNotLoaded
from tests.fakes import FakeClock
from tests.service import repositories
from tests.service.repositories import Worker, publish

models = pytest.fixture(repositories.models)
workers = pytest.fixture(repositories.workers)


def test_loaded_model_is_served_by_every_worker(workers):
    one, other = workers

    one.repository.load("counting")

    assert one.catalog.versions("counting") == [1]
    assert other.catalog.versions("counting") == [1]


def test_unloaded_model_is_served_by_no_worker(workers):
    one, other = workers
    one.repository.load("counting")

    other.repository.unload("counting")

    for worker in workers:
        with pytest.raises(ModelNotFound):
            worker.catalog.find("counting")


def test_load_brings_the_newest_versions_and_reads_no_version_twice(workers, models):
    one, other = workers
    one.repository.load("counting")
    publish(models, 2)
    publish(models, 3)

    one.repository.load("counting")

    assert one.catalog.versions("counting") == [2, 3]
    assert other.catalog.versions("counting") == [2, 3]
    one.repository.load("counting")
    assert one.loads == 3


def test_nothing_is_read_while_nothing_is_asked_for(workers, models):
    one, _ = workers
    one.repository.load("counting")
    publish(models, 2)

    assert one.catalog.versions("counting") == [1]
    assert one.loads == 1


def test_unload_holds_over_a_restart(workers, models, tmp_path):
    workers[0].repository.load("counting")
    workers[0].repository.unload("counting")

    restarted = Worker(models, tmp_path / "state")

    assert restarted.catalog.names() == []
    restarted.repository.load("counting")
    assert restarted.catalog.names() == ["counting"]


def test_damaged_version_is_refused_and_the_others_stay(workers, models):
    one, other = workers
    one.repository.load("counting")
    other.catalog.names()
    (publish(models, 2) / "damaged").touch()

    with pytest.raises(ModelNotLoaded, match="damaged"):
        one.repository.load("counting")

    assert one.catalog.versions("counting") == [1]
    assert other.catalog.versions("counting") == [1]


def test_worker_that_cannot_follow_serves_on(workers, models):
    one, other = workers
    one.repository.load("counting")
    other.catalog.names()
    version = publish(models, 2)
    one.repository.load("counting")
    (version / "damaged").touch()

    assert other.catalog.versions("counting") == [1]


@pytest.mark.parametrize("name", ["nope", "..", ".", "", "counting/1"])
@pytest.mark.parametrize("verb", ["load", "unload"])
def test_what_is_not_in_the_folder_is_not_found(workers, name, verb):
    with pytest.raises(ModelNotFound):
        getattr(workers[0].repository, verb)(name)


def test_index_lists_every_version_and_whether_it_is_served(workers, models):
    for version in (2, 3):
        publish(models, version)
    publish(models, 1, name="other")
    workers[0].repository.load("counting")

    listed = workers[1].repository.index()

    assert [(v.name, v.version, v.is_ready, v.reason) for v in listed] == [
        ("counting", 1, False, "not newest"),
        ("counting", 2, True, ""),
        ("counting", 3, True, ""),
        ("other", 1, False, "unloaded"),
    ]


def test_folder_that_is_gone_lists_what_is_served(workers, models):
    workers[0].repository.load("counting")
    shutil.rmtree(models)

    assert [v.is_ready for v in workers[0].repository.index()] == [True]


def test_worker_that_comes_back_serves_what_was_chosen(workers, models, tmp_path):
    publish(models, 2)

    assert Worker(models, tmp_path / "state").catalog.versions("counting") == [1]
    restarted = Worker(models, tmp_path / "state", generation="second")
    assert restarted.catalog.versions("counting") == [1, 2]
    # The workers of the first service follow, and one that comes back does too.
    assert workers[0].catalog.versions("counting") == [1, 2]
    assert Worker(models, tmp_path / "state").catalog.versions("counting") == [1, 2]


def test_worker_that_cannot_serve_a_choice_says_so_and_tries_again(models, tmp_path):
    clock = FakeClock()
    one = Worker(models, tmp_path / "state")
    other = Worker(models, tmp_path / "state", clock=clock)
    version = publish(models, 2)
    one.repository.load("counting")
    (version / "damaged").touch()

    assert other.catalog.versions("counting") == [1]
    assert "is damaged" in other.repository.failures("counting")[2]
    [listed] = [v for v in other.repository.index() if v.version == 2]
    assert (listed.is_ready, "is damaged" in listed.reason) == (False, True)
    (version / "damaged").unlink()
    assert other.catalog.versions("counting") == [1]
    clock.advance(5)
    assert other.catalog.versions("counting") == [1, 2]
    assert other.repository.failures("counting") == {}


def test_damaged_newest_version_leaves_the_last_good_at_a_start(
    models, tmp_path, caplog
):
    (publish(models, 2) / "damaged").touch()
    (publish(models, 1, name="counting-backup") / "damaged").touch()

    for worker in [Worker(models, tmp_path / "state") for _ in range(2)]:
        assert worker.catalog.versions("counting") == [1]
        assert worker.catalog.names() == ["counting"]
        reasons = {(v.name, v.version): v.reason for v in worker.repository.index()}
        assert "is damaged" in reasons["counting", 2]
        assert "is damaged" in reasons["counting-backup", 1]
    assert caplog.text.count("skipped") == 2


def test_any_exception_of_a_load_is_that_versions_failure(models, tmp_path, caplog):
    clock = FakeClock()

    class Odd(Worker):
        def load(self, path):
            if path.name == "2":
                raise MemoryError("10**12 numbers")
            return super().load(path)

    publish(models, 2)

    publish(models, 2, name="odd")
    worker = Odd(models, tmp_path / "state", clock=clock)
    for _ in range(3):
        assert worker.catalog.names() == ["counting"]
        assert worker.catalog.versions("counting") == [1]
        clock.advance(5)
    # Each version once, however often it is tried.
    assert caplog.text.count("Traceback") == 2


@pytest.mark.parametrize("damage", ["truncate", "unlink"])
def test_unload_reaches_workers_whatever_befell_the_files_of_the_state(
    workers, models, tmp_path, damage
):
    for file in list((tmp_path / "state").rglob("repository.*")):
        file.unlink() if damage == "unlink" else os.truncate(file, 0)
    assert workers[1].catalog.versions("counting") == [1]
    restarted = Worker(models, tmp_path / "state")

    restarted.repository.unload("counting")

    for worker in [*workers, restarted]:
        assert worker.catalog.names() == []


@pytest.mark.parametrize("older", [[], [1]])
@pytest.mark.parametrize("max_versions", [1, 2])
def test_start_that_cannot_open_a_chosen_version_leaves_it_to_others(
    tmp_path, older, max_versions
):
    models, state, clock = tmp_path / "models", tmp_path / "state", FakeClock()
    for version in [*older, 2]:
        publish(models, version)
    one = Worker(models, state, max_versions=max_versions)
    before = one.catalog.versions("counting")
    damage = models / "counting" / "2" / "damaged"
    damage.touch()

    for generation in ("second", "third"):
        other = Worker(models, state, generation, clock, max_versions)

        assert one.catalog.versions("counting") == before
        assert one.repository.failures("counting") == {}
        assert other.catalog.names() == (["counting"] if older else [])
        assert "is damaged" in other.repository.failures("counting")[2]
    damage.unlink()
    clock.advance(5)
    assert other.catalog.versions("counting") == before
    assert other.repository.failures("counting") == {}


def test_version_that_no_worker_could_open_is_served_when_its_files_are_back(
    models, tmp_path
):
    clock = FakeClock()
    damages = [models / "counting" / "1" / "damaged", publish(models, 2) / "damaged"]
    for damage in damages:
        damage.touch()
    workers = [
        Worker(models, tmp_path / "state", clock=clock, max_versions=1)
        for _ in range(2)
    ]
    assert [worker.catalog.names() for worker in workers] == [[], []]

    for number, damage in enumerate(damages, 1):
        damage.unlink()
        clock.advance(5)
        for worker in workers:
            assert worker.catalog.versions("counting") == [number]


def test_start_with_another_folder_leaves_what_is_served(workers, models, tmp_path):
    publish(tmp_path / "others", 7)

    other = Worker(tmp_path / "others", tmp_path / "state", "second")

    assert other.catalog.versions("counting") == [7]
    for worker in workers:
        assert worker.catalog.versions("counting") == [1]


def test_version_that_is_gone_from_the_folder_is_chosen_no_more(models, tmp_path):
    publish(models, 2)
    Worker(models, tmp_path / "state")
    shutil.rmtree(models / "counting" / "2")

    restarted = Worker(models, tmp_path / "state", "second")

    assert restarted.catalog.versions("counting") == [1]
    assert restarted.repository.failures("counting") == {}
