from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from training.data.series import SeriesOptions, cut_windows, load_series
from training.errors import DataError

ROWS = 100


def write_series(path, values):
    start = datetime(2020, 1, 1)
    rows = [f"{start + timedelta(hours=k)},{v}" for k, v in enumerate(values)]
    path.write_text("time,value\n" + "\n".join(rows))


@pytest.fixture
def options(tmp_path):
    """Options for a series that counts from 0 to 99, a fifth of it held out."""
    write_series(tmp_path / "series.csv", range(ROWS))
    return SeriesOptions(
        source="series",
        file=str(tmp_path / "series.csv"),
        time_column="time",
        value_column="value",
        horizon=3,
        held_out=0.2,
        window=10,
        stride=5,
        season_rows={"day": 24},
    )


def test_normalisation_comes_from_the_training_part_alone(options):
    field = load_series(options, 0).inputs["fields"][1]

    assert field["mean"] == np.arange(80).mean()
    assert field["std"] == np.arange(80).std()


def test_forecast_of_one_value_has_the_calendar_as_it_always_had(options):
    dataset = load_series(options, 0)

    assert dataset.inputs["fields"][0] == {"name": "time", "type": "time"}
    assert "quantiles" not in dataset.outputs


def test_quantiles_and_time_features_reach_the_schemas(options):
    features = ("time_of_day", "time_since_previous")
    asked = dataclasses.replace(options, quantiles=(0.1, 0.9), time_features=features)

    dataset = load_series(asked, 0)

    assert dataset.outputs["quantiles"] == [0.1, 0.9]
    assert dataset.inputs["fields"][0]["features"] == list(features)
    assert dataset.held_out.quantiles == (0.1, 0.9)


def test_windows_never_reach_into_the_held_out_part(options):
    dataset = load_series(options, 0)

    epochs = [dataset.draw_epoch(np.random.default_rng(seed)) for seed in range(20)]

    assert max(epoch.targets.max() for epoch in epochs) == 79
    assert min(epoch.sequences[..., 2].min() for epoch in epochs) == 0


def test_targets_are_the_next_values(options):
    epoch = load_series(options, 0).draw_epoch(np.random.default_rng(0))

    ahead = epoch.targets - epoch.sequences[..., 2:]

    assert np.all(ahead == [1, 2, 3])


def test_offset_of_the_windows_changes_with_the_epoch(options):
    dataset = load_series(options, 0)

    starts = {
        dataset.draw_epoch(np.random.default_rng(seed)).sequences[0, 0, 2]
        for seed in range(50)
    }

    assert starts == set(range(options.stride))


def test_shortest_possible_training_part_gives_one_window(options):
    sequence = np.zeros((options.window + options.horizon, 3), np.float32)

    epoch = cut_windows(sequence, options, np.random.default_rng(0))

    assert epoch.sequences.shape == (1, options.window, 3)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"window": 78}, "lower data.window"),
        ({"held_out": 0.03}, "lower data.window"),
        ({"season_rows": {"month": 720}}, "Leave it out of data.season_rows"),
    ],
)
def test_series_too_short_for_its_options_is_refused(options, change, part):
    with pytest.raises(DataError, match=part):
        load_series(dataclasses.replace(options, **change), 0)


@pytest.mark.parametrize(
    ("values", "part"),
    [([5] * ROWS, "values that change"), ([1, 2] * 40 + [0] * 20, "are all 0")],
    ids=["constant", "zeros held out"],
)
def test_values_without_meaning_are_refused(options, values, part):
    write_series(Path(options.file), values)

    with pytest.raises(DataError, match=part):
        load_series(options, 0)
