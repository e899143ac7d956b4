"""The short way for predict calls asks for the same keys as Flask's."""

from dataclasses import replace

import pytest
from werkzeug.test import Client

from service.api.fast_path import FastPath
from service.api.responses import answer_crash
from service.app import create_app
from tests.keys import keyed
from tests.problems import assert_problem

PREDICT = "/v1/models/counting:predict"
ROW = {"instances": [{"sequence": ["red"], "session": "s"}]}


@pytest.fixture
def clients(services):
    tenants = keyed(("acme", "key-a"), ("u", "key-u"))
    guarded = replace(services, tenants=tenants)
    app = create_app(guarded)
    return Client(FastPath(app.wsgi_app, guarded, answer_crash)), app.test_client()


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "guess"}], ids=["no", "unknown"])
def test_short_way_refuses_as_the_long_one_does(clients, headers):
    headers = {**headers, "X-Request-Id": "same"}

    short, long = (
        client.post(PREDICT, json=ROW, headers=headers) for client in clients
    )

    assert_problem(long, 401, "unauthorized")
    assert (short.status_code, short.data) == (long.status_code, long.data)
    assert sorted(short.headers) == sorted(long.headers)


def test_short_way_keeps_tenants_apart(clients):
    short, long = clients
    acme, umbrella = {"X-API-Key": "key-a"}, {"Authorization": "Bearer key-u"}

    steps = [
        short.post(PREDICT, json=ROW, headers=headers).json["predictions"][0]["step"]
        for headers in (acme, acme, umbrella)
    ]

    assert steps == [1, 2, 1]
    shown = long.get("/v1/models/counting/sessions/s", headers=umbrella)
    assert shown.get_json()["step"] == 1
