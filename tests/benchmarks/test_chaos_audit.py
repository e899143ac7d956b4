"""The chaos run's audit sees what it is there to see."""

import pytest
import requests

from benchmarks.chaos.audit import (
    TOLERANCE,
    Verdict,
    compare,
    compare_steps,
    replay,
    take_smaller,
)
from benchmarks.chaos.ledger import Entry
from benchmarks.chaos.report import Report

SOUND = Verdict(1, 6, 0, 0, 0, 0.0)


def entry(step, num_events, probabilities=(0.25, 0.75)):
    return Entry(step, ("bear",) * num_events, probabilities)


@pytest.mark.parametrize(
    ("entries", "step", "lost", "doubled"),
    [
        ([entry(2, 2), entry(3, 1), entry(6, 3)], 6, 0, 0),
        ([], 0, 0, 0),
        ([entry(2, 2), entry(6, 3)], 6, 0, 1),
        ([entry(2, 2), entry(2, 2)], 2, 2, 0),
        ([entry(2, 2), entry(4, 2)], 2, 2, 0),
        ([entry(2, 2)], 4, 0, 2),
        ([entry(3, 3), entry(5, 3)], 5, 1, 0),
        ([entry(1, 2)], 1, 1, 0),
    ],
    ids=[
        "tiled",
        "empty",
        "gap",
        "twice",
        "rolled back",
        "applied again",
        "overlap",
        "before one",
    ],
)
def test_steps_claimed_twice_are_lost_and_unclaimed_ones_doubled(
    entries, step, lost, doubled
):
    assert compare_steps(entries, step) == (lost, doubled)


def test_probabilities_are_compared_where_they_are_known():
    assert compare(entry(1, 1), (0.25, 0.75)) == 0
    assert compare(entry(1, 1), (0.2501, 0.7499)) > TOLERANCE
    assert compare(entry(1, 1, None), (0.25, 0.75)) is None


def test_smaller_difference_of_two_replays_counts():
    assert take_smaller([2e-5, 1e-6, None], [1e-7, 3e-5, None]) == [1e-7, 1e-6, None]


@pytest.mark.tensorflow
@pytest.mark.server
def test_rows_that_were_mixed_up_differ_in_both_replays(servers, bundled):
    """The first row is one event shorter than what its answer was computed from."""
    server = servers(bundled, "litert")
    rows = [("blurry", "fox"), ("sofa", "kettle"), ("bear",)]
    entries, step = [], 0
    for events in rows:
        body = {"instances": [{"sequence": events, "session": "audited"}]}
        url = f"{server.url}/v1/models/nature:predict"
        (answer,) = requests.post(url, json=body, timeout=60).json()["predictions"]
        step = answer["step"]
        entries.append(Entry(step, events, tuple(answer["probabilities"])))
    lost = [Entry(1, rows[0][:1], entries[0].probabilities)]
    lost += [e._replace(step=e.step - 1) for e in entries[1:]]

    assert max(replay(server.url, [entries])) <= TOLERANCE
    assert replay(server.url, [lost])[0] > TOLERANCE


@pytest.mark.parametrize(
    ("verdict", "objections"),
    [
        (SOUND._replace(lost=1), []),
        (SOUND._replace(doubled=1), []),
        (SOUND._replace(wrong=1), []),
        (SOUND, ["a client failed"]),
    ],
    ids=["lost", "doubled", "wrong", "objection"],
)
def test_report_is_sound_only_without_a_flaw(verdict, objections):
    assert Report("lmdb", 1.0, 0, {}, SOUND, []).is_sound
    assert not Report("lmdb", 1.0, 0, {}, verdict, objections).is_sound
