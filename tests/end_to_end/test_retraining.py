"""Retraining beside a running service: what is better is served, without a restart."""

from __future__ import annotations

import contextlib
import io
import threading

import numpy as np
import pytest
import requests

from models.export.compilation import Form
from tests.exported import FORMS
from tests.servers import Server
from tests.waiting import wait_until
from training.__main__ import main
from training.publish import list_versions

pytestmark = [pytest.mark.server, pytest.mark.tensorflow]

# Between two requests: leaves the training a processor.
PAUSE_SECONDS = 0.02


def append_cases(path, first, count):
    """Write tickets of which the first event says the last."""
    rng = np.random.default_rng(first)
    lines = [] if path.exists() else ["ticket,what"]
    for case in range(first, first + count):
        kind = rng.choice(["red", "blue"])
        middle = rng.choice(["work", "wait"], rng.integers(1, 4))
        lines += [f"{case},{event}" for event in [kind, *middle, f"{kind} done"]]
    with path.open("a") as file:
        file.write("\n".join(lines) + "\n")


def run(*arguments):
    """Run the command line here; the exit status, and what was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        status = main([str(argument) for argument in arguments])
    return status, printed.getvalue()


class Caller(threading.Thread):
    """Asks for a prediction again and again, and keeps what it was answered."""

    def __init__(self, url):
        super().__init__()
        self.url, self.answers, self.stopped = url, [], threading.Event()

    def run(self):
        with requests.Session() as session:
            while not self.stopped.is_set():
                body = {"instances": [{"sequence": ["red"]}]}
                answer = session.post(f"{self.url}:predict", json=body, timeout=60)
                version = answer.json().get("model_version")
                self.answers.append((answer.status_code, version))
                self.stopped.wait(PAUSE_SECONDS)

    def served(self, version):
        return any(answer == (200, version) for answer in self.answers[-5:])


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Compile what a service needs: one client waits at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.programs.FORMS", [Form(*form) for form in FORMS])
        yield


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A log, and a first version that has hardly learnt it."""
    folder = tmp_path_factory.mktemp("retraining")
    append_cases(folder / "log.csv", 0, 60)
    where = ("--artifacts", folder / "artifacts", "--runs", folder / "runs")
    status, printed = run(
        *("fit", "--data", folder / "log.csv", "--name", "tickets", "--force"),
        *("--case", "ticket", "--event", "what", *where),
        *(
            "--set",
            "training.epochs=1",
            "network.units=[8]",
            "data.split=file",
            *("--set", "network.cell=rnn"),
        ),
    )
    assert status == 0, printed
    return folder, where


def test_a_better_version_is_served_without_a_restart_or_a_failed_request(places):
    folder, where = places
    better = ("--set", "training.epochs=10", "training.learning_rate=0.02", "--force")
    artifacts = folder / "artifacts"
    run("promote", "tickets", "1", "--label", "stable", *where[:2])
    with Server(
        artifacts, folder, runtime="litert", watch_seconds=0.2, workers=2
    ) as server:
        process = server.process.pid
        model = f"{server.url}/v1/models/tickets"
        caller = Caller(f"{model}/labels/stable")
        caller.start()
        try:
            wait_until(lambda: caller.served("1"))
            append_cases(folder / "log.csv", 60, 20)

            status, printed = run(
                "retrain", "tickets", "--label", "stable", *where, *better
            )

            assert status == 0, printed
            wait_until(lambda: caller.served("2"))
        finally:
            caller.stopped.set()
            caller.join()
        assert server.process.pid == process
        assert server.process.poll() is None
        report = requests.get(f"{model}/report", timeout=60)

    assert {code for code, _ in caller.answers} == {200}
    assert "label    stable is version 2" in printed
    assert "the new tickets is better than tickets/1:" in printed
    assert report.headers["Content-Type"].startswith("text/html")
    assert "Training report of tickets" in report.text

    # The same again, with less training: the served one stays.
    status, printed = run(
        "retrain", "tickets", *where, "--set", "training.epochs=1", "--force"
    )

    assert status == 3
    assert "error: nothing was published: the new tickets is no better than" in printed
    assert list_versions(artifacts / "tickets") == [1, 2]

    status, printed = run("compare", "tickets/2", "tickets/1", *where[:2])

    assert status == 0
    assert "tickets/2 is better than tickets/1:" in printed
    assert "| tickets/2 | tickets/1 |" in printed


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nobody",), "has no version yet. The models in"),
        (("tickets", "--label", "canary"), "has no label 'canary'"),
        (("tickets", "--set", "data.event=whta"), "what"),
        (("tickets", "--set", "name=other"), "the configuration's name is 'other'"),
        (("tickets", "--set", "data.file=gone.csv"), "gone.csv"),
    ],
)
def test_what_is_to_be_corrected_has_status_2_and_publishes_nothing(
    places, arguments, part
):
    folder, where = places
    before = list_versions(folder / "artifacts" / "tickets")

    status, printed = run("retrain", *arguments, *where)

    assert status == 2
    assert part in printed
    assert list_versions(folder / "artifacts" / "tickets") == before
