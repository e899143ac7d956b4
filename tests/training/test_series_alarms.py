"""Labelled windows of series: which rows they are, and how alarms are scored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.data.series import SeriesOptions, load_series
from training.errors import ConfigError, DataError
from training.evaluate.alarms import list_scores
from training.evaluate.series import evaluate_series
from training.evaluate.series_alarms import find_surprise

ROWS, SPIKES = 400, (100, 350, 380)  # one in the training part, two held out
FIRST = np.datetime64("2026-01-01T00:00")


def stamp(row, zone=""):
    return f"{FIRST + np.timedelta64(int(row), 'h')}{zone}"


def values():
    made = 10 + np.sin(np.arange(ROWS) / 3)
    made[list(SPIKES)] += 30
    return made


@pytest.fixture
def load(tmp_path):
    """Write one or two series and their windows, and load them."""

    def write_and_load(windows, names=("",), zone="", **options):
        path = tmp_path / "meter.csv"
        lines = [
            f"{stamp(row, zone)},{value},{name}\n"
            for name in names
            for row, value in enumerate(values())
        ]
        path.write_text("at,value,site\n" + "".join(lines))
        file = tmp_path / "windows.json"
        file.write_text(json.dumps(windows))
        given = {"validation": 0.2, "windows": str(file), **options}
        given |= {"case": "site"} if names != ("",) else {}
        return load_series(
            SeriesOptions("series", str(path), "at", "value", 1, 0.2, 20, 10, **given),
            seed=1,
        )

    return write_and_load


def repeat_now(sequences):
    """Forecast the value of now."""
    return sequences[..., 2:3]


def measure(data):
    return {m.name: m for m in evaluate_series(data.held_out, repeat_now, {})}


def test_windows_of_the_held_out_part_are_scored(load):
    windows = [[stamp(99), stamp(101)], [stamp(349), stamp(352)], [stamp(365)] * 2]

    data = load({"realData/meter.csv": windows, "other.csv": [["x", "y"]] * 0})
    metrics = measure(data)

    assert data.facts["labelled_windows"] == 3
    assert data.facts["test_windows"] == 2
    at = ", alarms at 5.0% of validation"
    alarms = [name for name in metrics if name.startswith("alarms over a surprise")]
    assert all(" deviations, " in name for name in alarms)
    # At a spike and after it: two runs of alarms at least, one in a window.
    precision, recall = (metrics[f"window {x}{at}"] for x in ("precision", "recall"))
    assert recall.value == pytest.approx(1 / 2)
    assert 0 < precision.value <= 1 / 2
    both = precision.value + recall.value
    f1 = metrics[f"overlap F1{at}"]
    assert f1.value == pytest.approx(2 * precision.value * recall.value / both)
    assert {"last value", "gradient boosting"} <= set(f1.baselines)
    # The network is the last value here.
    assert f1.baselines["last value"] == f1.value


def test_windows_of_several_series_count_together(load):
    windows = {"east": [[stamp(350), stamp(351)]], "west": [[stamp(380)] * 2]}

    data = load(windows, names=("east", "west"))
    metrics = measure(data)

    assert data.facts["test_windows"] == 2
    at = ", alarms at 1.0% of validation"
    assert metrics[f"window recall{at}"].value == 1
    assert metrics[f"window precision{at}"].value < 1


def test_windows_change_no_other_figure(load):
    data = load({"meter": [[stamp(350), stamp(352)]]})
    plain = data.held_out._replace(windows=None)

    with_them = measure(data)
    without = {m.name: m for m in evaluate_series(plain, repeat_now, {})}

    assert {name: with_them[name] for name in without} == without
    assert len(with_them) > len(without)


def test_offsets_are_compared_as_instants(load):
    windows = {"meter.csv": [["2026-01-15T14:00Z", "2026-01-15T15:00Z"]]}

    data = load(windows, zone="+02:00")

    first = 14 * 24 + 16
    assert np.flatnonzero(data.held_out.windows).tolist() == [first, first + 1]


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ({"other.csv": [[stamp(1), stamp(2)]]}, r"no window of meter\.csv"),
        ({"meter.csv": [["2025-01-01"] * 2]}, "no row of the series is from"),
        ({"meter.csv": [[stamp(2), stamp(1)]]}, "is reversed"),
    ],
)
def test_wrong_windows_are_refused(load, windows, words):
    with pytest.raises(DataError, match=words):
        load(windows)


def test_windows_need_a_validation_part(load):
    with pytest.raises(ConfigError, match=r"Set data\.validation, such as 0\.1\."):
        load({"meter": [[stamp(350), stamp(352)]]}, validation=0.0)


def test_surprise_is_in_half_widths_of_the_interval(load):
    data = load({"meter": [[stamp(350), stamp(352)]]})
    held_out = data.held_out._replace(
        values=np.array([0.0, 5.0, 1.0]), quantiles=(0.1, 0.5, 0.9)
    )
    made = np.array([[0, 1, 4], [0, 2, 4], [9, 9, 9]], np.float32)

    assert find_surprise(held_out, made).tolist() == [0, 2, 0.5]
    two = held_out._replace(quantiles=(0.1, 0.9))
    assert find_surprise(two, made[:, ::2]).tolist() == [0, 1.5, 0.5]


def test_nothing_found_is_a_score_of_0():
    counts = {"true positives": 0, "false positives": 0, "false negatives": 2}

    assert [m.value for m in list_scores(0.01, {"network": counts})] == [0, 0, 0]
