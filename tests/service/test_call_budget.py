"""Budget of the hot path: how many calls of Python a step takes, and in how many files.

A lone request finds the processor's caches cold: each function it calls and each file
it passes through costs time that no measurement of one function shows.
"""

import io
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

import service
from service.api.fast_path import FastPath
from service.api.responses import answer_crash
from service.app import build_services, create_app
from service.settings import read_settings
from service.telemetry import metrics
from tests.keys import digest

PACKAGE = str(Path(service.__file__).parent)
KEY = "key"
NUM_WARM, NUM_COUNTED = 10, 20


@pytest.fixture(scope="module")
def post(tmp_path_factory, exported):
    """Send a step through the way past Flask, over LMDB, with keys and a limit on."""
    home = tmp_path_factory.mktemp("budget")
    (home / "keys").write_text(f"acme: {digest(KEY)}\n")
    settings = {
        "models": exported[0],
        "memory": f"lmdb://{home}/memory",
        "token_key_file": home / "token.key",
        "state": home / "state",
        "api_keys_file": home / "keys",
    }
    environ = {f"CARRYOVER_{name.upper()}": str(v) for name, v in settings.items()}
    services = build_services(read_settings(environ))
    app = FastPath(create_app(services).wsgi_app, services, answer_crash)

    def send(path, body, **headers):
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": path,
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": f"Bearer {KEY}",
            "wsgi.input": io.BytesIO(body),
            **headers,
        }
        statuses = []
        answer = app(environ, lambda status, _: statuses.append(status))
        answer.close()
        assert statuses == ["200 OK"], b"".join(answer)

    yield send
    services.engine.sessions.close()


def predict(post, k):
    body = {"instances": [{"sequence": ["wait"], "session": f"s{k % 4}"}]}
    post("/v1/models/next-lstm:predict", json.dumps(body).encode())


def infer(post, k):
    name, start = f"i{k % 4}", k < 4
    tensor = {"name": "sequence", "shape": [1, 1], "datatype": "BYTES"}
    head = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": 8}}],
        "parameters": {
            "sequence_id": name,
            "sequence_start": start,
            "binary_data_output": True,
        },
    }
    text = json.dumps(head).encode()
    length = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(text))}
    post("/v2/models/next-lstm/infer", text + b"\4\0\0\0wait", **length)


def count(send, post):
    """Return how many calls a step takes on average, by function of the service."""
    for k in range(NUM_WARM):
        send(post, k)
    metrics.count_all()
    calls = Counter()

    def note(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            calls[code.co_filename[len(PACKAGE) :], code.co_qualname] += 1

    sys.setprofile(note)
    try:
        for k in range(NUM_WARM, NUM_WARM + NUM_COUNTED):
            send(post, k)
    finally:
        sys.setprofile(None)
    # What happens once in many requests (a look at a file) is not of each.
    return {name: n / NUM_COUNTED for name, n in calls.items() if n >= NUM_COUNTED / 2}


@pytest.mark.parametrize(
    ("send", "max_calls", "max_files"), [(predict, 120, 27), (infer, 144, 31)]
)
def test_step_stays_within_its_budget(post, send, max_calls, max_files):
    calls = count(send, post)

    listed = "\n".join(f"{n:5.1f} {file} {name}" for (file, name), n in calls.items())
    assert sum(calls.values()) <= max_calls, listed
    assert len({file for file, _ in calls}) <= max_files, listed
