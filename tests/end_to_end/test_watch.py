"""A version that appears in the folder is served without a call or a failed request."""

import json
import shutil
import threading

import pytest
import requests

from tests.servers import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.tensorflow]


def publish(models, version, *, is_whole=True):
    """Copy version 1 under another number, and let it appear at once."""
    hidden = models / f".{version}"
    shutil.copytree(models / "label" / "1", hidden)
    path = hidden / "assets.extra" / "carryover" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "version": version}))
    if not is_whole:
        (hidden / "saved_model.pb").write_bytes(b"")
    hidden.rename(models / "label" / str(version))


@pytest.fixture(scope="module")
def service(exported, tmp_path_factory):
    home = tmp_path_factory.mktemp("watch")
    models = home / "models"
    shutil.copytree(exported[0] / "label" / "1", models / "label" / "1")
    with Server(models, home, runtime="litert", watch_seconds=0.2, workers=2) as server:
        yield server, models


class Caller(threading.Thread):
    """Advances a session without a pause, and keeps what it was answered."""

    def __init__(self, url, session="watched"):
        super().__init__()
        self.url, self.answers, self.stopped = url, [], threading.Event()
        self.session = session

    def run(self):
        with requests.Session() as session:
            while not self.stopped.is_set():
                row = {"sequence": ["open"], "session": self.session}
                answer = session.post(self.url, json={"instances": [row]}, timeout=60)
                self.answers.append((answer.status_code, answer.json()))

    def stop(self):
        self.stopped.set()
        self.join()


def states(server):
    answer = requests.get(f"{server.url}/v1/models/label", timeout=60).json()
    return {s["version"]: s["state"] for s in answer["model_version_status"]}


def test_version_that_appears_is_served_without_a_failed_request(service):
    server, models = service
    caller = Caller(f"{server.url}/v1/models/label:predict")
    caller.start()
    try:
        publish(models, 2)
        wait_until(lambda: states(server).get("2") == "AVAILABLE")
    finally:
        caller.stop()

    assert {status for status, _ in caller.answers} == {200}
    steps = [answer["predictions"][0]["step"] for _, answer in caller.answers]
    assert steps == list(range(1, len(steps) + 1))
    bare = server.predict("label", ["open"])
    wait_until(lambda: server.predict("label", ["open"]).json()["model_version"] == "2")
    assert bare.status_code == 200


def test_broken_version_is_refused_and_reported(service):
    server, models = service
    publish(models, 3, is_whole=False)

    wait_until(lambda: states(server).get("3") == "END")

    assert states(server)["1"] == "AVAILABLE"
    assert server.predict("label", ["open"]).status_code == 200
    assert "refused label version 3" in server.read_log()

    def counted():
        text = requests.get(f"{server.url}/metrics", timeout=60).text
        name = 'carryover_version_loads_total{model="label",outcome="refused"}'
        return any(line.startswith(name) for line in text.splitlines())

    wait_until(counted)


def test_labels_are_noticed_by_every_worker_and_damaged_ones_refused(service):
    server, models = service
    file = models / "label" / "labels.json"

    def resolve(label):
        # A connection each: any worker may answer.
        answers = [
            requests.get(f"{server.url}/v1/models/label/labels/{label}", timeout=60)
            for _ in range(10)
        ]
        return {
            (a.status_code, str(a.json().get("model_version_status"))) for a in answers
        }

    def described():
        return requests.get(f"{server.url}/v1/models/label", timeout=60).json()

    file.write_text('{"stable": 1}')
    wait_until(lambda: described().get("labels") == {"stable": 1})
    [(status, versions)] = resolve("stable")
    assert status == 200
    assert "'version': '1'" in versions

    file.write_text('{"stable": 99}')
    wait_until(lambda: "99" in described().get("labels_refused", ""))

    assert resolve("stable") == {(200, versions)}
    assert "The labels of before stay" in server.read_log()


def test_labels_move_under_load_without_a_failed_request(service):
    server, models = service
    folder = models / "label"
    callers = [
        Caller(f"{server.url}/v1/models/label/labels/{label}:predict", f"of {label}")
        for label in ("stable", "canary")
    ]

    def described():
        return requests.get(f"{server.url}/v1/models/label", timeout=60).json()

    def move(labels):
        whole = folder / ".labels.json"
        whole.write_text(json.dumps(labels))
        whole.rename(folder / "labels.json")
        wait_until(lambda: described().get("labels") == labels)

    def is_refused():
        return "cannot be read" in described().get("labels_refused", "")

    move({"stable": 1, "canary": 2})
    for caller in callers:
        caller.start()
    try:
        for stable in (2, 1, 2):
            # As an editor leaves it for a moment, or a full disk for good.
            (folder / "labels.json").write_text('{"stable": 1, "cana')
            wait_until(
                lambda: "cannot be read" in described().get("labels_refused", "")
            )
            (folder / "labels.json").unlink()
            move({"stable": stable, "canary": 3 - stable})
    finally:
        for caller in callers:
            caller.stop()

    for caller in callers:
        assert {status for status, _ in caller.answers} == {200}
        steps = [answer["predictions"][0]["step"] for _, answer in caller.answers]
        assert steps == list(range(1, len(steps) + 1))
        versions = {answer["model_version"] for _, answer in caller.answers}
        assert versions == {"1", "2"}
