"""One service and one browser per file; each test gets a page of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.playground.browsers import open_chromium
from tests.servers import Server

WIDE = {"width": 1360, "height": 900}
# A busy machine is no defect of the page.
expect.set_options(timeout=30_000)
NOTE_CONTROLS = (Path(__file__).parent / "controls.js").read_text()


@pytest.fixture(scope="module")
def chromium():
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def playground(bundled, tmp_path_factory):
    """A service with the bundled models."""
    home = tmp_path_factory.mktemp("playground")
    with Server(bundled, home, runtime="litert", snapshots=8) as running:
        yield running


class Watched:
    """A page and what it did wrong: messages, failures, requests elsewhere."""

    def __init__(self, page, origin):
        self.wrong = []
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self._note_request(request, origin))

    def _note_message(self, message):
        # An answer with a problem is shown by the page; Chromium logs it by itself.
        if "Failed to load resource" not in message.text:
            self.wrong.append(f"{message.type}: {message.text}")

    def _note_request(self, request, origin):
        if not request.url.startswith((origin, "data:")):
            self.wrong.append(f"foreign request: {request.url}")


@pytest.fixture(scope="module")
def controls():
    """Names of the controls that pages of this file showed, and that tests used."""
    return {"seen": set(), "used": set()}


@pytest.fixture
def open_page(chromium, playground, controls):
    """Open the playground at a place: `open_page("#model=taxi", width=360)`."""
    opened = []

    def open_at(place="", *, address="playground", ready=".bench", **options):
        context = chromium.new_context(
            viewport=options.pop("viewport", WIDE),
            permissions=["clipboard-read", "clipboard-write"],
            **options,
        )
        context.expose_binding(
            "noteControl", lambda _, what, name: controls[what].add(name)
        )
        context.add_init_script(NOTE_CONTROLS)
        page = context.new_page()
        page.set_default_timeout(60_000)
        opened.append((context, Watched(page, playground.url)))
        page.goto(f"{playground.url}/{address}{place}")
        page.locator(ready).first.wait_for()
        return page

    yield open_at
    for context, watched in opened:
        context.close()
        assert watched.wrong == []
