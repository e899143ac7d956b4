"""Programs that are missing, damaged or not of their version are refused."""

import json
import logging
import shutil

import pytest

from service.registry.artifact import MANIFEST, ArtifactError, read_artifact
from service.registry.backends.litert import LiteRTRuntime
from service.registry.backends.opening import open_runtime
from tests import networks

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def copied(exported, tmp_path):
    """A version that a test may damage, and what writes its manifest again."""
    path = tmp_path / "label" / "1"
    shutil.copytree(exported[0] / "label" / "1", path)

    def change(**changes):
        from training.manifest import hash_files

        manifest = json.loads((path / MANIFEST).read_text())
        manifest |= {"files": hash_files(path), **changes}
        (path / MANIFEST).write_text(json.dumps(manifest))
        return read_artifact(path)

    return path, change


def programs_of(path):
    return json.loads((path / MANIFEST).read_text())["programs"]


@pytest.mark.parametrize("signature", ["advance", "explain"])
def test_programs_without_the_one_for_a_single_event_are_refused(copied, signature):
    path, change = copied
    single = (signature, 1, 1)
    kept = [
        entry
        for entry in programs_of(path)
        if (entry["signature"], entry["batch"], entry["timesteps"]) != single
    ]
    artifact = change(programs=kept)

    with pytest.raises(ArtifactError, match=f"no compiled {signature} for one row"):
        LiteRTRuntime(artifact)


def damage(path, change):
    """Make a program no program, in a version that is otherwise as exported."""
    (path / programs_of(path)[0]["file"]).write_bytes(b"no flatbuffer")
    return change()


def replace_program(path, change):
    """Put a program of another network in place of one."""
    from models.export.compilation import Form, compile_programs

    other = networks.build(networks.EVENTS, networks.LABEL, seed=8)
    form = Form("advance", 2, 1)
    (program,) = compile_programs(other, networks.LABEL, [form])
    entry = next(
        e for e in programs_of(path) if e["file"].endswith("advance_2x1.tflite")
    )
    (path / entry["file"]).write_bytes(program.content)
    return change()


DAMAGES = [
    pytest.param(damage, "cannot be run", id="damaged"),
    pytest.param(replace_program, "do not compute the same here", id="different"),
]


@pytest.mark.parametrize(("spoil", "words"), DAMAGES)
def test_programs_that_fail_their_check_leave_the_model_to_tensorflow(
    copied, caplog, spoil, words
):
    artifact = spoil(*copied)

    with caplog.at_level(logging.WARNING):
        runtime = open_runtime(artifact, "auto")

    assert runtime.name == "tensorflow"
    assert words in caplog.text
    assert "TensorFlow runs it instead" in caplog.text


@pytest.mark.parametrize(("spoil", "words"), DAMAGES)
def test_programs_that_fail_their_check_are_refused_where_litert_is_asked_for(
    copied, spoil, words
):
    artifact = spoil(*copied)

    with pytest.raises(ArtifactError, match=words):
        open_runtime(artifact, "litert")


@pytest.mark.parametrize(
    ("choice", "has_programs", "name"),
    [
        ("auto", True, "litert"),
        ("auto", False, "tensorflow"),
        ("litert", True, "litert"),
        ("tensorflow", True, "tensorflow"),
    ],
)
def test_runtime_is_the_one_that_was_chosen(copied, choice, has_programs, name):
    path, change = copied
    artifact = change(programs=programs_of(path) if has_programs else [])

    assert open_runtime(artifact, choice).name == name


def test_litert_without_programs_is_refused(copied):
    _, change = copied

    with pytest.raises(ArtifactError, match="no compiled advance"):
        open_runtime(change(programs=[]), "litert")
