"""`infer` past Flask answers what it answers through Flask, to the byte."""

import json
from dataclasses import replace

import pytest
from werkzeug.test import Client

from service.api.fast_path import FastPath
from service.api.responses import answer_crash
from service.app import create_app
from tests.keys import keyed
from tests.service.v2_bodies import INFER, binary_body, body

# Different in every answer.
OWN = {"X-Request-Id"}


@pytest.fixture
def short(services):
    """The service with the short way in front, and with nothing behind it."""

    def refuse(environ, start_response):
        raise AssertionError(f"{environ['PATH_INFO']} went on to Flask")

    return Client(FastPath(refuse, services, answer_crash))


@pytest.fixture
def long(services):
    return create_app(services).test_client()


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (json.dumps(body("red", "green", id="r")).encode(), {}),
        binary_body("red", "green", binary_data_output=True),
        (b"red", {"Inference-Header-Content-Length": "0"}),
        (json.dumps(body("red")).encode(), {"Accept-Encoding": "gzip"}),
        (json.dumps(body("blue")).encode(), {}),
        (json.dumps(body("red", sequence_id=9)).encode(), {}),
        (b"{", {}),
        (b"x", {"Content-Encoding": "br"}),
        (b"x", {"Idempotency-Key": '"'}),
        (b"x", {"Inference-Header-Content-Length": "x"}),
    ],
)
def test_both_ways_answer_the_same(short, long, data, headers):
    expected = long.post(INFER, data=data, headers=headers)

    got = short.post(INFER, data=data, headers=headers)

    assert got.status_code == expected.status_code
    assert got.data == expected.data
    for name in set(expected.headers.keys()) - OWN:
        assert got.headers[name] == expected.headers[name]


@pytest.mark.parametrize("version", [0, 1])
def test_version_in_the_address_is_answered_the_same(short, long, version):
    path = INFER.replace("/infer", f"/versions/{version}/infer")
    data = json.dumps(body("red", "green", id="r")).encode()

    expected, got = (client.post(path, data=data) for client in (long, short))

    assert got.status_code == expected.status_code == 200
    assert got.data == expected.data


def test_sequence_continues_over_both_ways(short, long):
    long.post(INFER, json=body("red", sequence_id=7, sequence_start=True))

    answer = short.post(INFER, json=body("green", sequence_id=7)).get_json()

    assert answer["parameters"]["step"] == 2
    assert answer["outputs"][0]["data"] == [0.5, 0.5, 0.0]


def test_calls_of_both_ways_are_counted(short, long):
    long.post(INFER, json=body("red"))
    short.post(INFER, json=body("red"))
    short.post(INFER, json=body("blue"))

    (counted,) = long.get("/v2/models/counting/stats").get_json()["model_stats"]

    assert counted["inference_stats"]["success"]["count"] == 2
    assert counted["inference_stats"]["fail"]["count"] == 1


def test_short_way_asks_for_the_key_and_keeps_tenants_apart(services):
    tenants = keyed(("acme", "key-a"), ("u", "key-u"))
    guarded = replace(services, tenants=tenants)
    app = create_app(guarded)
    short = Client(FastPath(app.wsgi_app, guarded, answer_crash))
    acme, umbrella = {"X-API-Key": "key-a"}, {"X-API-Key": "key-u"}
    start = body("red", sequence_id=7, sequence_start=True)

    begun = short.post(INFER, json=start, headers=acme)

    assert begun.get_json()["parameters"]["step"] == 1
    assert short.post(INFER, json=start).status_code == 401
    continuing = body("red", sequence_id=7)
    refused = short.post(INFER, json=continuing, headers=umbrella).get_json()
    assert refused["code"] == "sequence_not_started"
