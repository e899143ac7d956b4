"""Labelled windows: how they are read, which rows they mark, how alarms are scored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.data.event_options import EventOptions
from training.data.events import load_events
from training.errors import ConfigError, DataError
from training.evaluate.alarms import (
    find_runs,
    find_windows,
    mark_overlaps,
    measure_alarms,
)
from training.evaluate.events import evaluate_events
from training.evaluate.guesses import guess
from training.evaluate.metric import NETWORK

EVENTS = "aabaabaabaab"
CASES, RARE = 40, {32: 5, 36: 9, 38: 3}  # case: the place of a rare event in it


def stamp(case, k, zone=""):
    return f"2026-01-{case % 28 + 1:02d}T{case // 28:02d}:{k:02d}:00{zone}"


def rows(zone="", anomaly=lambda case, k: ""):
    for case in range(CASES):
        for k, event in enumerate(EVENTS):
            name = "rare" if RARE.get(case) == k else event
            yield f"c{case},{name},{stamp(case, k, zone)},{anomaly(case, k)}\n"


@pytest.fixture
def load(tmp_path):
    """Write a log, and a file of windows where there are any; load them."""

    def write_and_load(windows=None, lines=None, file=None, **options):
        path = tmp_path / "log.csv"
        path.write_text("case,event,time,bad\n" + "".join(lines or rows()))
        given = {"case": "case", "event": "event", "time": "time", "split": "file"}
        if windows is not None:
            is_text = isinstance(windows, str)
            file = tmp_path / ("windows.csv" if is_text else "windows.json")
            file.write_text(windows if is_text else json.dumps(windows))
        if file:
            given["windows"] = str(file)
        return load_events(EventOptions("events", str(path), **given | options), 1)

    return write_and_load


WINDOWS = {
    "c32": [[stamp(32, 5), stamp(32, 5)]],  # the rare event alone
    "c36": [[stamp(36, 1), stamp(36, 2)]],  # beside it
    "c3": [[stamp(3, 1), stamp(3, 2)]],  # of the training part
}


def expect(data, rare=0.001):
    """Expect the rare event at every place as little."""
    labels = data.held_out.labels
    shares = np.array([rare if one in ("rare", "[unknown]") else 1 for one in labels])
    shares = shares / shares.sum()
    return lambda sequences: np.broadcast_to(shares, (*sequences.shape, len(labels)))


def measure(data):
    metrics = evaluate_events(data.held_out, expect(data), {})
    return {one.name: one for one in metrics}


def alarm(data):
    predict, size = expect(data), len(data.held_out.labels)
    tested = {NETWORK: guess(data.held_out.test, predict, size)}
    return measure_alarms(data.held_out, {NETWORK: predict}, tested)


def test_alarms_are_scored_at_thresholds_of_validation(load):
    data = load(WINDOWS)

    metrics = measure(data)

    assert data.facts["labelled_windows"] == 3
    assert data.facts["test_windows"] == 2
    at = ", alarms at 5.0% of validation"
    # Alarms are the 3 rare events: one in a window, and one window has none.
    assert metrics[f"window precision{at}"].value == pytest.approx(1 / 3)
    assert metrics[f"window recall{at}"].value == pytest.approx(1 / 2)
    f1 = metrics[f"overlap F1{at}"]
    assert f1.value == pytest.approx(2 / (2 + 2 + 1))
    assert f1.better == "higher"
    assert "most frequent" in f1.baselines
    assert not f1.verdict


def test_windows_change_no_other_figure_and_no_part(load):
    plain, labelled = load(), load(WINDOWS)

    without, with_them = alarm(plain), alarm(labelled)

    assert [one for one in with_them if one in without] == without
    assert len(with_them) == len(without) + 3 == 4
    for part in ("train", "validation", "test"):
        one, other = (getattr(d.held_out, part) for d in (plain, labelled))
        assert [a.tobytes() for a in one[:4]] == [a.tobytes() for a in other[:4]]


def test_csv_and_a_column_say_the_same_as_json(load):
    text = "case,from,to\n" + "".join(
        f"{case},{start},{stop}\n" for case, [[start, stop]] in WINDOWS.items()
    )
    inside = {(32, 5), (36, 1), (36, 2), (3, 1), (3, 2)}
    lines = list(rows(anomaly=lambda case, k: "yes" if (case, k) in inside else "no"))

    wanted = load(WINDOWS).held_out.windows > 0

    assert wanted.sum() == 3
    assert ((load(text).held_out.windows > 0) == wanted).all()
    marked = load(lines=lines, anomaly="bad").held_out.windows
    assert ((marked > 0) == wanted).all()


def test_a_run_of_a_column_ends_with_its_case(load):
    lines = list(rows(anomaly=lambda case, k: int(case >= 38)))

    data = load(lines=lines, anomaly="bad")

    assert data.facts["test_windows"] == 2


def test_windows_of_a_case_that_overlap_are_one(load):
    data = load({"c38": [[stamp(38, 4), stamp(38, 6)], [stamp(38, 2), stamp(38, 5)]]})

    assert data.facts["labelled_windows"] == 1
    assert np.flatnonzero(data.held_out.windows[-24:]).tolist() == [2, 3, 4, 5, 6]


def test_times_with_offsets_are_compared_as_instants(load):
    lines = list(rows(zone="+02:00"))
    windows = {"c38": [["2026-01-11T00:01:00+01:00", "2026-01-11T00:02:00+01:00"]]}

    data = load(windows, lines)

    assert np.flatnonzero(data.held_out.windows[-24:]).tolist() == [1, 2]


def test_a_format_and_numbers_are_read_as_the_log_has_them(load):
    text = "case,from,to\nc0,04.01.2026,04.01.2026\n"
    lines = [f"c{k},{e},{k + 1:02d}.01.2026,\n" for k in range(20) for e in "aab"]
    data = load(text.replace("c0", "c3"), lines, time_format="%d.%m.%Y")
    assert data.facts["labelled_windows"] == 1

    lines = [f"c{k},{e},{1_700_000_000 + k},\n" for k in range(20) for e in "aab"]
    data = load({"c19": [[1_700_000_019, 1_700_000_019]]}, lines)
    assert data.facts["test_windows"] == 1


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ({"c99": [[stamp(1, 1), stamp(1, 2)]]}, "the data have no case 'c99'"),
        ({"c1": [["2025-01-01", "2025-01-02"]]}, "no row of case 'c1' is from 2025"),
        ({"c1": [[stamp(1, 2), stamp(1, 1)]]}, "is reversed"),
        ({"c1": [["soon", stamp(1, 1)]]}, "'soon' is not a time"),
        ({"c1": [[stamp(1, 1, "Z"), stamp(1, 2, "Z")]]}, "has a UTC offset"),
        ({"c1": [[stamp(1, 1)]]}, "c1, window 1: .* is not a list of windows"),
        ({"c1": "always"}, 'c1: "always" is not a list of windows'),
        ([[stamp(1, 1), stamp(1, 2)]], "is a list; expected an object"),
        ({}, "has no window"),
        ("case,from,to\n", "has no window"),
        ('{"c1": [["2026', "is not JSON"),
        ("case,from,till\nc1,1,2\n", "no column 'to' for data.windows"),
        (f"case,from,to\nc1,{stamp(1, 1)}\n", "line 2: 2 cells; the header has 3"),
        (f"case,from,to\nc1,,{stamp(1, 1)}\n", "line 2: '' is not a time"),
    ],
)
def test_damaged_windows_are_refused_in_a_sentence(load, windows, words):
    with pytest.raises(DataError, match=words) as refused:
        load(windows)

    assert "windows." in str(refused.value)


def test_a_file_that_is_not_there_is_refused(load):
    with pytest.raises(DataError, match=r"nowhere\.json, which is not a file"):
        load(file="nowhere.json")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"anomaly": "bad"}, "expected one of them"),
        ({"time": ""}, "expected a column of times"),
        ({"task": "label", "label": "bad"}, "has no surprise to score"),
    ],
)
def test_keys_that_contradict_are_refused(load, options, words):
    with pytest.raises(ConfigError, match=words):
        load(WINDOWS, **options)


def test_overlaps_are_those_of_closed_segments():
    found = [(0, 5), (20, 25), (40, 60)]

    assert mark_overlaps([(5, 6), (6, 19), (26, 39), (50, 51)], found).tolist() == [
        *(True, False, False, True)
    ]
    assert mark_overlaps([], found).tolist() == []
    assert mark_overlaps(found, []).tolist() == [False] * 3


def test_runs_and_windows_are_first_and_last_rows():
    assert find_runs(np.array([2, 3, 4, 8, 10, 11])) == [(2, 4), (8, 8), (10, 11)]
    assert find_runs(np.array([], int)) == []
    assert find_windows(np.array([0, 2, 2, 0, 1, 1, 3])) == [(1, 2), (4, 5), (6, 6)]
