from __future__ import annotations

import numpy as np
import pytest

from training.data.csv_series import read_series
from training.errors import DataError

HEADER = "time,value\n"


@pytest.fixture
def read(tmp_path):
    """Write content to a file and read it as a series."""

    def write_and_read(content):
        path = tmp_path / "series.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_series(path, "time", "value")

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
        ("", ["line 1", "column time appears not at all", "(nothing)"]),
        (HEADER, ["has no rows"]),
        ("when,value\n", ["line 1", "column time", "when, value", "data.time_column"]),
        ("time;value\n", ["line 1", "column time", "Separate columns by commas"]),
        ("time,value,value\n", ["line 1", "column value appears twice"]),
        (HEADER + "2020-01-01,\n", ["line 2", "column value", "''", "a number"]),
        (HEADER + "2020-01-01,1 000\n", ["line 2", "column value", "'1 000'"]),
        (HEADER + "2020-01-01,nan\n", ["line 2", "column value", "a finite number"]),
        (HEADER + "2020-01-01,-inf\n", ["line 2", "column value", "a finite number"]),
        (HEADER + "2020-01-01,1e39\n", ["line 2", "column value", "a finite number"]),
        (HEADER + "yesterday,1\n", ["line 2", "column time", "ISO 8601"]),
        (HEADER + ",1\n", ["line 2", "column time", "ISO 8601"]),
        (HEADER + "2020-02-30,1\n", ["line 2", "column time", "ISO 8601"]),
        (HEADER + "2020-01-01\n", ["line 2", "1 cells; the header has 2"]),
        (HEADER + "2020-01-01,1,2\n", ["line 2", "3 cells; the header has 2"]),
        (
            HEADER + "2020-01-01,1\n2020-01-01,2\n",
            ["line 3", "column time", "later than the line before", "merge"],
        ),
        (
            HEADER + "2020-01-02,1\n2020-01-01,2\n",
            ["line 3", "column time", "later than the line before", "sort"],
        ),
        (
            HEADER + "2020-01-01T00:00Z,1\n2020-01-02,2\n",
            ["line 3", "column time", "UTC offset", "one clock"],
        ),
        (
            (HEADER + "2020-01-01,1\n2020-01-02,").encode() + b"\xe9\n",
            ["line 3", "byte 0xe9 is not UTF-8", "Save the file as UTF-8"],
        ),
        (HEADER + "2020-01-01," + "1" * 200_000, ["line 2", "field larger", "again"]),
    ],
)
def test_unreadable_series_names_line_column_and_mend(read, content, parts):
    with pytest.raises(DataError) as raised:
        read(content)

    message = str(raised.value)
    assert "series.csv" in message
    assert [part for part in parts if part not in message] == []


def test_missing_file_says_where_it_was_sought(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv cannot be read .*data\.file"):
        read_series(tmp_path / "none.csv", "time", "value")


def test_gaps_are_counted(read):
    times = ["00:00", "00:30", "01:00", "02:30", "03:00"]

    series = read(HEADER + "".join(f"2020-01-01 {time},1\n" for time in times))

    assert series.gaps == 1


def test_fingerprint_follows_the_content(read):
    first = read(HEADER + "2020-01-01,1\n").fingerprint

    assert first == read(HEADER + "2020-01-01,1\n").fingerprint
    assert first != read(HEADER + "2020-01-01,2\n").fingerprint
