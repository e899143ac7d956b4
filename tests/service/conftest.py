"""The service without TensorFlow: a counting network, a clock that stands still."""

from __future__ import annotations

import json

import pytest
from werkzeug.test import EnvironBuilder

from service.app import create_app
from service.stores.in_process import InProcessStore
from tests.assembly import build_engine, build_services
from tests.fakes import FakeClock, counting_model
from tests.service.streams import PATH, dump
from tests.service.v2_bodies import INFER, body


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def model():
    return counting_model()


@pytest.fixture
def session_store():
    """The store below `engine`."""
    return InProcessStore()


@pytest.fixture
def engine(clock, session_store):
    return build_engine(clock, store=session_store)


@pytest.fixture
def services(engine, model):
    settings = {
        "CARRYOVER_SESSION_IDLE_SECONDS": "100",
        "CARRYOVER_MAX_ROWS": "20",
        "CARRYOVER_MAX_BODY_BYTES": "20000",
        "CARRYOVER_MAX_EXPLAINED_EVENTS": "10",
        "CARRYOVER_MAX_RETURNED_EVENTS": "900",
    }
    return build_services([model], settings=settings, engine=engine)


@pytest.fixture
def client(services):
    return create_app(services).test_client()


@pytest.fixture
def predict(client):
    """POST rows to the counting model's `:predict`."""

    def send(*instances, verb="predict", **body):
        body = {"instances": list(instances), **body}
        return client.post(f"/v1/models/counting:{verb}", json=body)

    return send


@pytest.fixture
def infer(client):
    """POST an infer request to the counting model."""

    def send(*names, **options):
        return client.post(INFER, json=body(*names, **options))

    return send


@pytest.fixture
def stream(client):
    """POST lines, and return the answers."""

    def send(*rows, data=None, path=PATH, **options):
        data = dump(*rows) if data is None else data
        response = client.post(path, data=data, **options)
        assert response.status_code == 200, response.text
        assert response.mimetype == "application/x-ndjson"
        return [json.loads(line) for line in response.text.splitlines()]

    return send


@pytest.fixture
def open_stream(client):
    """Begin a stream with lines still to come; end it after the test.

    Not through Flask's client, which waits for the first answer.
    """
    opened = []

    def begin(pipe, application=client.application, **headers):
        environ = EnvironBuilder(path=PATH, method="POST").get_environ() | headers
        environ |= {"wsgi.input": pipe, "wsgi.input_terminated": True}
        answers = application(environ, lambda status, headers: None)
        opened.append((answers, pipe))
        return answers, iter(answers)

    yield begin
    for answers, pipe in opened:
        pipe.write(b"")
        answers.close()
