from __future__ import annotations

import numpy as np
import pytest

from training.data.series_file import SeriesColumns, read_series
from training.errors import DataError

HEADER = "time,value\n"
COLUMNS = SeriesColumns("time", "value")


@pytest.fixture
def read(tmp_path):
    """Write content to a file and read it as a series."""

    def write_and_read(content):
        path = tmp_path / "series.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        (series,) = read_series(path, COLUMNS).series
        return series

    return write_and_read


def test_times_become_days_and_seconds_of_the_day(read):
    series = read(HEADER + "1970-01-02 00:00:00,1\n1970-01-03T01:00:01,2.5\n")

    assert series.days.tolist() == [1, 2]
    assert series.seconds.tolist() == [0, 3601]
    assert series.values.tolist() == [1, 2.5]
    assert series.days.dtype == series.seconds.dtype == np.float32


def test_last_moment_of_a_day_is_not_the_next_day(read):
    series = read(HEADER + "1970-01-02 23:59:59.999999,3.4028235e38\n")

    assert (series.days[0], series.seconds[0]) == (1, 86_400 - 2**-7)
    assert np.isfinite(np.float32(series.values[0]))


def test_times_before_1970_count_backwards(read):
    series = read(HEADER + "1969-12-31 23:00:00,1\n")

    assert (series.days[0], series.seconds[0]) == (-1, 82_800)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + HEADER + "2020-01-01,7\n",
        HEADER + "2020-01-01,7",
        "time,value\r\n2020-01-01,7\r\n",
        HEADER + "\n2020-01-01,7\n\n",
        "value,other,time\n7,x,2020-01-01\n",
        ' time , value \n2020-01-01 , "7" \n',
        HEADER + "2020-01-01T00:00:00Z,7\n",
        HEADER + "2020-01-01T00:00:00+05:30,7e0\n",
    ],
    ids=["mark", "no last newline", "crlf", "blank", "order", "spaces", "z", "offset"],
)
def test_usual_ways_of_writing_csv_are_read(read, content):
    series = read(content)

    assert (series.days.tolist(), series.seconds.tolist()) == ([18_262], [0])
    assert series.values.tolist() == [7]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["is empty"]),
        (HEADER, ["has no rows"]),
        ("when,value\n", ["no column 'time' for data.time_column", "when, value"]),
        (
            "time,value,value\n",
            ["line 1", "'value' of data.value_column is there 2 times"],
        ),
        (
            HEADER + "2020-01-01,\n",
            ["line 2", "column value is empty", "a number", "data.missing"],
        ),
        (HEADER + "2020-01-01,1 000\n", ["line 2", "column value", "'1 000'"]),
        (
            HEADER + "2020-01-01,nan\n",
            ["line 2", "column value", "is not a finite number"],
        ),
        (
            HEADER + "2020-01-01,-inf\n",
            ["line 2", "column value", "is not a finite number"],
        ),
        (
            HEADER + "2020-01-01,1e39\n",
            ["line 2", "column value", "is not a finite number"],
        ),
        (HEADER + "yesterday,1\n", ["line 2", "column time", "ISO 8601"]),
        (HEADER + ",1\n", ["line 2", "column time is empty", "its row's time"]),
        (HEADER + "2020-02-30,1\n", ["line 2", "column time", "ISO 8601"]),
        (HEADER + "2020-01-01\n", ["line 2", "1 cells; the header has 2"]),
        (HEADER + "2020-01-01,1,2\n", ["line 2", "3 cells; the header has 2"]),
        (
            HEADER + "2020-01-01,1\n2020-01-01,2\n",
            ["line 3", "column time", "the time of an earlier row", "Merge"],
        ),
        (
            HEADER + "2020-01-01T00:00Z,1\n2020-01-02,2\n",
            ["line 3", "column time", "some times have a UTC offset"],
        ),
        (
            HEADER + "2020-01-01T00:00Z,1\n2020-01-02T00:00+01:00,2\n",
            ["line 3", "column time", "another UTC offset", "one clock"],
        ),
        (
            (HEADER + "2020-01-01,1\n2020-01-02,").encode() + b"\xe9\n",
            ["line 3", "byte 0xe9 is not UTF-8", "Save the file as UTF-8"],
        ),
        (HEADER + '2020-01-01,"' + "1" * 2_000_000, ["line 2", "again"]),
    ],
)
def test_unreadable_series_names_line_column_and_fix(read, content, parts):
    with pytest.raises(DataError) as raised:
        read(content)

    message = str(raised.value)
    assert "series.csv" in message
    assert [part for part in parts if part not in message] == []


def test_missing_file_says_where_it_was_sought(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv cannot be read .*data\.file"):
        read_series(tmp_path / "none.csv", COLUMNS)


def test_gaps_are_counted(read):
    times = ["00:00", "00:30", "01:00", "02:30", "03:00"]

    series = read(HEADER + "".join(f"2020-01-01 {time},1\n" for time in times))

    assert series.gaps == 1


def test_fingerprint_follows_the_content(tmp_path):
    def fingerprint(content):
        path = tmp_path / "series.csv"
        path.write_text(HEADER + content)
        return read_series(path, COLUMNS).fingerprint

    first = fingerprint("2020-01-01,1\n")

    assert first == fingerprint("2020-01-01,1\n")
    assert first != fingerprint("2020-01-01,2\n")


def test_rows_are_sorted_by_time(read):
    series = read(HEADER + "2020-01-02,2\n2020-01-01,1\n")

    assert series.values.tolist() == [1, 2]


SEVERAL = (
    "time,load,site,wind,sky\n"
    "2020-01-01T00:00,,a,1,grey\n"
    "2020-01-01T01:00,1,a,1,blue\n"
    "2020-01-01T02:00,2,a,,blue\n"
    "2020-01-01T05:00,3,a,5,blue\n"
    "2020-01-01T05:40,4,a,5,blue\n"
    "2020-01-01T06:40,5,a,5,blue\n"
    "2020-01-01T00:00,9,b,7,grey\n"
)


def test_several_series_with_further_fields_are_filled_with_what_was_known(tmp_path):
    path = tmp_path / "several.csv"
    path.write_text(SEVERAL)
    columns = SeriesColumns(
        "time", "load", "site", ("wind",), ("sky",), missing="previous"
    )

    first, second = read_series(path, columns).series

    assert (first.name, second.name) == ("a", "b")
    assert first.seconds.tolist() == [3600 * h for h in (1, 2, 3, 4, 5)] + [
        20400,
        24000,
    ]
    assert first.values.tolist() == [1, 2, 2, 2, 3, 4, 5]
    assert first.numbers[:, 0].tolist() == [1, 1, 1, 1, 5, 5, 5]
    assert [first.names[0][code] for code in first.categories[:, 0]] == ["blue"] * 7
    # The first row has no value before it; two rows are missing; 40 minutes are a gap.
    assert (first.filled_values, first.filled_rows, first.gaps) == (1, 2, 1)
    assert (first.dropped_rows, second.dropped_rows) == (1, 0)
    assert second.values.tolist() == [9]


def test_series_without_a_value_and_series_of_gaps_are_not_filled(tmp_path):
    path = tmp_path / "series.csv"
    columns = COLUMNS._replace(missing="previous")
    path.write_text(HEADER + "2020-01-01,\n")
    with pytest.raises(DataError, match="no value at all"):
        read_series(path, columns)
    path.write_text(HEADER + "2020-01-01,1\n2020-01-02,1\n2020-01-03,1\n2024-01-01,1\n")
    with pytest.raises(DataError, match="4 rows, and 1458 are missing"):
        read_series(path, columns)


def test_two_series_without_their_names_are_refused(tmp_path):
    path = tmp_path / "several.csv"
    path.write_text(SEVERAL)

    with pytest.raises(DataError, match=r"line 8, column time .*name the series"):
        read_series(path, SeriesColumns("time", "load", missing="previous"))
