"""One sequence, any way of sending it: the answers are the same to 1e-5."""

import contextlib
import os
import signal
import threading

import numpy as np
import pytest
import requests

from tests import networks
from tests.exported import CELLS
from tests.servers import Server

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

# Float32 rounding; the README promises no more than this between any two splits.
TOLERANCE = 1e-5
TIMESTEPS = 12
# Killed workers come back with TensorFlow, which takes its time on a busy machine.
RESTART_SECONDS = 180


def names(sequence):
    return [networks.VOCABULARY[k] for k in sequence]


def probabilities(response):
    assert response.status_code == 200, response.text
    return [row["probabilities"] for row in response.json()["predictions"]]


@pytest.fixture(params=CELLS)
def case(request, exported):
    """A model of each cell, a sequence, and the live network's probabilities."""
    name = f"next-{request.param}"
    sequence = networks.random_events(1, TIMESTEPS, seed=3)
    expected = exported[1][name](sequence).numpy()[0]
    return name, names(sequence[0]), expected


def test_whole_bare_row_equals_the_live_network(server, case):
    name, events, expected = case

    response = server.predict(name, events, **{"return": "all"})

    got = response.json()["predictions"][0]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


def test_growing_bare_rows_equal_the_live_network(server, case):
    name, events, expected = case
    prefixes = [events[: t + 1] for t in range(TIMESTEPS)]

    response = server.predict(name, *prefixes)

    np.testing.assert_allclose(response.json()["predictions"], expected, atol=TOLERANCE)


def test_one_event_requests_on_a_session_equal_one_request(server, case):
    name, events, expected = case

    got = [
        probabilities(server.predict(name, {"sequence": [event], "session": "single"}))[
            0
        ]
        for event in events
    ]

    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


def test_one_event_requests_with_sealed_memory_equal_one_request(server, case):
    name, events, expected = case

    memory, got = None, []
    for event in events:
        response = server.predict(name, {"sequence": [event], "memory": memory})
        got += probabilities(response)
        memory = response.json()["predictions"][0]["memory"]

    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


def test_surprise_is_the_same_however_the_sequence_is_sent(server, case):
    name, events, expected = case
    row = {"sequence": events, "session": "surprise-whole"}
    whole = server.predict(name, row).json()["predictions"][0]["surprise"]

    single = []
    for event in events:
        row = {"sequence": [event], "session": "surprise-single"}
        single += server.predict(name, row).json()["predictions"][0]["surprise"]

    indices = [networks.VOCABULARY.index(event) for event in events]
    exact = -np.log([expected[t, k] for t, k in enumerate(indices[1:])])
    assert whole[0] is None
    assert single[0] is None
    np.testing.assert_allclose(whole[1:], exact, atol=TOLERANCE)
    np.testing.assert_allclose(single[1:], exact, atol=TOLERANCE)


def test_rows_of_one_session_in_one_request_are_applied_in_order(server, case):
    name, events, expected = case
    rows = [{"sequence": [event], "session": "in-order"} for event in events]

    response = server.predict(name, *rows)

    np.testing.assert_allclose(probabilities(response), expected, atol=TOLERANCE)
    steps = [row["step"] for row in response.json()["predictions"]]
    assert steps == list(range(1, TIMESTEPS + 1))


def test_series_session_equals_the_live_network(server, exported):
    series = networks.half_hours(10)
    expected = exported[1]["series"](series).numpy()[0]
    events = [
        {"time": f"2014-07-01T{k // 2:02d}:{k % 2 * 30:02d}:00", "value": float(value)}
        for k, value in enumerate(series[0, :, 2])
    ]

    got = [
        server.predict("series", {"sequence": [event], "session": "taxi"}).json()[
            "predictions"
        ][0]["forecast"]
        for event in events
    ]

    std = networks.SERIES["fields"][1]["std"]
    np.testing.assert_allclose(np.array(got) / std, expected / std, atol=TOLERANCE)


def test_long_rows_advance_in_chunks_and_short_ones_share_their_batch(server, exported):
    long = networks.random_events(1, 700, seed=5)
    short = networks.random_events(1, 3, seed=6)
    live = exported[1]["next-lstm"]

    response = server.predict("next-lstm", names(long[0]), names(short[0]))

    got = response.json()["predictions"]
    expected = [live.predict(row, verbose=0)[0, -1] for row in (long, short)]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


def test_explain_answers_what_predict_does_and_shows_its_gates(server, case):
    name, events, expected = case

    response = server.post(name, "explain", {"instances": [events]})

    answer = response.json()["predictions"][0]
    np.testing.assert_allclose(answer["probabilities"], expected[-1], atol=TOLERANCE)
    assert len(answer["layers"]) == 2
    for units, layer in zip((8, 6), answer["layers"], strict=True):
        for gate, values in layer.items():
            assert np.shape(values) == (TIMESTEPS, units), gate


def test_explain_parts_its_prediction_in_event_and_memory(server, case):
    name, events, expected = case

    response = server.post(name, "explain", {"instances": [events]})

    digest = response.json()["predictions"][0]["digest"]
    odds = np.exp(np.add(digest["event"], digest["memory"]))
    np.testing.assert_allclose(odds / odds.sum(), expected[-1], atol=TOLERANCE)
    assert len(digest["layers"]) == 2


def test_fifty_sessions_from_eight_threads_never_mix(server, exported):
    sequences = networks.random_events(50, 6, seed=11)
    expected = exported[1]["next-lstm"].predict(sequences, verbose=0)
    got = np.zeros_like(expected)
    failures = []

    def drive(thread):
        try:
            for t in range(6):
                for k in range(thread, 50, 8):
                    event = networks.VOCABULARY[sequences[k, t]]
                    row = {"sequence": [event], "session": f"mixed-{k}"}
                    got[k, t] = probabilities(server.predict("next-lstm", row))[0]
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=drive, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


def test_concurrent_events_of_one_session_are_all_counted_once(server):
    def send():
        for _ in range(10):
            row = {"sequence": ["open"], "session": "contended"}
            statuses.append(server.predict("next-gru", row).status_code)

    statuses = []
    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 80
    row = server.predict("next-gru", {"sequence": ["open"], "session": "contended"})
    assert row.json()["predictions"][0]["step"] == 81


def test_repeats_at_once_over_two_workers_are_applied_once(server):
    row = {"sequence": ["open", "assign"], "session": "repeated"}
    body = {"instances": [row], "top": 2}
    path, headers = f"{server.url}/v1/models/next-gru:predict", {"Idempotency-Key": "r"}

    def send():
        responses.append(requests.post(path, json=body, headers=headers, timeout=60))

    responses = []
    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send()

    codes = {r.json()["code"] for r in responses if r.status_code == 409}
    assert codes <= {"request_in_progress"}
    answers = [r for r in responses if r.status_code != 409]
    assert {r.content for r in answers} == {answers[-1].content}
    assert answers[-1].headers["Idempotency-Replayed"] == "true"
    assert answers[-1].json()["predictions"][0]["step"] == 2


def test_killing_workers_between_requests_loses_no_step(exported, tmp_path):
    sequence = networks.random_events(1, TIMESTEPS, seed=4)
    expected = exported[1]["next-lstm"](sequence).numpy()[0]

    with Server(exported[0], tmp_path) as server:
        got = []
        for t, event in enumerate(names(sequence[0])):
            if t in (3, 6, 9):
                os.kill(server.worker_pids()[t % 2], signal.SIGKILL)
            got += probabilities(retry(server, "next-lstm", event, t))

    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("delay_seconds", "key"), [(0.02, None), (0.1, "long"), (0.3, None)]
)
def test_worker_killed_while_computing_leaves_all_or_nothing(
    exported, tmp_path, delay_seconds, key
):
    sequence = networks.random_events(1, 5003, seed=6)
    # Eager, 5,000 timesteps would take half a minute.
    expected = exported[1]["next-lstm"].predict(sequence, verbose=0)[0, -1]
    events = names(sequence[0])
    long = {"sequence": events[3:], "session": "long"} | ({} if key else {"at": 3})

    with Server(exported[0], tmp_path) as server:
        server.predict("next-lstm", {"sequence": events[:3], "session": "long"})
        sender = threading.Thread(target=send_or_fail, args=(server, long, key))
        sender.start()
        threading.Event().wait(delay_seconds)  # into the middle of the row
        for pid in server.worker_pids():
            os.kill(pid, signal.SIGKILL)
        sender.join()
        path = f"{server.url}/v1/models/next-lstm/sessions/long"
        step = requests.get(path, timeout=RESTART_SECONDS).json()["step"]
        assert step in (3, 5003)
        if step == 3:
            (got,) = probabilities(send_long(server, long, key))
            np.testing.assert_allclose(got, expected, atol=TOLERANCE)
        again = send_long(server, long, key)
        assert again.headers["Idempotency-Replayed"] == "true"
        (got,) = probabilities(again)
        np.testing.assert_allclose(got, expected, atol=TOLERANCE)
        other = send_long(server, {**long, "sequence": events[4:]}, key)
        assert other.status_code == (422 if key else 409)


def send_long(server, row, key):
    """Send a row, under an idempotency key where it has no step."""
    headers = {"Idempotency-Key": f'"{key}"'} if key else {}
    path = f"{server.url}/v1/models/next-lstm:predict"
    return requests.post(
        path, json={"instances": [row]}, headers=headers, timeout=RESTART_SECONDS
    )


def send_or_fail(server, row, key):
    """Send a row to a worker that may die meanwhile."""
    with contextlib.suppress(requests.ConnectionError):
        send_long(server, row, key)


def retry(server, name, event, at):
    """Send an event; again where the killed worker had taken the connection."""
    row = {"sequence": [event], "session": "survivor", "at": at}
    for _ in range(5):
        try:
            return server.predict(name, row)
        except requests.ConnectionError:
            continue
    raise AssertionError("no worker took over")


def test_restarting_the_service_loses_no_session(exported, tmp_path):
    sequence = networks.random_events(1, 8, seed=2)
    expected = exported[1]["next-lstm"](sequence).numpy()[0]
    events = names(sequence[0])

    server = Server(exported[0], tmp_path)
    with server:
        first = {"sequence": events[:5], "session": "kept"}
        sealed = server.predict("next-lstm", {"sequence": events[:5], "memory": None})
        server.predict("next-lstm", first)
    with server:
        second = {"sequence": events[5:], "session": "kept"}
        response = server.predict("next-lstm", second)
        memory = sealed.json()["predictions"][0]["memory"]
        token = server.predict("next-lstm", {"sequence": events[5:], "memory": memory})

    np.testing.assert_allclose(probabilities(response)[0], expected[-1], atol=TOLERANCE)
    np.testing.assert_allclose(probabilities(token)[0], expected[-1], atol=TOLERANCE)
    assert response.json()["predictions"][0]["step"] == 8


def test_models_are_loaded_without_an_unexpected_error(server):
    assert server.predict("next-lstm", {"sequence": ["open"]}).ok

    # Refused folders, which other tests try, are logged without a trace.
    lines = server.read_log().splitlines()
    traced = [line for line in lines if '"trace":' in line]
    assert not [line for line in traced if "cannot be loaded" in line]
