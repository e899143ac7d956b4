"""One damaged thing on disk, or a worker that cannot start, stops nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal

import pytest
import requests

from tests.keys import digest
from tests.servers import Server
from tests.waiting import wait_until


@pytest.fixture
def models(exported, tmp_path):
    shutil.copytree(exported[0] / "label", tmp_path / "models" / "label")
    return tmp_path / "models"


@contextlib.contextmanager
def serve_by_two(models, home):
    """Start two workers, and wait until both serve."""
    with Server(models, home, runtime="litert", workers=2) as server:
        wait_until(lambda: server.read_log().count("loaded label version 1") == 2)
        yield server


def status(server, name):
    return requests.get(f"{server.url}/v1/models/{name}", timeout=60)


def publish_second_version(models):
    """Copy version 1 to a whole version 2, and return its folder."""
    version = models / "label" / "2"
    shutil.copytree(models / "label" / "1", version)
    manifest = version / "assets.extra" / "carryover" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 2'))
    return version


def drop_programs(version, name):
    """Make a version one that only TensorFlow can run, under another name."""
    path = version / "assets.extra" / "carryover" / "manifest.json"
    manifest = json.loads(path.read_text())
    for program in manifest["programs"]:
        (version / program["file"]).unlink()
        del manifest["files"][program["file"]]
    path.write_text(json.dumps({**manifest, "name": name, "programs": []}))


@pytest.fixture
def no_tensorflow(tmp_path):
    """A folder of packages in which TensorFlow is missing."""
    packages = tmp_path / "packages"
    packages.mkdir()
    text = "raise ModuleNotFoundError('No module named tensorflow', name='tensorflow')"
    (packages / "tensorflow.py").write_text(text)
    return packages


def test_model_that_needs_tensorflow_does_not_stop_a_service_without_it(
    models, tmp_path, no_tensorflow
):
    shutil.copytree(models / "label", models / "bare")
    drop_programs(models / "bare" / "1", "bare")
    server = Server(models, tmp_path)
    server.environ["PYTHONPATH"] = str(no_tensorflow)

    with server:
        answer = server.predict("label", {"sequence": ["open"]})
        shown = status(server, "bare").json()
        refused = server.predict("bare", {"sequence": ["open"]})
        log = server.read_log()

    assert answer.ok
    assert not shown["ready"]
    (version,) = shown["model_version_status"]
    assert "TensorFlow" in version["status"]["error_message"]
    assert refused.status_code == 404
    assert "Traceback" not in log


def test_store_that_cannot_be_opened_is_tried_again(models, tmp_path):
    row = {"sequence": ["open"], "session": "kept"}
    memory, aside = tmp_path / "memory", tmp_path / "aside"
    with serve_by_two(models, tmp_path) as server:
        before = server.predict("label", row).json()["predictions"][0]["step"]
        memory.rename(aside)
        memory.write_text("a file where the store's folder was")
        workers = server.worker_pids()
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: "worker cannot start, tried again" in server.read_log())

        # The worker that lives looks once a second whether its store is still there.
        wait_until(lambda: "was deleted or replaced" in server.read_log())
        assert server.predict("label", {"sequence": ["open"]}).ok
        assert server.predict("label", row).status_code == 503
        assert server.process.poll() is None

        memory.unlink()
        aside.rename(memory)
        wait_until(lambda: server.read_log().count("loaded label version 1") >= 3)
        wait_until(lambda: server.predict("label", row).ok)
        after = server.predict("label", row).json()["predictions"][0]["step"]

    assert (before, after) == (1, 3)


def test_bad_line_of_the_keys_costs_a_reload_its_own_key(models, tmp_path):
    keys = tmp_path / "keys"
    good = {"Authorization": "Bearer good-key"}
    row = {"instances": [{"sequence": ["open"]}]}
    keys.write_text(f"acme:{digest('good-key')}\n")
    with Server(
        models, tmp_path, runtime="litert", workers=1, api_keys_file=keys
    ) as server:
        url = f"{server.url}/v1/models/label:predict"
        old = server.worker_pids()
        keys.write_text(f"acme:{digest('good-key')}\n\x00 no key at all\n")

        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.read_log().count("loaded label version 1") >= 2)
        wait_until(lambda: not set(old) & set(server.worker_pids()))

        assert requests.post(url, json=row, headers=good, timeout=60).ok
        assert requests.post(url, json=row, timeout=60).status_code == 401
    assert "line 2 is not an API key" in server.read_log()


def test_service_starts_with_what_is_good_and_says_what_is_not(models, tmp_path):
    (publish_second_version(models) / "saved_model.pb").write_bytes(b"")
    shutil.copytree(models / "label", models / "label-backup")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "repository.json").write_text("garbage")

    with Server(models, tmp_path, runtime="litert") as server:
        assert status(server, "label").json()["ready"]
        index = requests.post(f"{server.url}/v2/repository/index", timeout=60).json()
        versions = status(server, "label").json()["model_version_status"]
        backup = status(server, "label-backup").json()

    ready = [(v["name"], v["version"]) for v in index if v["state"] == "READY"]
    assert ready == [("label", "1")]
    assert all(v["reason"] for v in index if v["state"] != "READY")
    assert [(v["version"], v["state"]) for v in versions] == [
        ("2", "END"),
        ("1", "AVAILABLE"),
    ]
    assert "was changed after export" in versions[0]["status"]["error_message"]
    assert not backup["ready"]
    text = backup["model_version_status"][-1]["status"]["error_message"]
    assert "holds version 1 of label" in text
    assert server.read_log().count("was changed after export") == 1


def test_killed_worker_comes_back_with_the_versions_that_were_chosen(models, tmp_path):
    with serve_by_two(models, tmp_path) as server:
        publish_second_version(models)
        before = server.worker_pids()
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(set(server.worker_pids()) - set(before)) == 1)
        wait_until(lambda: server.read_log().count("loaded label version 1") >= 3)
        url = f"{server.url}/v2/repository/models/label/load"

        assert "loaded label version 2" not in server.read_log()
        assert requests.post(url, timeout=60).status_code == 200
        for _ in range(40):
            shown = status(server, "label").json()["model_version_status"]
            assert [v["version"] for v in shown] == ["2", "1"]


def test_failed_reload_and_failed_workers_leave_the_rest(models, tmp_path):
    with serve_by_two(models, tmp_path) as server:
        key = tmp_path / "token.key"
        kept = key.read_bytes()
        key.write_bytes(b"short")
        workers = server.worker_pids()

        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the old ones stay" in server.read_log())
        assert server.worker_pids() == workers
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: "worker cannot start, tried again" in server.read_log())
        for _ in range(20):
            assert status(server, "label").ok
        assert workers[1] in server.worker_pids()
        key.write_bytes(kept)
        wait_until(lambda: server.read_log().count("loaded label version 1") >= 3)

        assert server.process.poll() is None
