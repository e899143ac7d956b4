"""Times that are digits alone, and columns of which some are not what others are."""

from __future__ import annotations

import pytest

from training.data.event_log import Roles
from training.data.log_reader import read_log
from training.errors import DataError


@pytest.fixture
def read(tmp_path):
    """Read a log of one case with events at times that are written so."""

    def write_and_read(*written, form=None):
        path = tmp_path / "log.csv"
        rows = "".join(f"1,a,{time}\n" for time in written)
        path.write_text(f"case,event,time\n{rows}")
        roles = Roles("case", "event", "time", time_format=form)
        times = read_log(path, roles).times.astype("datetime64[us]")
        return [str(time) for time in times.astype("datetime64[s]")]

    return write_and_read


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["20240131", "19991231"], ["1999-12-31T00:00:00", "2024-01-31T00:00:00"]),
        (["202401312359"], ["2024-01-31T23:59:00"]),
        (["20240131235958"], ["2024-01-31T23:59:58"]),
        (["20249999"], ["1970-08-23T08:59:59"]),  # no date, so seconds
        (
            ["-1", "0", "1.5e3"],
            ["1969-12-31T23:59:59", "1970-01-01T00:00:00", "1970-01-01T00:25:00"],
        ),
    ],
)
def test_digits_are_dates_where_they_look_like_them(read, written, expected):
    assert read(*written) == expected


def test_milliseconds_from_the_first_years_on_are_read(read):
    assert read("0", "86400000", "1704067200000")[:2] == [
        "1970-01-01T00:00:00",
        "1970-01-02T00:00:00",
    ]


@pytest.mark.parametrize(
    ("written", "part"),
    [
        (
            ["1704067200000", "1704067200"],
            "line 3, column time: '1704067200' is not in",
        ),
        (["1704067200", "1704067200000000"], "line 2, column time: '1704067200' is"),
        (["20240131", "20240131", "20240230"], "line 4, column time: '20240230'"),
        (["20240131", "20240131", "20241301"], "line 4, column time: '20241301'"),
        (["1704067200", "nan"], "line 3, column time: 'nan' is not a number"),
        (["1704067200", "inf"], "line 3, column time: 'inf' is not a number"),
        (["1704067200", "1e300"], "line 3, column time: '1e300' is not a number"),
    ],
)
def test_a_time_unlike_the_others_is_refused_with_its_line(read, written, part):
    with pytest.raises(DataError) as refused:
        read(*written)

    assert part in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_form_that_no_time_can_have_is_refused(read):
    with pytest.raises(DataError, match=r"data.time_format is '%Q'"):
        read("01.02.2024", form="%Q")
