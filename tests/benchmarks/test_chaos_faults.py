"""The chaos run's faults are there while they last, and gone afterwards."""

import errno
import inspect
import os
import random
import re

import pytest

from benchmarks.chaos import client, mayhem
from benchmarks.chaos.faults import DAMAGES, damaged_version, full_disk, small_disk
from benchmarks.chaos.report import FAULTS
from benchmarks.chaos.run import copy_newest
from service.registry.artifact import ArtifactError, read_artifact

pytestmark = pytest.mark.tensorflow


def test_small_disk_is_filled_and_freed(tmp_path):
    with small_disk(tmp_path / "disk") as is_own:
        if not is_own:
            pytest.skip("a file system cannot be mounted here")
        file = tmp_path / "disk" / "file"
        words = os.strerror(errno.ENOSPC)
        with full_disk(tmp_path / "disk"), pytest.raises(OSError, match=words):
            file.write_bytes(b"x" * 8192)

        file.write_bytes(b"x" * 8192)

    assert not any((tmp_path / "disk").iterdir())


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_version_cannot_be_read_and_goes_away(bundled, tmp_path, damage):
    model = copy_newest(bundled / "nature", tmp_path)

    class Chosen(random.Random):
        def choice(self, _):
            return damage

    with damaged_version(model, Chosen()):
        assert read_artifact(model / "1").manifest.version == 1
        with pytest.raises(ArtifactError):
            read_artifact(model / "2")

    assert [version.name for version in model.iterdir()] == ["1"]


def test_every_fault_is_counted_by_a_name_of_the_report():
    source = inspect.getsource(mayhem) + inspect.getsource(client)
    counted = set(re.findall(r'\.count\("([^"]+)"\)', source))

    assert set(FAULTS) <= counted
    assert {name for name in counted if re.match("kills|pauses|full|damaged", name)} < {
        *FAULTS
    }
