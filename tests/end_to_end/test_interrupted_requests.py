"""Clients that hang up and rows that take too long, repeated under the same key."""

import itertools
import json
import socket
import struct

import numpy as np
import pytest
import requests

from tests.problems import assert_problem_body
from tests.servers import Server

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

TOLERANCE = 1e-5  # what the README promises between any two splits
FIRST = ["bear", "tree", "squirrel"]
# Long enough to be under way when its client is gone.
LONG = list(itertools.islice(itertools.cycle(["fox", "kettle", "person"]), 5000))
PATH = "/v1/models/nature:predict"
RESET = struct.pack("ii", 1, 0)  # closes with a reset instead of a farewell
HASTY_SECONDS = 0.001


@pytest.fixture(scope="module")
def whole(bundled_server):
    """The answer to the whole sequence at once."""
    return bundled_server.predict("nature", FIRST + LONG).json()["predictions"][0]


def write(session):
    """Write the long row of a session, as it goes over the wire."""
    body = json.dumps({"instances": [{"sequence": LONG, "session": session}]}).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        'Idempotency-Key: "long"\r\n\r\n'
    )
    return head.encode() + body


def hang_up(server, data, *, is_reset):
    """Send bytes and close the connection."""
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(data)
        if is_reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def repeat(server, session):
    """Send the long row again, until the first one is no longer under way."""
    body = {"instances": [{"sequence": LONG, "session": session}]}
    for _ in range(1000):
        response = requests.post(
            server.url + PATH,
            json=body,
            headers={"Idempotency-Key": '"long"'},
            timeout=60,
        )
        if response.status_code != 409:
            return response
    raise AssertionError("it stays under way")


def step_of(server, session):
    path = f"{server.url}/v1/models/nature/sessions/{session}"
    return requests.get(path, timeout=60).json()["step"]


def assert_right(server, session, whole):
    """Repeat the row twice: the right answer, and the same again."""
    response = repeat(server, session)

    assert response.status_code == 200, response.text
    answer = response.json()["predictions"][0]
    assert answer["step"] == len(FIRST + LONG)
    np.testing.assert_allclose(answer["probabilities"], whole, atol=TOLERANCE)
    again = repeat(server, session)
    assert again.content == response.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert step_of(server, session) == len(FIRST + LONG)


@pytest.mark.parametrize("is_reset", [False, True], ids=["farewell", "reset"])
def test_client_that_leaves_before_its_answer_can_ask_again(
    bundled_server, whole, is_reset
):
    session = f"left-{is_reset}"
    bundled_server.predict("nature", {"sequence": FIRST, "session": session})

    hang_up(bundled_server, write(session), is_reset=is_reset)

    assert step_of(bundled_server, session) in (3, 5003)
    assert_right(bundled_server, session, whole)


@pytest.mark.parametrize("is_reset", [False, True], ids=["farewell", "reset"])
def test_client_that_leaves_in_the_middle_of_its_request_applies_nothing(
    bundled_server, whole, is_reset
):
    session = f"half-{is_reset}"
    bundled_server.predict("nature", {"sequence": FIRST, "session": session})
    data = write(session)

    hang_up(bundled_server, data[: len(data) // 2], is_reset=is_reset)

    assert step_of(bundled_server, session) == 3
    assert_right(bundled_server, session, whole)


def test_row_past_its_deadline_is_right_when_repeated_to_a_patient_service(
    bundled, bundled_server, whole, tmp_path
):
    bundled_server.predict("nature", {"sequence": FIRST, "session": "late"})
    memory = bundled_server.environ["CARRYOVER_MEMORY"]
    seconds = HASTY_SECONDS

    with Server(
        bundled, tmp_path, memory=memory, request_timeout_seconds=seconds
    ) as hasty:
        refused = repeat(hasty, "late")

    assert refused.status_code == 504
    assert_problem_body(refused.json(), 504, "deadline_exceeded")
    assert step_of(bundled_server, "late") == 3
    assert_right(bundled_server, "late", whole)
