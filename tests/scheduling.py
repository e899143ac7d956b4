"""The order of the tests' files: the longest first, so that none begins last.

`python -m tests.scheduling junit.xml` writes `seconds.json` from what
`make test PYTEST=--junitxml=junit.xml` recorded.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

RECORD = Path(__file__).with_name("seconds.json")
# Shorter files need no place: they fill what the long ones leave.
LONG_SECONDS = 10
# Of a file that is not recorded yet, by the marks of its tests.
GUESSES = {"tensorflow": 20, "slow": 20, "server": 12}


def sort_by_length(items, seconds):
    """Sort tests by the seconds of their file, the longest first, in place.

    Args:
        items: Tests that were collected, those of a file one after another.
        seconds: Recorded seconds by file.
    """
    lengths = {}
    for item in items:
        file = item.location[0]
        names = [mark.name for mark in item.iter_markers()]
        guess = max((GUESSES.get(name, 0) for name in names), default=0)
        lengths[file] = max(lengths.get(file, 0), seconds.get(file, guess))
    items.sort(key=lambda item: -lengths[item.location[0]])


def read_record():
    """Read the recorded seconds by file."""
    return json.loads(RECORD.read_text())


def sum_seconds(path):
    """Add up the seconds of a JUnit report by file; setup counts for its test."""
    seconds = Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        if module := case.get("classname"):
            seconds[f"{module.replace('.', '/')}.py"] += float(case.get("time"))
    return seconds


def main(report):
    """Write the record."""
    found = {
        file: round(spent)
        for file, spent in sorted(sum_seconds(report).items())
        if spent >= LONG_SECONDS
    }
    RECORD.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
