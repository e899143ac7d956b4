"""One browser for all files and one page per file, opened at a new place by each test.

Loading the page takes a second of the processor, a new place a fifth of that.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.playground.browsers import open_chromium, rest
from tests.servers import Server

WIDE = {"width": 1360, "height": 900}
# A busy machine is no defect of the page.
expect.set_options(timeout=30_000)
NOTE_CONTROLS = (Path(__file__).parent / "controls.js").read_text()


@pytest.fixture(scope="package")
def chromium():
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
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


# The same address is a new place too; what the last test left is not waited for.
GO = """place => {
  document.querySelector(".bench")?.setAttribute("data-left", "");
  const last = location.hash;
  location.hash = place;
  // Compared as the browser writes it, which is not always as the test does.
  if (location.hash === last) dispatchEvent(new Event("hashchange"));
}"""


class Pages:
    """Pages of one service, each in a context of its own."""

    def __init__(self, chromium, playground, controls):
        self._chromium, self._playground = chromium, playground
        self._controls = controls
        self.opened = []

    def load(self, path, **options):
        """Load the page by its address, in a new context."""
        context = self._chromium.new_context(
            viewport=WIDE,
            permissions=["clipboard-read", "clipboard-write"],
            **options,
        )
        context.expose_binding(
            "noteControl", lambda _, what, name: self._controls[what].add(name)
        )
        context.add_init_script(NOTE_CONTROLS)
        page = context.new_page()
        page.set_default_timeout(60_000)
        self.opened.append((context, Watched(page, self._playground.url)))
        page.goto(f"{self._playground.url}/{path}")
        return page

    def close(self):
        """Close every page and require that none did wrong."""
        wrong = [what for _, watched in self.opened for what in watched.wrong]
        for context, _ in self.opened:
            context.close()
        self.opened.clear()
        assert wrong == []


@pytest.fixture(scope="module")
def shared(chromium, playground, controls):
    """The page that the tests of a file share, once one needs it."""
    pages = Pages(chromium, playground, controls)
    yield pages
    pages.close()


@pytest.fixture
def load_page(chromium, playground, controls):
    """Load a page of its own, for what outlasts a place: keys, storage, addresses."""
    pages = Pages(chromium, playground, controls)

    def load(place="", *, address="playground", ready=".bench", **options):
        page = pages.load(f"{address}{place}", **options)
        page.locator(ready).first.wait_for()
        rest(page)
        return page

    yield load
    pages.close()


@pytest.fixture
def open_page(shared):
    """Open a place: `open_page("#model=taxi", viewport=PHONE, color_scheme="dark")`."""

    def open_at(place="", *, ready=".bench", viewport=WIDE, **media):
        if not shared.opened:
            shared.load("playground")
        (context, _) = shared.opened[0]
        (page,) = context.pages
        page.set_viewport_size(viewport)
        page.emulate_media(**{"color_scheme": "light", "reduced_motion": None, **media})
        page.mouse.move(0, 0)
        page.evaluate(GO, place)
        page.locator(f"{ready}:not([data-left])").first.wait_for()
        rest(page)
        return page

    yield open_at
    for context, watched in shared.opened:
        for page in context.pages:
            page.unroute_all()
        assert watched.wrong == []
