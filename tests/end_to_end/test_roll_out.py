"""A canary and a shadow in a real service of two workers; the page that says how."""

import json
import shlex
import subprocess
import sys

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families as parse

from service.registry.traffic import is_in_share
from service.sessions.record import SessionKey
from tests.exported import MANIFEST, publish_again
from tests.servers import ROOT, Server
from tests.test_documentation import ADDRESS, console_calls
from tests.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.tensorflow]

NUM_SESSIONS = 40


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    home = tmp_path_factory.mktemp("rolled_out")
    for version in (1, 2):
        publish_again(exported[0] / "label" / "1", home / "models", "tickets", version)
    with Server(home / "models", home, runtime="litert", workers=2) as server:
        yield server


def direct(server, **traffic):
    answer = requests.put(f"{server.url}/v1/models/tickets/traffic", json=traffic)
    assert answer.status_code == 200, answer.text


def begin(server, prefix, number=NUM_SESSIONS):
    """Begin sessions, each over a connection of its own; the version of each."""
    found = {}
    for k in range(number):
        session = f"{prefix}{k}"
        answer = server.predict("tickets", {"session": session, "sequence": ["open"]})
        assert answer.status_code == 200, answer.text
        state = requests.get(f"{server.url}/v1/models/tickets/sessions/{session}")
        found[session] = int(state.json()["model_version"])
    return found


def expect(prefix, share):
    return {
        f"{prefix}{k}": 1
        + is_in_share(SessionKey("", "tickets", f"{prefix}{k}").encode(), share)
        for k in range(NUM_SESSIONS)
    }


def test_page_prints_what_its_commands_print(server, monkeypatch):
    monkeypatch.setenv("CARRYOVER_PORT", str(server.port))
    calls = list(console_calls("docs/how-to/roll-out.md"))

    assert len(calls) == 8
    for command, shown in calls:
        arguments = shlex.split(command.replace(ADDRESS, server.url))
        assert arguments[0] in ("python", "curl")
        if arguments[0] == "python":
            arguments[0] = sys.executable
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=True, cwd=ROOT
        )
        assert json.loads(done.stdout) == json.loads(shown), command


def test_commands_say_what_the_service_refuses(server):
    command = [sys.executable, "-m", "service"]
    where = ["--url", server.url]
    for arguments, words in (
        (["promote", "tickets", "9"], "stable is version 9"),
        (["traffic", "tickets", "--canary", "2"], "expected VERSION=SHARE"),
        (["traffic", "tickets", "--canary", "2=2"], "canary.share is 2"),
        (["rollback", "nobody"], "is not served here"),
    ):
        done = subprocess.run(
            [*command, *arguments, *where], capture_output=True, text=True, cwd=ROOT
        )
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_every_worker_begins_the_same_sessions_on_the_canary(server):
    direct(server, stable=1, canary={"version": 2, "share": 0.3})
    found = begin(server, "a")

    assert found == expect("a", 0.3)
    assert set(found.values()) == {1, 2}
    requests.post(f"{server.url}/v1/models/tickets:promote")
    assert set(begin(server, "c", 4).values()) == {2}
    requests.post(f"{server.url}/v1/models/tickets:rollback")
    assert set(begin(server, "d", 4).values()) == {1}
    later = {
        session: int(
            server.predict(
                "tickets", {"session": session, "sequence": ["open"]}
            ).json()["predictions"][0]["step"]
        )
        for session in found
    }
    assert set(later.values()) == {2}


def test_services_of_one_state_follow_one_command(server, tmp_path):
    state = server.home / "state"
    with Server(
        server.home / "models", tmp_path, runtime="litert", workers=1, state=state
    ) as replica:
        direct(server, stable=1, canary={"version": 2, "share": 1})
        begun = set(begin(replica, "f", 4).values())
        direct(server, stable=1)

        assert begun == {2}
        assert set(begin(replica, "g", 4).values()) == {1}


def test_sessions_of_an_a_a_test_stay_where_they_began(exported, tmp_path):
    """Two versions of one network; rows one by one, and many in a request."""
    source, state = exported[0] / "label" / "1", tmp_path / "state"
    for version in (1, 2):
        folder = publish_again(source, tmp_path / "models", "tickets", version)
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(manifest | {"network": "ab" * 32}))
    settings = {
        "runtime": "litert",
        "workers": 1,
        "memory": f"lmdb://{tmp_path}/memory",
        "token_key_file": tmp_path / "key",
        "state": state,
    }
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with (
        Server(tmp_path / "models", tmp_path / "one", **settings) as one,
        Server(tmp_path / "models", tmp_path / "other", **settings) as other,
    ):
        direct(one, stable=1, canary={"version": 2, "share": 0.5})
        begun = begin(one, "a")
        assert begun == expect("a", 0.5)
        direct(other, stable=1, canary={"version": 2, "share": 0.1})
        rows = [{"session": session, "sequence": ["open"]} for session in begun]
        for server in (other, one):
            answer = server.predict("tickets", *rows)
            assert answer.status_code == 200, answer.text
        # One by one again, and the versions that their records name.
        assert begin(other, "a") == begun
        state = requests.get(f"{one.url}/v1/models/tickets/sessions/a0").json()

    assert state["step"] == 4


def test_shadow_follows_sessions_over_all_workers(server):
    direct(server, stable=1, shadow={"version": 2, "share": 1})
    before = read_rows(server)
    for k in range(10):
        for _ in range(3):
            answer = server.predict(
                "tickets", {"session": f"shadowed{k}", "sequence": ["open"]}
            )
            assert answer.status_code == 200
    wait_until(lambda: sum(read_rows(server).values()) - sum(before.values()) >= 30)

    rows = read_rows(server)
    assert rows["failed"] == before["failed"]
    assert rows["compared"] > before["compared"]


def test_live_answers_of_a_worker_do_not_wait_for_its_shadow(
    server, tmp_path, monkeypatch
):
    gate, entered = tmp_path / "gate", tmp_path / "entered"
    gate.touch()
    monkeypatch.setenv("GATE", str(gate))
    monkeypatch.setenv("ENTERED", str(entered))
    application = "tests.end_to_end.gated_shadow_app:app"
    models = server.home / "models"
    options = {"runtime": "litert", "workers": 1}
    with Server(models, tmp_path, application, **options) as gated:
        direct(gated, stable=1, shadow={"version": 2, "share": 1})
        row = {"session": "s", "sequence": ["open"]}
        try:
            steps = [read_step(gated.predict("tickets", row)) for _ in range(20)]
            wait_until(entered.exists)
            steps += [read_step(gated.predict("tickets", row)) for _ in range(20)]
        finally:
            gate.unlink()

    assert steps == list(range(1, 41))


def read_step(answer):
    return answer.json()["predictions"][0]["step"]


def read_rows(server):
    text = requests.get(f"{server.url}/metrics").text
    return {"compared": 0, "dropped": 0, "failed": 0} | {
        sample.labels["outcome"]: sample.value
        for family in parse(text)
        for sample in family.samples
        if sample.name == "carryover_shadow_rows_total"
    }
