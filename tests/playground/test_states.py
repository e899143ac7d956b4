"""States of the page: a key, the service, a session or a model is missing."""

import json

import pytest
import requests
from playwright.sync_api import expect

from service.api.api_keys import add_key
from tests.playground.test_quality import assert_accessible
from tests.servers import Server

pytestmark = pytest.mark.server

SCOPES = ("predict", "sessions", "admin")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    return tmp_path_factory.mktemp("keys") / "api.keys"


@pytest.fixture(scope="module")
def key(key_file):
    return add_key(key_file, "acme", SCOPES)


@pytest.fixture(scope="module")
def playground(bundled, key, key_file, tmp_path_factory):
    """A service that wants keys."""
    home = tmp_path_factory.mktemp("states")
    with Server(bundled, home, runtime="litert", api_keys_file=key_file) as running:
        yield running


@pytest.fixture
def send(playground, key):
    """Call the service as the page's user could."""

    def call(method, path, body=None):
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{playground.url}{path}"
        return requests.request(method, url, json=body, headers=headers, timeout=60)

    return call


@pytest.fixture
def open_with_key(load_page, key):
    def open_at(place=""):
        page = load_page(place, ready="[role=alert]")
        expect(page.get_by_role("alert")).to_contain_text("unauthorized")
        expect(page.get_by_role("alert")).to_contain_text(
            "The service wants an API key"
        )
        page.get_by_label("API key, kept in memory only").fill(key)
        page.get_by_role("button", name="Use key").click()
        page.locator(".bench").wait_for()
        return page

    return open_at


def palette(page, name):
    group = page.get_by_role("group", name="Palette")
    group.get_by_role("button", name=name).click()


def test_axe_finds_nothing_where_the_page_cannot_open(load_page):
    page = load_page(ready="[role=alert]", color_scheme="dark")

    assert_accessible(page)


def test_page_without_a_key_says_so_and_opens_with_one(open_with_key, key):
    page = open_with_key()

    expect(page.locator(".column")).to_have_count(5)
    command = page.locator(".request pre").first
    expect(command).to_contain_text('-H "Authorization: Bearer $CARRYOVER_KEY"')
    assert key not in page.content()
    page.get_by_role("button", name="Python").click()
    expect(command).to_contain_text("os.environ['CARRYOVER_KEY']")


def test_service_that_restarts_is_waited_for(open_with_key, playground):
    page = open_with_key()
    expect(page.locator(".column")).to_have_count(5)

    playground.stop()
    palette(page, "fox")
    expect(page.get_by_role("alert")).to_contain_text("offline")
    # Nobody answered which event mattered, so that nothing is said about it.
    said = page.locator(".story [aria-live]")
    expect(said).to_have_text("It remembers 4 pictures, so it says wolf.")
    playground.start()
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".column")).to_have_count(6)
    expect(page.locator(".counter")).to_have_text("6 / 6")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_event_beyond_the_rate_limit_waits(bundled, chromium, tmp_path):
    # One worker: each has counters of its own, and the page has a connection to one.
    limits = {"rate_limit": "40/hour", "workers": 1}
    with Server(bundled, tmp_path, runtime="litert", **limits) as server:
        page = chromium.new_page()
        page.goto(f"{server.url}/playground#model=nature")
        expect(page.locator(".column")).to_have_count(5)
        while server.predict("nature", ["bear"]).status_code != 429:
            pass

        palette(page, "fox")

        expect(page.get_by_role("alert")).to_contain_text("rate_limited")
        server.stop()  # the next one counts from nothing
        server.start()
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".column")).to_have_count(6)
        page.close()


def test_session_that_is_gone_says_so(open_with_key, send):
    row = {"sequence": ["bear"], "session": "gone"}
    send("POST", "/v1/models/nature:predict", {"instances": [row]})
    page = open_with_key("#model=nature&session=gone")
    expect(page.get_by_text("Session gone at step 1.")).to_be_visible()

    send("DELETE", "/v1/models/nature/sessions/gone")
    palette(page, "tree")

    expect(page.get_by_role("alert")).to_contain_text("session_gone")
    expect(page.get_by_role("alert")).to_contain_text("Open another one")


def test_session_that_another_client_advanced_is_not_advanced_twice(
    open_with_key, send
):
    row = {"sequence": ["bear"], "session": "shared"}
    send("POST", "/v1/models/nature:predict", {"instances": [row]})
    page = open_with_key("#model=nature&session=shared")
    expect(page.get_by_text("Session shared at step 1.")).to_be_visible()

    send("POST", "/v1/models/nature:predict", {"instances": [row]})
    palette(page, "tree")

    expect(page.get_by_role("alert")).to_contain_text("step_conflict")
    expect(page.get_by_role("alert")).to_contain_text("Open it again under Sessions")
    assert_accessible(page)
    assert send("GET", "/v1/models/nature/sessions/shared").json()["step"] == 2


def test_refused_event_is_taken_back(open_with_key):
    events = json.dumps(["bear", "unicorn"])
    page = open_with_key(f"#model=nature&events={events}")

    expect(page.get_by_role("alert")).to_contain_text("unknown_event")
    expect(page.get_by_role("alert")).to_contain_text("unicorn")
    palette(page, "bear")
    expect(page.locator(".column")).to_have_count(1)


def test_model_that_is_gone_says_so(open_with_key, send):
    page = open_with_key("#model=taxi")
    expect(page.locator(".chart")).to_be_visible()

    send("POST", "/v2/repository/models/taxi/unload")
    page.locator(".fields").get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("model_not_found")
    expect(page.get_by_role("alert")).to_contain_text("Choose another at the top")
    send("POST", "/v2/repository/models/taxi/load")


def test_page_of_one_tenant_shows_no_session_of_another(open_with_key, key_file):
    stranger = add_key(key_file, "stranger", SCOPES)
    page = open_with_key("#model=nature")
    page.get_by_role("button", name="Sessions", exact=True).click()
    page.get_by_label("New session").fill("private")
    page.get_by_role("button", name="Send this sequence to it").click()
    expect(page.get_by_text("Session private at step 5.")).to_be_visible()

    page.get_by_label("API key, kept in memory only").fill(stranger)
    page.get_by_role("button", name="Use key").click()

    expect(page.get_by_role("alert")).to_contain_text("session_not_found")
    page.get_by_role("button", name="Sessions", exact=True).click()
    expect(page.get_by_text("No live session of nature yet.")).to_be_visible()
