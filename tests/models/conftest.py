"""Fixtures of the tests of networks."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def say(capsys):
    """Write a line for who runs the tests, at once."""

    def write(line):
        with capsys.disabled():
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    return write
