"""A client of the service's own application, and its clock."""

import carryover_client
import pytest
from carryover_client import Client

from tests.clients.lossy import URL, LossyTransport, build_app
from tests.fakes import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def app(clock):
    return build_app(clock)


@pytest.fixture
def transport(app):
    return LossyTransport(app)


@pytest.fixture
def client(transport, monkeypatch):
    monkeypatch.setattr(carryover_client, "FIRST_WAIT_SECONDS", 0.001)
    with Client(URL, transport=transport) as client:
        yield client
