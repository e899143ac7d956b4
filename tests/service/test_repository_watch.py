"""Versions that appear in the folder are served by every worker."""

import errno
import shutil

import pytest

from service.errors import ModelNotLoaded
from service.registry.adoption import FolderWatch
from service.registry.shared_choices import SharedChoices
from tests.service import repositories
from tests.service.repositories import Worker, publish

models = pytest.fixture(repositories.models)
workers = pytest.fixture(repositories.workers)


@pytest.fixture
def watched(workers):
    """Workers that serve version 1."""
    workers[0].repository.load("counting")
    return workers


def test_version_that_appears_is_served_by_every_worker(watched, models):
    one, other = watched
    publish(models, 2)

    one.repository.adopt_newer()

    assert one.catalog.versions("counting") == [1, 2]
    assert other.catalog.versions("counting") == [1, 2]
    assert other.catalog.find("counting").manifest.version == 2
    assert one.loads == 2


def test_oldest_version_makes_room_for_one_that_appears(watched, models):
    one, _ = watched
    for version in (2, 3):
        publish(models, version)
        one.repository.adopt_newer()

    assert one.catalog.versions("counting") == [2, 3]


def test_look_without_anything_new_loads_and_chooses_nothing(watched, models):
    one, _ = watched
    state = next(models.parent.glob("state/**/repository.json"))
    before = state.stat()

    one.repository.adopt_newer()

    assert one.loads == 1
    assert state.stat().st_ino == before.st_ino


def test_broken_version_is_refused_once_and_taken_when_repaired(
    watched, models, caplog
):
    one, other = watched
    damage = publish(models, 2) / "damaged"
    damage.touch()

    for _ in range(3):
        one.repository.adopt_newer()

    assert one.catalog.versions("counting") == [1]
    for worker in watched:
        assert "damaged" in worker.repository.failures("counting")[2]
    refused = [r for r in caplog.records if r.message.startswith("refused counting")]
    assert len(refused) == 1
    assert one.loads == 2

    damage.unlink()
    one.repository.adopt_newer()

    assert one.catalog.versions("counting") == [1, 2]
    assert other.catalog.versions("counting") == [1, 2]
    assert other.repository.failures("counting") == {}


def test_whole_version_is_taken_past_a_broken_newer_one(watched, models):
    one, _ = watched
    publish(models, 2)
    (publish(models, 3) / "damaged").touch()

    one.repository.adopt_newer()

    assert one.catalog.versions("counting") == [1, 2]
    assert list(one.repository.failures("counting")) == [3]


def test_unloaded_model_is_not_taken_by_a_look(watched, models):
    one, _ = watched
    one.repository.unload("counting")
    publish(models, 2)

    one.repository.adopt_newer()

    assert one.catalog.names() == []


def test_model_that_appears_is_served(watched, models):
    one, other = watched
    publish(models, 1, "another")

    one.repository.adopt_newer()

    assert one.catalog.names() == other.catalog.names() == ["another", "counting"]


def test_version_with_a_removed_folder_is_still_served(watched, models):
    one, _ = watched
    publish(models, 2)
    one.repository.adopt_newer()
    shutil.rmtree(models / "counting" / "2")

    one.repository.adopt_newer()

    assert one.catalog.versions("counting") == [1, 2]


def test_one_worker_looks_at_a_time(watched, models):
    one, other = watched
    publish(models, 2)
    looked = []
    load = one.load

    def look_meanwhile(path):
        other.repository.adopt_newer()
        looked.append(other.loads)
        return load(path)

    one.load = look_meanwhile
    one.repository.adopt_newer()

    assert looked == [1]  # version 1 alone, before and meanwhile
    assert one.catalog.versions("counting") == [1, 2]


def test_watch_outlives_a_look_that_fails(caplog):
    looks = []

    class Broken:
        def adopt_newer(self):
            looks.append("look")
            raise RuntimeError("disk")

    waits = iter([False, False, True])
    watch = FolderWatch(Broken(), 3.0, wait=lambda seconds: next(waits))

    watch.run()

    assert looks == ["look", "look"]
    assert "cannot look for new versions" in caplog.text


def test_choice_that_cannot_be_stored_is_logged_and_what_is_served_stays(
    watched, models, monkeypatch, caplog
):
    one, _ = watched
    publish(models, 2)
    publish(models, 1, "another")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SharedChoices, "add", refuse)
    one.repository.adopt_newer()

    assert one.catalog.names() == ["counting"]
    assert one.catalog.versions("counting") == [1]
    said = [r.message for r in caplog.records if "cannot be stored" in r.message]
    assert len(said) == 2  # of either model


def test_chosen_version_that_is_gone_here_stays_chosen(watched, models, tmp_path):
    one, _ = watched
    shutil.rmtree(models / "counting" / "1")
    publish(models, 2)
    late = Worker(models, tmp_path / "state")

    late.repository.adopt_newer()

    assert late.catalog.versions("counting") == [2]
    assert one.catalog.versions("counting") == [1, 2]


def test_folder_without_a_manifest_says_why_it_is_no_version(models, tmp_path):
    (models / "counting" / "2").mkdir()
    (models / "lone" / "1").mkdir(parents=True)
    repository = Worker(models, tmp_path / "state").repository

    reasons = {(one.name, one.version): one.reason for one in repository.index()}
    assert "manifest.json" in reasons["counting", 2]
    assert "manifest.json" in reasons["lone", 1]
    assert repository.failures("counting").keys() == {2}
    with pytest.raises(ModelNotLoaded, match=r"manifest\.json"):
        repository.load("lone")

    publish(models, 3)
    repository.load("counting")
    assert repository.failures("counting").keys() == {2}
