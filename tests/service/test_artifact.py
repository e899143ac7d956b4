import hashlib
import json
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from service.errors import ModelNotFound, VersionNotFound
from service.registry.artifact import (
    MANIFEST,
    ArtifactError,
    find_versions,
    read_artifact,
)
from service.registry.catalog import Catalog, load_model
from service.registry.model_repository import Repository
from tests.fakes import CountingRuntime, counting_model

NOBODY = 65_534
GRAPH = hashlib.sha256(b"graph").hexdigest()


def write_version(folder, number, **changes):
    """Write a version with one file, `saved_model.pb`."""
    path = folder / str(number)
    (path / MANIFEST).parent.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    manifest = {
        "format": 1,
        "name": folder.name,
        "version": number,
        "task": "label",
        "cell": "lstm",
        "units": [8],
        "input": {"kind": "event", "vocabulary": ["a"]},
        "output": {"kind": "label", "name": "probabilities", "labels": ["x"]},
        "memory": {"short_term_0": [8], "long_term_0": [8]},
        "network": "00" * 32,
        "files": {"saved_model.pb": GRAPH},
        "memory_layout": "a field this service does not need",
        **changes,
    }
    (path / MANIFEST).write_text(json.dumps(manifest))
    return path


def test_newest_version_is_the_largest_number_and_comes_first(tmp_path):
    for version in (2, 10, 9):
        write_version(tmp_path / "m", version)

    [versions] = find_versions(tmp_path)

    assert [path.name for path in versions] == ["10", "9", "2"]


def test_hidden_and_foreign_folders_are_no_versions(tmp_path):
    write_version(tmp_path / "m", 1)
    (tmp_path / "m" / ".2.partial").mkdir()
    (tmp_path / "m" / "3").mkdir()
    (tmp_path / "m" / "2-backup").mkdir()
    (tmp_path / "m" / "007").mkdir()
    write_version(tmp_path / "m", 2**63)  # no record has room for it
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").touch()

    assert list(find_versions(tmp_path)) == [[tmp_path / "m" / "1"]]


def test_folder_that_cannot_be_read_costs_no_other(caplog):
    with TemporaryDirectory() as folder, as_nobody(Path(folder)) as models:
        write_version(models / "m", 1)
        write_version(models / "m", 2).chmod(0)
        (models / "closed").mkdir(0)

        found = list(find_versions(models))

    assert [[path.name for path in paths] for paths in found] == [["2", "1"]]
    assert "closed cannot be read" in caplog.text


@contextmanager
def as_nobody(folder):
    """Work in a folder as a user who may not read everything."""
    user = os.geteuid()
    if user == 0:
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(user)


def test_no_folder_holds_no_models(tmp_path):
    assert list(find_versions(tmp_path / "none")) == []


def test_artifact_has_its_manifest(tmp_path):
    artifact = read_artifact(write_version(tmp_path / "m", 1))

    assert artifact.manifest.memory == {"short_term_0": [8], "long_term_0": [8]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "manifest format 2; this service reads 1"),
        ({"memory": 7}, "cannot be read"),
        ({"name": "other"}, "holds version 1 of other"),
        ({"version": 2}, "holds version 2 of m"),
        ({"files": {"saved_model.pb": "0" * 64}}, "was changed after export"),
        ({"files": {"saved_model.pb": GRAPH, "no": "0" * 64}}, "cannot be read"),
        ({"files": {"saved_model.pb": GRAPH, "../x": GRAPH}}, "is not inside it"),
        ({"files": {}}, "lists no saved_model.pb"),
        ({"network": "abcd"}, "cannot be read"),
        ({"version": 2**64}, "cannot be read"),
    ],
)
def test_damaged_version_is_refused_with_the_file_and_a_fix(tmp_path, changes, words):
    path = write_version(tmp_path / "m", 1, **changes)

    with pytest.raises(ArtifactError) as caught:
        read_artifact(path)

    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b'{"\xff": 1}', b"[" * 99_999, b""])
def test_manifest_that_is_no_text_is_refused(tmp_path, content):
    path = write_version(tmp_path / "m", 1)
    [manifest] = path.rglob("manifest.json")
    manifest.write_bytes(content)

    with pytest.raises(ArtifactError, match="cannot be read"):
        read_artifact(path)


def test_catalog_serves_the_newest_unless_one_is_named():
    first, second = counting_model(version=1), counting_model(version=2)
    catalog = Catalog([second, first])

    assert catalog.find("counting") is second
    assert catalog.find("counting", 1) is first


COUNTING = {
    "input": {"kind": "event", "vocabulary": ["red", "green", "poison"]},
    "output": {"kind": "label", "name": "probabilities", "labels": ["x", "y", "z"]},
    "memory": {"short_term_0": [3]},
}


@pytest.fixture
def load(tmp_path, tmp_path_factory, monkeypatch):
    """Start a service; its networks count, as far as their manifests let them."""
    monkeypatch.setattr(
        "service.registry.catalog.open_runtime", lambda path, _: CountingRuntime()
    )

    def start(limit):
        catalog = Catalog([])
        state = tmp_path_factory.mktemp("state")
        read = partial(load_model, max_events=9)
        Repository(catalog, tmp_path, read, max_versions=limit, state=state)
        return catalog

    return start


def test_a_number_of_versions_of_each_model_is_served(tmp_path, load):
    for version in (1, 2, 3):
        write_version(tmp_path / "m", version, **COUNTING)
    write_version(tmp_path / "other", 7, **COUNTING)

    catalog = load(2)

    assert catalog.versions("m") == [2, 3]
    assert catalog.versions("other") == [7]
    family = catalog.family(catalog.find("m"))
    assert [model.manifest.version for model in family] == [2, 3]


@pytest.mark.parametrize("damaged", [1, 2, 3])
@pytest.mark.parametrize("limit", [1, 2])
def test_damaged_version_gives_its_place_to_the_next(
    tmp_path, load, caplog, damaged, limit
):
    for version in (1, 2, 3):
        changes = {"format": 2} if version == damaged else {}
        write_version(tmp_path / "m", version, **COUNTING, **changes)

    whole = [version for version in (1, 2, 3) if version != damaged]
    assert load(limit).versions("m") == whole[-limit:]
    newer = [version for version in whole if version > damaged]
    assert ("skipped" in caplog.text) is (len(newer) < limit)


def test_model_without_a_whole_version_stops_no_other(tmp_path, load, caplog):
    write_version(tmp_path / "m", 1, **COUNTING, format=2)
    write_version(tmp_path / "other", 1, **COUNTING)

    assert load(2).names() == ["other"]
    assert "format 2" in caplog.text


def test_catalog_names_what_it_has_when_asked_for_something_else():
    catalog = Catalog([counting_model()])

    with pytest.raises(ModelNotFound, match="served models are: counting"):
        catalog.find("nope")
    with pytest.raises(VersionNotFound, match="it is in version 1"):
        catalog.find("counting", 3)
