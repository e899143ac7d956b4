from __future__ import annotations

import numpy as np
import pytest

from training.data.event_log import Roles
from training.data.log_reader import read_log, read_text
from training.data.selection import select_cases
from training.errors import DataError

HOUR = 3_600_000_000


@pytest.fixture
def read(tmp_path):
    """Write a CSV file and read it with roles."""

    def write_and_read(content, **roles):
        path = tmp_path / "log.csv"
        path.write_text(content)
        return read_log(path, Roles("case", "event", **roles))

    return write_and_read


def test_cases_are_in_the_order_of_the_file_and_their_events_in_time(read):
    log = read(
        "case,event,time\nz,late,2024-01-02\na,only,2024-01-01\nz,early,2024-01-01\n",
        time="time",
    )

    assert log.case_names.tolist() == ["z", "a"]
    assert log.offsets.tolist() == [0, 2, 3]
    assert [log.events.names[k] for k in log.events.codes] == ["early", "late", "only"]


def test_without_times_the_order_of_the_file_counts(read):
    log = read("case,event\n1,b\n2,x\n1,a\n")

    assert [log.events.names[k] for k in log.events.codes] == ["b", "a", "x"]
    assert log.times is None


def test_offsets_order_events_and_clocks_stay_as_written(read):
    log = read(
        "case,event,time\n1,second,2024-01-01T10:00+02:00\n"
        "1,first,2024-01-01T09:30:00.5+05:30\n1,third,2024-01-01 08:00:00Z\n",
        time="time",
    )

    assert [log.events.names[k] for k in log.events.codes] == [
        "first",
        "second",
        "third",
    ]
    midnight = int(np.datetime64("2024-01-01", "us").astype(int))
    assert ((log.times - midnight) / HOUR).tolist() == [4 + 0.5 / 3600, 8, 8]
    assert ((log.clocks - midnight) / HOUR).tolist() == [9.5 + 0.5 / 3600, 10, 8]
    assert log.equal_times == 1


@pytest.mark.parametrize(
    ("written", "form", "expected"),
    [
        ("1704103200", None, "2024-01-01T10:00:00"),
        ("1704103200000", None, "2024-01-01T10:00:00"),
        ("1704103200.5", None, "2024-01-01T10:00:00.500000"),
        ("2024-01-01T10", None, "2024-01-01T10:00:00"),
        ("2024-01-01T10+02", None, "2024-01-01T08:00:00"),
        ("2024/1/1 10:00", None, "2024-01-01T10:00:00"),
        ("01.01.2024 10:00", "%d.%m.%Y %H:%M", "2024-01-01T10:00:00"),
    ],
)
def test_other_ways_of_writing_times_are_read(read, written, form, expected):
    log = read(f"case,event,time\n1,a,{written}\n", time="time", time_format=form)

    assert log.times[0] == np.datetime64(expected, "us").astype(int)


def test_further_fields_stay_with_their_event(read):
    log = read(
        "case,event,time,by,cost,good,part\n1,b,2,ann,2.5,yes,p\n1,a,1,,-1e3,,p\n",
        time="time",
        label="good",
        numbers=("cost",),
        categories=("by",),
        fold="part",
    )

    assert log.numbers["cost"].tolist() == [-1000, 2.5]
    assert [log.categories["by"].names[k] for k in log.categories["by"].codes] == [
        "",
        "ann",
    ]
    assert [log.label.names[k] for k in log.label.codes] == ["", "yes"]
    assert [log.folds.names[k] for k in log.folds.codes] == ["p"]


@pytest.mark.parametrize(
    ("cost", "part"),
    [
        ("dear", "line 2, column cost: 'dear' is not a finite number"),
        ("nan", "line 2, column cost: 'nan' is not a finite number"),
        ("1e39", "line 2, column cost: '1e39' is not a finite number"),
        ("", "line 2, column cost is empty; expected a number"),
    ],
)
def test_numbers_that_are_none_are_refused(read, cost, part):
    with pytest.raises(DataError, match=part):
        read(f"case,event,cost\n1,a,{cost}\n", numbers=("cost",))


def test_missing_numbers_may_be_filled_later(read):
    log = read("case,event,cost\n1,a,\n1,b,2\n", numbers=("cost",), missing="previous")

    assert np.isnan(log.numbers["cost"][0])
    assert log.numbers["cost"][1] == 2


def test_case_in_two_parts_is_refused(read):
    with pytest.raises(DataError, match="case '1' has more than one part"):
        read("case,event,part\n1,a,p\n1,a,q\n", fold="part")


def test_long_case_among_short_ones(read):
    rows = [f"long,e{k % 7}\n" for k in range(10_000)] + ["short,e0\n"] * 2
    log = read("case,event\n" + "".join(rows))

    assert log.lengths.tolist() == [10_000, 2]
    assert log.events.codes.dtype == np.uint8


def test_text_is_a_case_of_characters(tmp_path):
    path = tmp_path / "play.txt"
    path.write_text("ah\n☕ha")

    log = read_text(path)

    assert "".join(log.events.names[k] for k in log.events.codes) == "ah\n☕ha"
    assert log.num_cases == 1


def test_cases_are_chosen_by_length_and_number(read):
    log = read("case,event\n1,a\n2,a\n2,b\n2,c\n3,a\n3,b\n4,a\n4,b\n")

    chosen = select_cases(log, min_events=2, cut_after=2, first_cases=2)

    assert chosen.case_names.tolist() == ["2", "3"]
    assert [log.events.names[k] for k in chosen.events.codes] == ["a", "b", "a", "b"]
    with pytest.raises(DataError, match="no case has 9 events"):
        select_cases(log, min_events=9, cut_after=0, first_cases=0)
