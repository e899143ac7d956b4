"""The service without TensorFlow: a counting network, a clock that stands still."""

from __future__ import annotations

import pytest

from service.app import create_app
from service.stores.in_process import InProcessStore
from tests.assembly import build_engine, build_services
from tests.fakes import FakeClock, counting_model
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
