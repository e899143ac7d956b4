"""The copy of a SavedModel that export and compilation share."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow
tf = pytest.importorskip("tensorflow")

from models.export import export_network, export_programs  # noqa: E402
from models.export.compilation import Form  # noqa: E402
from models.export.loading import load_saved_model  # noqa: E402
from tests import networks  # noqa: E402


def save(path, value):
    """Save a module of one number that can be called."""
    module = tf.Module()
    module.number = tf.Variable(value)
    module.read = tf.function(lambda: module.number, input_signature=[])
    tf.saved_model.save(module, str(path))


def test_an_unchanged_folder_is_loaded_once(tmp_path):
    save(tmp_path, 1.0)

    assert load_saved_model(tmp_path) is load_saved_model(tmp_path)


def test_a_folder_that_was_written_again_is_loaded_again(tmp_path):
    save(tmp_path, 1.0)
    before = float(load_saved_model(tmp_path).read())

    save(tmp_path, 2.0)

    assert (before, float(load_saved_model(tmp_path).read())) == (1.0, 2.0)


def test_weights_that_were_replaced_are_loaded_again(tmp_path):
    for value in (1.0, 2.0):
        save(tmp_path / str(value), value)
    before = float(load_saved_model(tmp_path / "1.0").read())

    for file in (tmp_path / "2.0" / "variables").iterdir():
        file.replace(tmp_path / "1.0" / "variables" / file.name)

    assert (before, float(load_saved_model(tmp_path / "1.0").read())) == (1.0, 2.0)


def test_export_and_its_programs_load_the_folder_once(tmp_path, monkeypatch):
    loaded = []
    load = tf.saved_model.load
    monkeypatch.setattr(
        tf.saved_model, "load", lambda path: loaded.append(path) or load(path)
    )
    schemas = networks.EVENTS, networks.LABEL
    network, path = networks.build(*schemas), tmp_path / "1"
    real = networks.random_events(1, 4)

    export_network(network, *schemas, path, real=real)
    programs = export_programs(
        network, *schemas, path, real=real, forms=[Form("advance", 1, 1)]
    )

    assert programs.entries
    assert loaded == [str(path)]
