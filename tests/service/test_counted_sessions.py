"""A real service of two workers shows how many sessions of its store are live."""

import contextlib
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from service.sessions.lifecycle import SessionKey
from service.sessions.record import Session
from service.stores.schemes import open_store
from tests.assembly import build_sessions
from tests.redis_servers import running
from tests.service.test_two_workers import Bare
from tests.waiting import wait_until

NUM_LIVE, NUM_EXPIRED, NUM_ENDED = 2500, 40, 3
TIMES = "sessions_counted_timestamp_seconds"

pytestmark = pytest.mark.server


@pytest.fixture(params=["lmdb", pytest.param("valkey", marks=pytest.mark.redis)])
def memory(request, tmp_path):
    """A store with sessions of an earlier run."""
    with contextlib.ExitStack() as started:
        url = f"lmdb://{tmp_path}/memory"
        if request.param != "lmdb":
            url = started.enter_context(running(request.param)).url
        store = open_store(url)
        fill(build_sessions(store, time.time, 600))
        store.close()
        yield url


def fill(sessions):
    now = time.time()
    keys = [
        SessionKey("", "nature", f"s{k}").encode()
        for k in range(NUM_LIVE + NUM_EXPIRED + NUM_ENDED)
    ]
    records = [
        Session(1, 1, bytes(16), now, now, now + idle, idle, bytes(400))
        for idle in [500.0] * NUM_LIVE + [-9.0] * NUM_EXPIRED + [500.0] * NUM_ENDED
    ]
    found = sessions.load(keys)
    assert all(sessions.save(list(zip(keys, found, records, strict=True))))
    for k in range(NUM_ENDED):
        sessions.delete(SessionKey("", "nature", f"s{NUM_LIVE + NUM_EXPIRED + k}"))


def read_metrics(server):
    return {
        sample.name.removeprefix("carryover_"): sample.value
        for family in parse(server.get("/metrics").text)
        for sample in family.samples
        if sample.labels in ({}, {"model": "nature"})
    }


def test_live_and_expired_sessions_are_shown_by_both_workers(memory, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "state").mkdir()
    with Bare(tmp_path / "models", tmp_path, memory=memory, workers=2) as server:
        wait_until(lambda: read_metrics(server).get(TIMES, 0) > 0, every=0.5)
        seen = [read_metrics(server) for _ in range(6)]

    for metrics in seen:
        assert metrics["live_sessions"] == NUM_LIVE
        assert metrics["expired_sessions"] == NUM_EXPIRED
        assert metrics["stored_sessions"] == NUM_LIVE + NUM_EXPIRED + NUM_ENDED
        # They expired before this service began to count.
        assert metrics["sessions_expired_total"] == 0
        assert abs(metrics[TIMES] - time.time()) < 60
