"""The sync of docs/how-to/object-stores.md, run by rclone on a folder as its bucket."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.servers import ROOT

PAGE = (ROOT / "docs" / "how-to" / "object-stores.md").read_text()
SCRIPT, POD = (
    re.search(rf"```{kind}\n(.*?)```", PAGE, re.S)[1] for kind in ("sh", "yaml")
)


@pytest.fixture
def bucket(tmp_path):
    folder = tmp_path / "bucket"
    put(folder, "nature/1/saved_model.pb", "one")
    put(folder, "nature/labels.json", '{"stable": 1}')
    put(folder, "nature/drafts/9/saved_model.pb", "no version")
    return folder


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sync(tmp_path, bucket):
    """Run the script, with a folder of this test in the place of /models."""
    models = tmp_path / "models"
    models.mkdir(exist_ok=True)
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "BUCKET": str(bucket),
    }
    script = SCRIPT.replace("/models", str(models))
    done = subprocess.run(
        ["sh", "-c", script], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {
        str(path.relative_to(models)): path.read_text()
        for path in models.rglob("*")
        if path.is_file()
    }


def test_sync_brings_versions_whole_and_the_newest_labels(tmp_path, bucket):
    first = sync(tmp_path, bucket)
    # A sync that was cut short left a part of version 2.
    put(bucket, "nature/2/saved_model.pb", "two")
    put(bucket, "nature/2/variables/index", "i")
    put(tmp_path / "models", "nature/.2/saved_model.pb", "tw")
    put(bucket, "nature/1/saved_model.pb", "never looked at again")
    put(bucket, "nature/labels.json", '{"stable": 2}')

    second = sync(tmp_path, bucket)

    assert first == {
        "nature/1/saved_model.pb": "one",
        "nature/labels.json": '{"stable": 1}',
    }
    assert second == {
        "nature/1/saved_model.pb": "one",
        "nature/2/saved_model.pb": "two",
        "nature/2/variables/index": "i",
        "nature/labels.json": '{"stable": 2}',
    }


def test_sync_of_an_empty_bucket_is_no_error(tmp_path):
    (tmp_path / "empty").mkdir()

    assert sync(tmp_path, tmp_path / "empty") == {}


def test_pod_mounts_what_it_declares():
    pod = yaml.safe_load(POD)["spec"]
    containers = [*pod["initContainers"], *pod["containers"]]
    mounts = {m["name"] for c in containers for m in c["volumeMounts"]}

    assert mounts == {volume["name"] for volume in pod["volumes"]}
