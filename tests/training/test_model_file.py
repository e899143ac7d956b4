"""Files that are bombs, of other kinds or damaged: one sentence, nothing built."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import subprocess
import zipfile

import pytest

pytestmark = pytest.mark.tensorflow

import h5py  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402

from tests.training.keras_files import (  # noqa: E402
    FEATURES,
    change_archive,
    export,
    make_next_event,
    save,
    sequential,
)
from tests.training.old_files import write_old  # noqa: E402
from training import export_keras  # noqa: E402
from training.errors import ModelError  # noqa: E402
from training.model_file import read_model_file  # noqa: E402

MIB = 2**20
# Where a library works on somebody's model, each of which is made to fail, and what
# the sentence calls it.
STEPS = {
    "export_keras.load_model": "Loading",
    "export_keras.wrap_model": "Reading inputs and outputs",
    "export_keras.stream_network": "Streaming",
    "export_keras.prove": "The proof",
    "export_keras.export_network": "Writing the version",
    "export_keras.export_programs": "Writing the version",
    "manifest.write_manifest": "Writing the version",
    "manifest.publish_version": "Writing the version",
}


def set_units(path, units):
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][1]["config"]["units"] = units
    return change_archive(path, {"config.json": json.dumps(config)})


def make_archive_bomb(folder):
    path = save(folder, sequential(layers.LSTM(2)))
    return change_archive(path, {"assets/zeros": bytes(200 * MIB)})


def make_weights_bomb(folder):
    path = save(folder, sequential(layers.LSTM(2)), "model.h5")
    with h5py.File(path, "r+") as file:
        file["model_weights"].create_dataset("zeros", (2**20, 2**14), "float32")
    return path


def make_weights_bomb_in_an_archive(folder):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("zeros", (2**20, 2**14), "float32", chunks=True)
    path = save(folder, sequential(layers.LSTM(2)))
    return change_archive(path, {"model.weights.h5": content.getvalue()})


def make_compressed_bomb(folder):
    path = save(folder, sequential(layers.LSTM(2)), "model.h5")
    with h5py.File(path, "r+") as file:
        zeros = np.zeros((50, MIB // 4), "float32")
        for k in range(2):
            file.create_dataset(f"zeros{k}", data=zeros, compression="gzip")
    return path


def make_link(folder):
    path = save(folder, sequential(layers.LSTM(2)), "model.h5")
    with h5py.File(path, "r+") as file:
        file["model_weights/away"] = h5py.ExternalLink("/etc/passwd", "/")
    return path


def make_deep(folder):
    path = save(folder, sequential(layers.LSTM(2)))
    return change_archive(path, {"config.json": "[" * 50_000 + "]" * 50_000})


BOMBS = {
    "archive": (make_archive_bomb, "unpacks to 200"),
    "weights": (make_weights_bomb, "unpacks to 64.0 GiB"),
    "weights in an archive": (make_weights_bomb_in_an_archive, "unpacks to 64.0 GiB"),
    "compressed weights": (make_compressed_bomb, "unpacks to 100"),
    "link": (make_link, "away is a link"),
    "deep": (make_deep, "is damaged"),
    "200,000 units": (
        lambda folder: set_units(save(folder, sequential(layers.LSTM(2))), 200_000),
        "at most 2.0 GiB can be exported",
    ),
    "5,000 units": (
        lambda folder: set_units(save(folder, sequential(layers.LSTM(2))), 5_000),
        "its layers have weights of 381",
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bomb_is_refused_before_it_is_unpacked_or_built(tmp_path, capsys, case):
    make, words = BOMBS[case]

    status = export(make(tmp_path), tmp_path)

    error = capsys.readouterr().err.splitlines()[-1]
    assert status == 2
    assert words in error


def zip_of(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return content.getvalue()


OTHERS = {
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha", "git lfs pull"),
    "web page": (b"<!DOCTYPE html>", "web page"),
    "web page after a line": (b"\n <html>", "web page"),
    "gzip": (gzip.compress(b"x"), "packed with gzip.*Unpack it"),
    "RAR": (b"Rar!\x1a\x07", "packed with RAR"),
    "packed file": (zip_of("read.me", "a/model.h5"), "'a/model.h5' in it.*Unpack it"),
    "JSON": (b'{"class_name": "Sequential"}', "without weights"),
    "pickle": (pickle.dumps({}), "pickle"),
    "PyTorch": (zip_of("model/data.pkl"), "PyTorch"),
    "SavedModel": (zip_of("model/saved_model.pb"), "SavedModel"),
    "LiteRT": (b"\x1c\0\0\0TFL3", "LiteRT"),
    "saved_model.pb": (b"\x08\x01\x12\xf0\x01\n", "saved_model.pb of a SavedModel"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "ONNX"),
    "ONNX of tf2onnx": (b"\x08\x07\x12\x07tf2onnx\x1a\x061.16.1", "ONNX"),
    "frozen graph": (
        b"\nB\n\x01x\x12\x0bPlaceholder*\x0b\n\x05shape\x12\x02:\0*\x0b",
        "frozen graph",
    ),
    "empty": (b"", "is empty"),
    "cut HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "damaged"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_file_of_another_kind_is_named(tmp_path, case):
    content, words = OTHERS[case]
    (tmp_path / "model.keras").write_bytes(content)

    with pytest.raises(ModelError, match=words):
        read_model_file(tmp_path / "model.keras")


def test_every_prefix_of_a_file_is_refused_in_one_sentence(tmp_path):
    for name in ("model.keras", "model.h5"):
        content = save(tmp_path, sequential(layers.LSTM(2)), name).read_bytes()
        for size in range(0, len(content) - 8, len(content) // 12):
            (tmp_path / "cut").write_bytes(content[:size])
            with pytest.raises(ModelError) as caught:
                export_keras.load_model(tmp_path / "cut", allow_code=False)
            assert "\n" not in str(caught.value)


def test_folder_is_named(tmp_path):
    with pytest.raises(ModelError, match="is a folder"):
        read_model_file(tmp_path)


def test_unpacked_archive_is_named(tmp_path):
    path = save(tmp_path, sequential(layers.LSTM(2)))
    zipfile.ZipFile(path).extractall(tmp_path / "folder")

    with pytest.raises(ModelError, match=r"was unpacked.*zip -0"):
        read_model_file(tmp_path / "folder")


def test_data_in_hdf5_are_not_taken_for_weights(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["prices"] = [1.0, 2.0]

    with pytest.raises(ModelError, match="neither layers nor weights"):
        read_model_file(tmp_path / "data.h5")


def test_weights_without_layers_are_named(tmp_path):
    model = sequential(layers.LSTM(2))
    model.save_weights(tmp_path / "model.weights.h5")

    with pytest.raises(ModelError, match="no description of layers"):
        read_model_file(tmp_path / "model.weights.h5")


@pytest.mark.parametrize(
    ("steps", "debug"),
    [([*STEPS], []), ([*STEPS][:1], ["--debug"])],
    ids=["all", "debug"],
)
def test_failure_of_any_step_is_one_sentence(
    tmp_path, capsys, monkeypatch, steps, debug
):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("one\ntwo")

    path = save(tmp_path, sequential(layers.Dense(2)))  # each step after all before it
    for step in steps:
        with monkeypatch.context() as patch:
            patch.setattr(f"training.{step}", fail)
            assert export(path, tmp_path, *debug) == 2
        error = capsys.readouterr().err
        sentence = error.splitlines()[-1]
        assert sentence.startswith("error: ")
        assert f"{STEPS[step]} failed" in sentence
        assert "ZeroDivisionError (one two)" in sentence
        assert ("Traceback" in error) == bool(debug)
    assert not list((tmp_path / "artifacts").glob("mine/*"))


def test_layer_that_fails_is_named(tmp_path, capsys, monkeypatch):
    def fail(self, inputs):
        raise ZeroDivisionError("one")

    path = save(tmp_path, sequential(layers.LSTM(2), layers.Dense(2, name="culprit")))
    monkeypatch.setattr(layers.Dense, "call", fail)

    assert export(path, tmp_path) == 2
    assert "'culprit' (Dense)" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_full_disk_during_export_is_one_sentence(tmp_path, capsys):
    path = save(tmp_path, make_next_event())
    (tmp_path / "artifacts").mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path / "artifacts"]
    if subprocess.run(small, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        status = export(path, tmp_path)
        left = list((tmp_path / "artifacts").glob("mine/*"))
    finally:
        subprocess.run(["umount", tmp_path / "artifacts"], check=True)

    error = capsys.readouterr().err
    assert status == 2
    assert "no space left" in error.splitlines()[-1]
    assert "Traceback" not in error
    assert left == []


def test_old_file_names_the_layer_that_keras_lacks(tmp_path):
    def change(config):
        config["config"]["layers"][1]["class_name"] = "Attentive"
        return config

    path = write_old(
        save(tmp_path, sequential(layers.LSTM(2)), "model.h5"), "2.2.4", change
    )

    with pytest.raises(ModelError, match="'Attentive'"):
        export_keras.load_model(path, allow_code=False)


FACTOR = 2.0


@pytest.mark.parametrize("options", [[], ["--window=5"]], ids=["stream", "window"])
def test_name_that_a_lambda_lacks_is_named(tmp_path, capsys, options):
    scale = layers.Lambda(lambda x: x * FACTOR, output_shape=(None, FEATURES))
    path = save(tmp_path, sequential(scale, layers.LSTM(2)), "model.h5")

    assert export(path, tmp_path, "--allow-code", *options) == 2

    error = capsys.readouterr().err
    assert "Windowed" not in error
    assert "name 'FACTOR' is not defined" in error
    assert "Import or define it inside of the function" in error
    assert error.count("\n") == 1
