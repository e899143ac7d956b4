"""Draws the playground for the documents: `make screenshots`, into docs/images/.

Phone and desktop, light and dark, of the bundled models, by the browser of the tests.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.playground.browsers import open_chromium
from tests.servers import ROOT, Server

IMAGES = ROOT / "docs" / "images"
DESKTOP = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}
# What a page shows last: arcs, once the selection rests, or another view than columns.
WHOLE = ".arcs path, .folded svg, canvas.map"
# Name, place, window, colours, and whether all of the page is drawn.
SHOTS = (
    ("playground-desktop-light", "", DESKTOP, "light", False),
    ("playground-desktop-dark", "", DESKTOP, "dark", False),
    ("playground-phone-light", "", PHONE, "light", False),
    ("playground-phone-dark", "#model=nature&view=folded", PHONE, "dark", True),
    ("playground-series", "#model=taxi&view=heatmap", DESKTOP, "light", True),
)


def draw_all() -> None:
    """Start the service and a browser, and draw every picture."""
    with (
        tempfile.TemporaryDirectory() as home,
        Server(ROOT / "artifacts", Path(home)) as server,
        open_chromium() as browser,
    ):
        for name, place, window, scheme, is_whole in SHOTS:
            page = browser.new_page(viewport=window, color_scheme=scheme)
            page.set_default_timeout(120_000)
            page.goto(f"{server.url}/playground{place}")
            page.locator(".bench").wait_for()
            page.locator(WHOLE).first.wait_for()
            page.wait_for_timeout(500)  # bars move for a moment
            page.screenshot(path=IMAGES / f"{name}.png", full_page=is_whole)
            page.close()


if __name__ == "__main__":
    draw_all()
