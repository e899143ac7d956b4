from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from training.data.series import SeriesOptions, cut_windows, load_series
from training.errors import ConfigError, DataError

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


def test_validation_rows_are_asked_for_values_that_training_never_saw(options):
    dataset = load_series(dataclasses.replace(options, validation=0.25), 0)

    # Rows 60 to 79 are the part, the 10 before it are shown. The series counts.
    inputs, targets, weights, offsets, _ = dataset.validation
    assert inputs[:, 2].tolist() == list(range(50, 77))
    assert targets.tolist() == [[k + 1, k + 2, k + 3] for k in range(50, 77)]
    assert weights.tolist() == [0] * 9 + [1] * 18
    assert offsets.tolist() == [0, 27]


def test_without_a_validation_part_nothing_is_asked_of_it(options):
    assert load_series(options, 0).validation is None
    tiny = dataclasses.replace(options, validation=0.02)
    assert load_series(tiny, 0).validation is None


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


SITES = "time,load,site,wind,sky\n" + "".join(
    f"{datetime(2020, 1, 1) + timedelta(hours=k)},{k + 100 * site},s{site},{k % 3},"
    f"{'blue' if k % 2 else 'grey'}\n"
    for site in range(2)
    for k in range(ROWS)
)


@pytest.fixture
def sites(options, tmp_path):
    """Options for two series of one file, with a further number and name."""
    path = tmp_path / "sites.csv"
    path.write_text(SITES)
    return dataclasses.replace(
        options,
        file=str(path),
        value_column="load",
        case="site",
        numbers=("wind",),
        categories=("sky",),
        validation=0.1,
    )


def test_several_series_are_cut_at_one_time_and_windows_stay_in_one(sites):
    dataset = load_series(sites, 0)

    assert [one.start for one in dataset.held_out] == [80, 80]
    assert [one.validation for one in dataset.held_out] == [72, 72]
    epochs = [dataset.draw_epoch(np.random.default_rng(k)) for k in range(20)]
    epoch = epochs[0]
    assert epoch.sequences.shape[2] == 5
    assert np.all(np.ptp(epoch.sequences[..., 2], axis=1) == sites.window - 1)
    assert sorted({int(v // 100) for v in epoch.sequences[:, 0, 2]}) == [0, 1]
    assert max(epoch.targets.max() for epoch in epochs) == 171
    assert dataset.facts["series"] == 2


def test_further_fields_are_described_and_fitted_on_training_alone(sites):
    path = Path(sites.file)
    fields = load_series(sites, 0).inputs["fields"]

    assert fields[2]["name"] == "wind"
    assert fields[2]["mean"] == pytest.approx((np.arange(72) % 3).mean())
    assert fields[3] == {
        "name": "sky",
        "type": "category",
        "vocabulary": ["blue", "grey"],
    }
    lines = path.read_text().splitlines(keepends=True)
    is_late = [k % ROWS >= 73 for k in range(len(lines))]
    poison = [
        ",".join([*line.split(",")[:1], "7e9", line.split(",")[2], "8e9", "blue\n"])
        if late and k % ROWS
        else line
        for k, (line, late) in enumerate(zip(lines, is_late, strict=True))
    ]
    path.write_text("".join(poison))
    dirty = load_series(sites, 0)
    assert dirty.inputs["fields"] == fields
    path.write_text("".join(lines))
    epochs = [
        one.draw_epoch(np.random.default_rng(3))
        for one in (dirty, load_series(sites, 0))
    ]
    for a, b in zip(*epochs, strict=True):
        assert a.tobytes() == b.tobytes()


def test_names_that_training_has_not_seen_are_refused(sites):
    path = Path(sites.file)
    path.write_text(SITES.replace(",99,s0,0,blue", ",99,s0,0,red"))

    with pytest.raises(DataError, match="sky 'red' is not in the training part"):
        load_series(sites, 0)


def test_field_named_as_the_value_is_refused(options, tmp_path):
    Path(options.file).write_text(
        Path(options.file).read_text().replace("time,value", "when,load")
    )
    columns = {"time_column": "when", "value_column": "load", "numbers": ("load",)}
    load_series(dataclasses.replace(options, **columns), 0)
    write_series(Path(options.file), range(ROWS))
    with pytest.raises(DataError, match="Rename the column"):
        load_series(dataclasses.replace(options, numbers=("value",)), 0)


def test_every_origin_trains_on_all_before_it_and_holds_out_the_next_block(options):
    parts = [
        load_series(dataclasses.replace(options, origins=4, origin=k), 0).held_out
        for k in range(4)
    ]

    assert [(one.start, len(one.values)) for one in parts] == [
        (80, 85),
        (85, 90),
        (90, 95),
        (95, 100),
    ]
    with pytest.raises(ConfigError, match="origin is 4; expected 0 to 3"):
        load_series(dataclasses.replace(options, origins=4, origin=4), 0)


@pytest.mark.parametrize("rows", range(40, 60))
def test_the_held_out_share_is_rounded_as_on_paper(options, rows):
    write_series(Path(options.file), range(rows))
    small = dataclasses.replace(options, held_out=0.3, season_rows=None)

    held_out = load_series(small, 0).held_out

    assert rows - held_out.start == (3 * rows + 5) // 10


@pytest.mark.parametrize("column", ["value", "wind"])
def test_numbers_too_large_for_their_changes_are_refused(options, column):
    """A meter at 1.7e9 + 10 sin would be one number in float32."""
    large = 1.7e9 + 10 * np.sin(np.arange(ROWS))
    names = {"value": np.arange(ROWS), "wind": np.arange(ROWS), column: large}
    lines = Path(options.file).read_text().splitlines()
    rows = [
        f"{line.split(',')[0]},{names['value'][k]},{names['wind'][k]}"
        for k, line in enumerate(lines[1:])
    ]
    Path(options.file).write_text("time,value,wind\n" + "\n".join(rows) + "\n")
    expected = r"changes by 7\.\d+ around 1\.7e\+09.*are 128 apart.*Subtract a constant"

    with pytest.raises(DataError, match=expected):
        load_series(dataclasses.replace(options, numbers=("wind",)), 0)
