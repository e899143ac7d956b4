"""Further fields of an event: what is fitted on what, missing or unknown."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.event_options import EventOptions
from training.data.events import load_events
from training.errors import ConfigError, DataError

HEADER = "case,event,time,amount,team\n"


@pytest.fixture
def load(tmp_path):
    """Write rows and load them as a source of records."""

    def write_and_load(rows, **options):
        path = tmp_path / "log.csv"
        lines = [",".join(map(str, row)) + "\n" for row in rows]
        path.write_text(HEADER + "".join(lines))
        named = {"case": "case", "event": "event", "split": "file"}
        named |= {"numbers": ("amount",), "categories": ("team",), **options}
        return load_events(EventOptions("events", str(path), **named), seed=1)

    return write_and_load


def cases(count, amount=lambda case, k: 10 * case + k, team=lambda case, k: "xy"[k]):
    return [
        (case, event, 86_400 * case + 60 * k, amount(case, k), team(case, k))
        for case in range(count)
        for k, event in enumerate("ab")
    ]


def test_event_with_fields_is_a_record_of_the_columns_of_the_file(load):
    data = load(cases(10), time="time")

    event, time, amount, team = data.inputs["fields"]
    assert (event["name"], event["vocabulary"]) == ("event", ["a", "b", "[unknown]"])
    assert (event["type"], event["unknown"]) == ("category", "[unknown]")
    assert time["features"] == ["time_of_day", "day_of_week", "time_since_previous"]
    assert (team["vocabulary"], team["unknown"]) == (
        ["x", "y", "[unknown]"],
        "[unknown]",
    )
    trained = [10 * case + k for case in range(7) for k in range(2)]
    assert amount["mean"] == pytest.approx(np.mean(trained))
    assert amount["std"] == pytest.approx(np.std(trained))
    assert data.outputs["event"] == "event"
    assert data.outputs["labels"] == ["a", "b", "[unknown]", "[end]"]
    first = data.held_out.train.inputs[:2].tolist()
    assert first == [[0, 0, 0, 0, 0], [1, 0, 60, 1, 1]]
    assert data.held_out.train.targets[:2].tolist() == [1, 3]


def test_event_is_its_name_alone_until_fields_are_asked_for(load):
    plain = {"numbers": (), "categories": (), "time": "time"}

    assert load(cases(10), **plain).inputs["kind"] == "event"
    shown = load(cases(10), **plain, time_features=("time_since_previous",))
    assert shown.inputs["fields"][1] == {
        "name": "time",
        "type": "time",
        "features": ["time_since_previous"],
    }
    with pytest.raises(ConfigError, match=r"data.time_features is .* a column"):
        load(cases(10), time_features=("time_of_day",))


def test_poison_in_other_parts_changes_no_byte_of_training(load):
    amount = lambda case, k: 10 * case + k if case < 7 else 1e9  # noqa: E731
    team = lambda case, k: "xy"[k] if case < 7 else "poison"  # noqa: E731

    clean, dirty = load(cases(10)), load(cases(10, amount, team))

    assert clean.inputs == dirty.inputs
    epochs = (d.draw_epoch(np.random.default_rng(7)) for d in (clean, dirty))
    for a, b in zip(*epochs, strict=True):
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
    # What training has not seen is the unknown name.
    assert set(dirty.held_out.test.inputs[:, 2]) == {2}


def test_rare_names_of_every_column_are_hidden_in_training(load):
    data = load(cases(40, team=lambda case, k: "rare" if case == k == 0 else "x"))
    epochs = [data.draw_epoch(np.random.default_rng(k)) for k in range(100)]

    hidden = [epoch.inputs[0, 2] == 2 for epoch in epochs]
    assert 0.05 < np.mean(hidden) < 0.4  # 0.25 / 1.25 of a name that was seen once
    assert {float(epoch.inputs[1, 1]) for epoch in epochs} == {1.0}  # numbers stay
    for epoch in epochs:
        follows = ~np.isin(np.arange(len(epoch.inputs)), epoch.offsets[:-1])
        names = epoch.inputs[:, 0].astype(int)
        assert (names[follows] == epoch.targets[:-1][follows[1:]]).all()


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("previous", [0, 0, 8, 8]), ("mean", [0, np.nan, np.nan, 8])],
)
def test_missing_numbers_are_filled_as_asked(load, missing, expected):
    known = {(0, 0): 0, (1, 1): 8, **{(c, 0): 8 for c in range(2, 9)}}
    known |= {(c, 1): 8 for c in range(2, 9)}
    data = load(cases(9, lambda *place: known.get(place, "")), missing=missing)

    numbers = data.held_out.train.inputs[:4, 1]
    mean = data.inputs["fields"][1]["mean"]
    expected = [
        mean if k == 2 and missing == "previous" else x for k, x in enumerate(expected)
    ]
    np.testing.assert_allclose(numbers, expected, rtol=1e-6)
    assert data.inputs["fields"][1].get("optional", False) == (missing == "mean")


def test_missing_and_wrong_numbers_are_refused_with_their_line(load):
    with pytest.raises(DataError, match=r"line 4, column amount is empty; expected a"):
        load(cases(9, lambda case, k: "" if (case, k) == (1, 0) else 1))
    with pytest.raises(DataError, match=r"line 3, column amount: 'much' is not"):
        load(cases(9, lambda case, k: "much" if (case, k) == (0, 1) else 1))


def test_column_that_is_two_fields_is_refused(load):
    with pytest.raises(ConfigError, match="column 'team' is 2 fields of an event"):
        load(cases(9, team=lambda case, k: 1), numbers=("team",))
    with pytest.raises(DataError, match=r"column .amont. for data.numbers.*amount"):
        load(cases(9), numbers=("amont",))
