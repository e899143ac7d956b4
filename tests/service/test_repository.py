"""Loads and unloads reach every worker; repositories of one state are workers."""

import shutil

import pytest

from service.artifact import ArtifactError
from service.catalog import Catalog
from service.errors import ModelNotFound, ModelNotLoaded
from service.repository import Repository
from tests.fakes import counting_model


class Worker:
    """A process of the service: a catalog of its own, and the state all share."""

    def __init__(self, models, state):
        self.loads = 0
        self.catalog = Catalog([])
        self.repository = Repository(
            self.catalog, models, self.load, max_versions=2, state=state
        )

    def load(self, path):
        self.loads += 1
        if (path / "damaged").exists():
            raise ArtifactError(f"{path} is damaged.")
        return counting_model(version=int(path.name))


def publish(models, version, name="counting"):
    folder = models / name / str(version) / "assets.extra" / "carryover"
    folder.mkdir(parents=True)
    (folder / "manifest.json").touch()
    return models / name / str(version)


@pytest.fixture
def models(tmp_path):
    publish(tmp_path / "models", 1)
    return tmp_path / "models"


@pytest.fixture
def workers(models, tmp_path):
    return [Worker(models, tmp_path / "state") for _ in range(2)]


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
    restarted.catalog.replace("counting", [counting_model()])
    again = Repository(
        restarted.catalog, models, restarted.load, state=tmp_path / "state"
    )

    assert restarted.catalog.names() == []
    again.load("counting")
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
