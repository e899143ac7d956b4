"""The order of the tests' files, and which tests `make test` leaves to `ALL=1`.

The longest files begin first, so that none begins last. `make test ALL=1
PYTEST=--record-seconds` runs all tests and writes both into `seconds.json`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

RECORD = Path(__file__).with_name("seconds.json")
# Shorter files need no place: they fill what the long ones leave.
LONG_SECONDS = 10
# A function is slow that takes longer, with all its parameters.
SLOW_SECONDS = 2
# A file is slow as a whole where what its tests share takes longer than this, and
# longer than the tests of it that are not slow.
SHARED_SECONDS = 5
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
    """Read the seconds of long files, and the functions and files that are slow."""
    record = json.loads(RECORD.read_text())
    return record["files"], frozenset(record["slow"])


def name_function(nodeid):
    """Return the name of a test without its parameters."""
    return nodeid.partition("[")[0]


class Recorder:
    """pytest plugin that measures tests and what they share, and writes the record.

    Under xdist the processes that run the tests measure fixtures, and the one that
    collects their reports writes.
    """

    def __init__(self):
        self.files = Counter()
        self.functions = Counter()
        self.shared = Counter()
        self._item = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """Remember which test a fixture is set up for."""
        self._item = item

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        """Measure a fixture that several tests share; the report carries it."""
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function" and self._item is not None:
                taken = time.perf_counter() - began
                self._item.user_properties.append((fixturedef.scope, taken))

    def pytest_runtest_logreport(self, report):
        """Add up a phase of a test."""
        file = report.nodeid.partition("::")[0]
        own = report.duration
        if report.when == "setup":
            for scope, taken in report.user_properties:
                own -= taken
                # Those of a whole run are set up by whichever file comes first.
                if scope in ("module", "class"):
                    self.shared[file] += taken
        self.files[file] += report.duration
        self.functions[name_function(report.nodeid)] += own

    def pytest_sessionfinish(self, session):
        """Write the record, in the process that collects the reports."""
        if not hasattr(session.config, "workerinput"):
            RECORD.write_text(json.dumps(self.describe(), indent=2) + "\n")

    def describe(self):
        """Return what the record is to hold."""
        slow = {name for name, spent in self.functions.items() if spent > SLOW_SECONDS}
        left = Counter()
        for name, spent in self.functions.items():
            if name not in slow:
                left[name.partition("::")[0]] += spent
        whole = {
            file
            for file, spent in self.shared.items()
            if spent > max(SHARED_SECONDS, left[file])
        }
        return {
            "files": {
                file: round(spent)
                for file, spent in sorted(self.files.items())
                if spent >= LONG_SECONDS
            },
            "slow": sorted(
                whole | {name for name in slow if name.partition("::")[0] not in whole}
            ),
        }
