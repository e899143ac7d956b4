"""Rows and headers far larger than any real one are refused, never left out."""

import gzip

import pytest

from training.data.event_log import Roles
from training.data.files import MAX_OBJECT_LENGTH
from training.data.inspection import inspect_file
from training.data.log_reader import read_log
from training.data.tables import MAX_COLUMNS
from training.errors import DataError

# More than DuckDB's buffer, where it would leave out the last row of a file.
HUGE = b"a" * (33 << 20)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_a_huge_last_row_is_refused_with_its_line(tmp_path, name):
    content = b"case,event\n1,a\n1," + HUGE + b"\n"
    file = tmp_path / name
    file.write_bytes(gzip.compress(content, 1) if name.endswith("gz") else content)

    with pytest.raises(DataError, match="line 3: field larger than field limit"):
        read_log(file, Roles("case", "event"))


def test_a_huge_object_is_refused_with_its_line(tmp_path):
    file = tmp_path / "log.jsonl"
    name = "a" * MAX_OBJECT_LENGTH
    file.write_text(f'{{"case":"1","event":"a"}}\n{{"case":"1","event":"{name}"}}\n')

    with pytest.raises(DataError, match="line 2: an object of 16,777,2"):
        read_log(file, Roles("case", "event"))


def test_more_columns_than_can_be_looked_at_are_refused_at_once(tmp_path):
    file = tmp_path / "log.csv"
    names = [f"c{k}" for k in range(100 * MAX_COLUMNS)]
    file.write_text(f"{','.join(names)}\n{','.join('1' for _ in names)}\n")

    with pytest.raises(DataError, match="has 100,000 columns; expected at most 1,000"):
        inspect_file(file, {})


def test_as_many_columns_as_can_be_looked_at_are_read(tmp_path):
    file = tmp_path / "log.csv"
    names = [f"c{k}" for k in range(MAX_COLUMNS)]
    file.write_text(f"{','.join(names)}\n{','.join('1' for _ in names)}\n")

    assert len(inspect_file(file, {}).columns) == MAX_COLUMNS
