"""Refusal without waiting of files that are not regular, or too large."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.common.files import read_regular
from service.errors import UnknownLabel
from service.registry.artifact import MANIFEST, ArtifactError, read_artifact
from service.registry.model_folder import MAX_BYTES, decode_labels, find_version


def make_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, make_endless])
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "one"
    make(path)
    (tmp_path / "model" / MANIFEST).parent.mkdir(parents=True)
    make(tmp_path / "model" / MANIFEST)

    with pytest.raises(OSError, match=r"no regular file|directory"):
        read_regular(path)
    with pytest.raises(UnknownLabel, match="cannot be read") as refusal:
        decode_labels(path)
    assert str(tmp_path) not in str(refusal.value)
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_artifact(tmp_path / "model")


def test_file_and_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "link").symlink_to("one")

    assert read_regular(tmp_path / "link", 1) == b"1"


def test_labels_beyond_a_size_are_damage(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({"stable": 1}) + " " * MAX_BYTES)

    with pytest.raises(UnknownLabel, match=f"more than {MAX_BYTES}"):
        decode_labels(file)


def test_error_names_a_few_of_many_labels(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    labels = {f"label-{k:04d}": 1 for k in range(1000)}
    (tmp_path / "one" / "labels.json").write_text(json.dumps(labels))

    with pytest.raises(UnknownLabel) as refusal:
        find_version(tmp_path, "one", "canary")

    assert "label-0019 and 980 more" in str(refusal.value)
    assert len(str(refusal.value)) < 500
