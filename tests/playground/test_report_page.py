"""The page of a training report in a browser: phone and desktop, dark and light."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.training.report_pages import write_page


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A report of events and one of a series, as files."""
    folder = tmp_path_factory.mktemp("reports")
    for name in ("visits", "taxi"):
        (folder / f"{name}.html").write_bytes(write_page(name))
    return {name: (folder / f"{name}.html").as_uri() for name in ("visits", "taxi")}


@pytest.mark.parametrize("name", ["visits", "taxi"])
def test_the_page_fits_asks_nobody_and_breaks_no_rule_of_its_own(
    chromium, places, name
):
    page = chromium.new_page(viewport={"width": 400, "height": 800})
    complaints, asked = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(places[name])
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    backgrounds, violations = set(), []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        backgrounds.add(
            page.evaluate("getComputedStyle(document.body).backgroundColor")
        )
        if name == "visits":  # the other page has the same parts
            violations += Axe().run(page).response["violations"]
    page.close()

    assert [violation["id"] for violation in violations] == []
    assert complaints == []
    assert asked == [places[name]]
    assert len(backgrounds) == 2  # the style sheet is applied, both of its halves
