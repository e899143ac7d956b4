"""Streams of the Python client: cut in pieces, answered in order."""

import math

import carryover_client
import httpx
import numpy as np
import pytest
from carryover_client import Client

from tests.clients.lossy import URL

TOLERANCE = 1e-6  # float32 shares


def test_stream_of_any_length_is_cut_and_answered_in_order(client, transport):
    events = ["red", "green", "green"] * 200

    with client.session("counting", "s") as session:
        answers = list(session.stream(iter(events)))

    assert [answer["step"] for answer in answers] == [*range(1, 601)]
    (whole,) = client.predict("counting", [events])["predictions"]
    np.testing.assert_allclose(answers[-1]["probabilities"], whole, atol=TOLERANCE)
    assert session.step == 600
    assert len(transport.requests) == 1 + math.ceil(600 / 256) + 1


def test_stream_is_cut_by_bytes_too(client, transport):
    rows = [["red"] * 1500] * 30

    assert len(list(client.stream("counting", rows, top=1))) == 30

    sizes = [len(request.content) for request in transport.requests]
    assert max(sizes) <= carryover_client.MAX_PIECE_BYTES < sum(sizes)


def test_failed_event_of_a_stream_raises_and_no_later_one_is_applied(client):
    with client.session("counting", "s") as session:
        with pytest.raises(carryover_client.UnknownEvent):
            list(session.stream(["red", "blue", "green"]))

        assert session.step == session.reload()["step"] == 1


def test_stream_of_many_sessions_shows_problems_in_their_place(client):
    rows = [{"sequence": [event], "session": event} for event in ("red", "blue")]

    good, bad = client.stream("counting", rows)

    assert good["step"] == 1
    assert bad["code"] == "unknown_event"


def test_stream_that_ends_early_raises():
    line = httpx.MockTransport(
        lambda request: httpx.Response(200, text='{"step": 1}\n')
    )

    with (
        Client(URL, transport=line) as client,
        pytest.raises(carryover_client.NoAnswer, match="1 answers early"),
    ):
        list(client.stream("counting", [["red"], ["red"]]))
