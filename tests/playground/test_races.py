"""Answers that come late or out of order: the page shows what was chosen last."""

import json
import re

import pytest
import requests
from playwright.sync_api import expect

from tests.playground.test_quality import PAINTED, assert_accessible

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", autouse=True)
def leave_no_session(playground):
    """Other files share the service, and require that it has none."""
    yield
    url = f"{playground.url}/v1/models/nature/sessions"
    for each in requests.get(url, timeout=60).json()["sessions"]:
        requests.delete(f"{url}/{each['session']}", timeout=60).raise_for_status()


class Delayed:
    """Requests of one address that wait until they are released.

    Attributes:
        routes: The requests that are delayed, the oldest first.
    """

    def __init__(self, page, address, *, at_most=1):
        self.page, self.routes, self._at_most = page, [], at_most
        page.route(address, self._hold)

    def _hold(self, route):
        if len(self.routes) < self._at_most:
            self.routes.append(route)
        else:
            route.continue_()

    def wait(self):
        """Wait until as many are delayed as may be."""
        while len(self.routes) < self._at_most:
            self.page.wait_for_timeout(20)
        return self

    def release(self):
        """Let the service answer them, and the page read the answers."""
        for route in self.routes:
            with self.page.expect_response(route.request.url):
                route.continue_()
        self.page.wait_for_timeout(100)


def place(model, events=None, **fields):
    parts = {"model": model, **fields}
    if events is not None:
        parts["events"] = json.dumps(events)
    return "#" + "&".join(f"{key}={value}" for key, value in parts.items())


def click(page, *names):
    """Click buttons of the palette in one go, faster than any answer."""
    page.evaluate(
        """names => {
          const buttons = [...document.querySelectorAll(".event-button")];
          const nameOf = (button) => button.querySelector("span").textContent;
          const find = (name) => buttons.find((button) => nameOf(button) === name);
          for (const name of names) find(name).click();
        }""",
        names,
    )


def left_out(names):
    return re.compile(f"left out: ({names})")


def columns(page):
    return page.locator(".column em:last-child")


def test_model_chosen_last_is_shown_though_another_answers_later(open_page):
    page = open_page(place("nature"))
    choice = page.get_by_label("Model", exact=True)
    delayed = Delayed(page, "**/models/taxi/metadata")

    choice.select_option("taxi")
    delayed.wait()
    choice.select_option("visits")
    expect(page.locator(".surprise").first).to_be_visible()
    delayed.release()

    expect(choice.locator("option:checked")).to_have_text("visits")
    expect(page.locator(".chart")).to_have_count(0)


def test_link_followed_last_is_opened_though_another_answers_later(open_page):
    page = open_page(place("nature"))
    delayed = Delayed(page, "**/models/taxi/metadata")

    page.evaluate("place => { location.hash = place }", place("taxi"))
    delayed.wait()
    page.evaluate("place => { location.hash = place }", place("nature", ["fox"]))
    expect(columns(page)).to_have_text(["fox"])
    delayed.release()

    expect(columns(page)).to_have_text(["fox"])


def test_session_is_opened_without_scrolling_on_a_phone(open_page, playground):
    playground.predict("nature", {"sequence": ["bear"], "session": "phone"})
    page = open_page(place("nature"), viewport={"width": 360, "height": 740})
    page.get_by_role("button", name="Sessions", exact=True).click()

    opens = page.get_by_role("button", name="Open session phone")
    opens.scroll_into_view_if_needed()
    scrolled = page.locator(".sessions .scroll").evaluate("each => each.scrollLeft = 0")
    assert scrolled == 0
    expect(opens).to_be_in_viewport(ratio=1)


def test_session_opened_last_is_shown_though_another_answers_later(
    open_page, playground
):
    for name in ("late", "soon"):
        playground.predict("nature", {"sequence": ["bear"], "session": name})
    page = open_page(place("nature"))
    page.get_by_role("button", name="Sessions", exact=True).click()
    delayed = Delayed(page, "**/sessions/late/memory")

    page.get_by_role("button", name="Open session late").click()
    delayed.wait()
    page.get_by_role("button", name="Open session soon").click()
    expect(page.get_by_text("Session soon at step 1.")).to_be_visible()
    delayed.release()

    expect(page.get_by_text("Session soon at step 1.")).to_be_visible()


def test_quick_clicks_all_reach_a_session_in_their_order(open_page, playground):
    playground.predict("nature", {"sequence": ["bear"], "session": "quick"})
    page = open_page(place("nature", session="quick"))
    expect(page.get_by_text("Session quick at step 1.")).to_be_visible()

    click(page, "fox", "tree", "sofa")

    expect(page.get_by_text("Session quick at step 4.")).to_be_visible()
    expect(columns(page).nth(1)).to_have_text("fox")
    expect(columns(page).nth(3)).to_have_text("sofa")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".counter")).to_have_text("4 / 4")


def test_second_click_changes_the_service_once(open_page, playground):
    page = open_page(place("nature", ["bear", "tree"]))
    page.get_by_role("button", name="Sessions", exact=True).click()
    page.get_by_label("New session").fill("twice")
    keep = page.get_by_role("button", name="Send this sequence to it")

    keep.evaluate("button => { button.click(); button.click(); }")
    expect(page.get_by_text("Session twice at step 2.")).to_be_visible()
    fork = page.get_by_role("button", name="Fork here")
    fork.evaluate("button => { button.click(); button.click(); }")
    expect(page.locator(".lane")).to_have_count(2)

    expect(page.get_by_role("alert")).to_have_count(0)
    url = f"{playground.url}/v1/models/nature/sessions?prefix=twice"
    assert len(requests.get(url, timeout=60).json()["sessions"]) == 2


def test_long_sequence_is_sent_to_a_session_in_parts(open_page, playground):
    events = ["bear", *["tree"] * 119]
    page = open_page(place("nature", events))
    expect(page.locator(".counter")).to_have_text("120 / 120")
    page.get_by_role("button", name="Sessions", exact=True).click()
    page.get_by_label("New session").fill("long")

    with page.expect_request("**/*:explain") as sent:
        page.get_by_role("button", name="Send this sequence to it").click()

    expect(page.get_by_text("Session long at step 120.")).to_be_visible()
    assert len(sent.value.post_data_json["instances"][0]["sequence"]) == 50
    url = f"{playground.url}/v1/models/nature/sessions/long"
    assert requests.get(url, timeout=60).json()["step"] == 120


def test_events_chosen_while_others_are_refused_are_kept(open_page):
    page = open_page(place("nature", ["bear"]))
    delayed = Delayed(page, "**/*:explain")
    page.get_by_text("Paste a sequence").click()
    page.locator(".paste textarea").fill('["unicorn"]')
    page.locator(".paste").get_by_role("button", name="Add 1 picture").click()
    delayed.wait()

    page.get_by_role("button", name="Clear", exact=True).click()
    click(page, "fox", "tree")
    delayed.release()

    expect(columns(page)).to_have_text(["fox", "tree"])
    expect(page.get_by_role("alert")).to_have_count(0)


def test_late_explanation_is_not_that_of_other_events(open_page):
    page = open_page(place("nature", ["bear", "blurry"]))
    arcs = page.locator(".arcs")
    expect(arcs).to_have_attribute("aria-label", left_out("bear"))
    delayed = Delayed(page, "**/*:predict")
    page.get_by_role("button", name="Clear", exact=True).click()
    click(page, "fox", "blurry")
    delayed.wait()

    page.get_by_role("button", name="Clear", exact=True).click()
    click(page, "tree", "blurry")
    expect(arcs).to_have_attribute("aria-label", left_out("none"))
    delayed.release()

    expect(arcs).to_have_attribute("aria-label", left_out("none"))


def test_late_forecast_is_not_that_of_other_events(open_page):
    page = open_page(place("visits", ["weather", "weather"]))
    ahead = page.get_by_role("button", name="Forecast", exact=True)
    path = page.locator(".path")
    delayed = Delayed(page, "**/*:forecast")
    ahead.click()
    delayed.wait()

    page.get_by_role("button", name="Clear", exact=True).click()
    click(page, "sports", "news")
    expect(page.locator(".counter")).to_have_text("2 / 2")
    delayed.release()
    expect(path).to_have_count(0)

    ahead.click()
    expect(path).to_be_visible()
    page.get_by_role("button", name="Step back").click()
    expect(path).to_have_count(0)


def test_what_takes_longer_than_a_moment_is_said(open_page):
    page = open_page(place("nature", ["bear"]))
    said = page.locator(".progress")
    delayed = Delayed(page, "**/models/taxi/metadata")

    page.get_by_label("Model", exact=True).select_option("taxi")
    delayed.wait()
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    expect(said).to_have_text("Loading taxi …")
    expect(said.locator("p")).to_be_in_viewport()
    assert_accessible(page)
    delayed.release()
    expect(page.locator(".chart")).to_be_visible()
    expect(said).to_be_empty()

    delayed = Delayed(page, "**/taxi:explain")
    page.locator(".fields").get_by_role("button", name="Add").click()
    delayed.wait()
    expect(said).to_have_text("Asking taxi …")
    delayed.release()
    expect(said).to_be_empty()
    expect(page.locator("main")).to_have_attribute("aria-busy", "false")


def expect_painted(page):
    page.wait_for_function(f"() => Math.min(...({PAINTED})()) > 100")


def test_columns_stay_painted_through_late_answers_and_refusals(open_page, playground):
    events = ["bear", *["tree"] * 30]
    page = open_page(place("nature", events))
    expect(columns(page).last).to_be_visible()
    delayed = Delayed(page, "**/nature:explain")
    click(page, "fox")
    delayed.wait()
    page.set_viewport_size({"width": 700, "height": 800})
    page.get_by_role("button", name="Use dark colours").click()
    delayed.release()
    expect(page.locator(".counter")).to_have_text("32 / 32")
    expect_painted(page)

    unload = f"{playground.url}/v2/repository/models/nature/unload"
    requests.post(unload, timeout=60).raise_for_status()
    try:
        click(page, "sofa")
        page.set_viewport_size({"width": 1300, "height": 800})
        expect(page.get_by_role("alert")).to_contain_text("model_not_found")
        expect_painted(page)
    finally:
        load = unload.replace("unload", "load")
        requests.post(load, timeout=60).raise_for_status()
    page.get_by_role("button", name="Use light colours").click()
    expect_painted(page)


def test_column_that_cannot_be_drawn_leaves_the_others_painted(chromium, playground):
    page = chromium.new_page()

    def spoil(route):
        answer = route.fetch().json()
        answer["predictions"][0]["layers"][0]["learn"][0] = 7
        route.fulfill(json=answer)

    page.route("**/nature:explain", spoil)
    events = ["bear", *["tree"] * 5]
    page.goto(f"{playground.url}/playground{place('nature', events)}")

    expect(page.locator(".column")).to_have_count(6)
    unpainted = f"({PAINTED})().filter((pixels) => pixels < 100).length"
    page.wait_for_function(f"() => {unpainted} === 1")
    page.close()
