"""The service without TensorFlow: a counting network, a clock that stands still."""

from __future__ import annotations

import pytest

from service.api.context import Services
from service.app import create_app
from service.engine.engine import Engine
from service.registry.catalog import Catalog
from service.sessions.lifecycle import Sessions
from service.sessions.retention import Lifetimes
from service.sessions.tokens.cipher import TokenCipher
from service.settings import read_settings
from service.stores.in_process import InProcessStore
from tests.fakes import FakeClock, counting_model
from tests.keys import NO_KEYS


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def model():
    return counting_model()


@pytest.fixture
def engine(clock):
    sessions = Sessions(InProcessStore(), clock=clock, tombstone_seconds=1000)
    return Engine(sessions, TokenCipher([b"k" * 32]), Lifetimes(100, 50), clock)


@pytest.fixture
def services(engine, model):
    settings = read_settings(
        {
            "CARRYOVER_SESSION_IDLE_SECONDS": "100",
            "CARRYOVER_MAX_ROWS": "20",
            "CARRYOVER_MAX_BODY_BYTES": "20000",
            "CARRYOVER_MAX_EXPLAINED_EVENTS": "10",
            "CARRYOVER_MAX_RETURNED_EVENTS": "900",
        }
    )
    return Services(settings, Catalog([model]), engine, tenants=NO_KEYS)


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
