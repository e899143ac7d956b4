"""Finds a Chromium for the browser tests, and installs one where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL_SECONDS = 300


def find_chromium():
    """Return the path of an installed Chromium, or None."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install_chromium():
    """Install Chromium by the system's packages, else by Playwright's own download."""
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if os.getuid() == 0 and shutil.which("apt-get"):
        ways.insert(0, ["apt-get", "install", "-y", "-q", "chromium"])
    failures = []
    for way in ways:
        try:
            subprocess.run(
                way, check=True, capture_output=True, timeout=INSTALL_SECONDS
            )
            return
        except (subprocess.SubprocessError, OSError) as error:
            failures.append(f"{' '.join(way)}: {error}")
    pytest.skip("no Chromium can be installed; " + "; ".join(failures))


def rest(page):
    """Wait until the numbers of the page have followed what is selected."""
    # What a click changes is drawn in the next frame; until then nothing is busy.
    page.evaluate(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    expect(page.locator('[aria-busy="true"]')).to_have_count(0)


@contextmanager
def open_chromium():
    """Start a headless Chromium; skip the tests where none can be installed."""
    path = find_chromium()
    if path is None:
        install_chromium()
        path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()
