"""docs/explanation/reliability.md: rows name tests that exist; no fault lacks one."""

import re

import pytest

from benchmarks.chaos.report import FAULTS
from tests.servers import ROOT

TEXT = (ROOT / "docs" / "explanation" / "reliability.md").read_text()
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows():
    """The rows of the page's tables: fault, promise and test."""
    lines = re.findall(r"^\| (.+) \|$", TEXT, re.M)
    cells = [re.split(r" \| ", line) for line in lines]
    return [row for row in cells if row[0] != "fault"]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_row_names_tests_that_exist(row):
    _, promise, shown = row
    named = TEST.findall(shown)

    assert promise
    assert named
    for file, test in named:
        found = re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.M)
        assert found, f"{file}::{test}"


def test_tables_hold_nothing_else():
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    titles = [line for line in lines if line == "| fault | promise | test |"]

    # A title and the line under it for each table.
    assert len(lines) == len(rows()) + 2 * len(titles)


def test_every_fault_of_the_chaos_run_has_a_row():
    _, _, after = TEXT.partition("## The chaos run")
    table, _, _ = after.partition("\n## ")
    named = re.findall(r"^\| ([^|]+) \|", table, re.M)

    assert named[0] == "fault"
    assert named[1:] == list(FAULTS)
