"""One greedy client does not turn another away, with two real workers."""

from benchmarks.fairness.attack import run
from tests.servers import Server

NUM_CONNECTIONS, NUM_ROWS, NUM_EVENTS = 36, 512, 390
SECONDS = 6
# Before, none of the small requests was answered while the attack lasted. What is
# aimed at on a quiet machine is in the benchmark; tests share theirs.
MAX_MEDIAN_MS = 500


def test_a_greedy_client_turns_no_small_request_away(bundled, tmp_path):
    body = {"instances": [["tree"] * NUM_EVENTS] * NUM_ROWS}
    probe = {"instances": [{"sequence": ["tree"], "session": "probe"}]}
    with Server(bundled, tmp_path, runtime="litert", workers=2) as server:
        url = f"{server.url}/v1/models/nature:predict"
        seen = run(url, body, probe, NUM_CONNECTIONS, SECONDS)

    assert seen.statuses.keys() == {200}
    assert seen.median_ms < MAX_MEDIAN_MS
    assert seen.attack.get(200, 0) > 0
    assert 413 not in seen.attack
