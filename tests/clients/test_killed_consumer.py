"""A consumer that is killed at random points applies each event once.

One consumer sends each message to four sessions: in three ways that guard it against
being applied twice, and in one that does not, which shows that the kills hit.
"""

import json
import multiprocessing
import os
import random
import signal

import numpy as np
import pytest
from carryover_client import Client

from tests.clients import consumer
from tests.servers import ROOT, Server

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

CLIENT = ROOT / "clients" / "python"
TOLERANCE = 1e-5  # what the README promises between any two splits
MAX_POINTS = 20  # of five for each message
MAX_SECONDS = 0.002  # of a request
NUM_EVENTS = len(consumer.EVENTS)


@pytest.fixture(scope="module")
def consumed(bundled, tmp_path_factory):
    """A client of the service, and the answers the killed consumer kept."""
    folder = tmp_path_factory.mktemp("consumed")
    with (
        Server(bundled, folder) as service,
        Client(service.url) as client,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(CLIENT))))
        assert consume_and_kill(service.url, folder) > 10
        texts = [(folder / f"answers-{k}").read_text() for k in range(NUM_EVENTS)]
        yield client, [json.loads(text) for text in texts]


def consume_and_kill(url, folder):
    """Run a consumer over and over, each up to a random point; count the kills."""
    # A process that has imported what consumers need, so that each starts quickly. It
    # finds that by PYTHONPATH only.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.clients.consumer"])
    chance, num_kills = random.Random(14), 0
    while consumer.read_offset(folder) < NUM_EVENTS:
        progress, other_end = context.Pipe(duplex=False)
        process = context.Process(
            target=consumer.consume, args=(url, folder, other_end)
        )
        process.start()
        other_end.close()
        wait_for_points(progress, chance.randint(1, MAX_POINTS))
        process.join(chance.uniform(0, MAX_SECONDS))
        num_kills += process.is_alive()
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
    return num_kills


def wait_for_points(progress, num_points):
    try:
        for _ in range(num_points):
            progress.recv_bytes()
    except EOFError:
        return  # it came to the end of the messages


@pytest.mark.parametrize("apply", consumer.GUARDED, ids=lambda apply: apply.__name__)
def test_consumer_killed_at_random_points_applies_each_event_once(consumed, apply):
    client, kept = consumed
    name = apply.__name__

    (whole,) = client.predict("nature", [consumer.EVENTS], **{"return": "all"})[
        "predictions"
    ]
    assert client.session("nature", name).reload()["step"] == NUM_EVENTS
    answers = [answers[name] for answers in kept]
    np.testing.assert_allclose(answers, whole, atol=TOLERANCE)


def test_consumer_without_step_and_key_applies_some_events_twice(consumed):
    client, _ = consumed
    name = consumer.apply_unguarded.__name__

    assert client.session("nature", name).reload()["step"] > NUM_EVENTS
