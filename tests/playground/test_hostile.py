"""Names, links and answers of an attacker: none breaks the page or leaves its place."""

import json
import shutil
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import expect

from tests.exported import MANIFEST
from tests.playground.browsers import rest
from tests.servers import Server

pytestmark = pytest.mark.server

MARKUP = "<img src=x onerror=alert(1)>"
TURNED = "\u202eevil"  # its mark turns what follows from right to left
NAMES = [
    "constructor",
    "__proto__",
    "toString",
    "hasOwnProperty",
    MARKUP,
    TURNED,
    "x" * 10_000,
    "שלום",
]
LABELS = ["constructor", f"\u202e{MARKUP}", "y" * 10_000]
VIEWS = ("Folded", "Heat map", "Unfolded")


@pytest.fixture(scope="module")
def playground(bundled, tmp_path_factory):
    """A service with a model of hostile names next to the bundled ones."""
    home = tmp_path_factory.mktemp("hostile")
    models = home / "models"
    for name in ("nature", "taxi"):
        shutil.copytree(bundled / name, models / name)
    shutil.copytree(bundled / "nature", models / "hostile")
    rename_all(models / "hostile" / "1" / MANIFEST)
    with Server(models, home, runtime="litert", snapshots=8) as running:
        yield running


def rename_all(path):
    manifest = json.loads(path.read_text())
    manifest["name"] = "hostile"
    manifest["input"]["vocabulary"] = NAMES
    manifest["output"]["labels"] = LABELS
    manifest["examples"] = [{"name": MARKUP, "sequence": NAMES}]
    manifest["metrics"] = [
        {
            "name": name,
            "value": 1,
            "unit": MARKUP,
            "better": "lower",
            "baselines": {other: 2 for other in NAMES},
        }
        for name in NAMES
    ]
    path.write_text(json.dumps(manifest))


def hash_of(**fields):
    parts = ((name, quote(str(value), safe="")) for name, value in fields.items())
    return "#" + "&".join(f"{name}={value}" for name, value in parts)


@pytest.mark.parametrize("width", [360, 1360])
def test_names_are_shown_as_text_in_every_view_and_panel(open_page, width):
    page = open_page(hash_of(model="hostile"), viewport={"width": width, "height": 900})
    expect(page.locator(".counter")).to_have_text(f"{len(NAMES)} / {len(NAMES)}")

    for view in VIEWS:
        page.get_by_role("button", name=view, exact=True).click()
        page.get_by_label("First", exact=True).click()
        for _ in NAMES[1:]:
            page.get_by_label("Step", exact=True).click()
            rest(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for panel in ("Training report", "Sessions", "Request"):
        page.get_by_role("button", name=panel, exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    assert page.locator("#app img, #app script").count() == 0
    expect(page.locator(".event-button")).to_have_count(len(NAMES))


def test_sentence_is_neither_turned_nor_filled_by_a_name(open_page):
    page = open_page(hash_of(model="hostile", selected=NAMES.index(TURNED)))

    heading = page.locator(".story h2").first
    expect(heading).to_have_text("Without memory evil alone")
    page.get_by_label("Step", exact=True).click()
    expect(heading).to_have_text(f"Without memory {'x' * 60}… alone")
    page.get_by_label("Step", exact=True).click()
    expect(heading).to_have_text(f"Without memory \u2068{NAMES[-1]}\u2069 alone")


@pytest.mark.parametrize("code", ["constructor", "__proto__", "toString"])
def test_problem_code_has_no_advice_but_its_own(open_page, code):
    page = open_page(hash_of(model="nature", events="[]"))
    problem = {"code": code, "detail": MARKUP}
    page.route("**/*:explain", lambda route: route.fulfill(status=400, json=problem))

    page.locator(".event-button").first.click()

    expect(page.get_by_role("alert")).to_have_text(f"{code} {MARKUP}")


DEEP = "[" * 20_000 + "]" * 20_000
TIME = '[{"time": "+275760-09-13T00:00:00", "value": 1}]'
NODE = '[{"type": "img", "props": {"src": "x"}, "constructor": null}]'
LINKS = [
    {"model": "nature", "version": "1/../../../../../openapi.json#"},
    {"model": "nature", "version": "1/metadata?x="},
    {"model": "nature", "version": "-1"},
    {"model": "nature", "version": "9" * 400},
    {"model": ".."},
    {"model": "."},
    {"model": "../../docs"},
    {"model": "__proto__"},
    {"model": "nature", "session": ".."},
    {"model": "nature", "session": "s" * 10_000},
    {"model": "nature", "session": "a/\u202e<b>'\"\n?#%"},
    {"model": "nature", "selected": "9" * 30},
    {"model": "nature", "selected": "-7"},
    {"model": "nature", "view": "__proto__"},
    {"model": "nature", "other": "none"},
    {"model": "nature", "other": "..", "other-version": "../x"},
    {"model": "nature", "other": "taxi"},
    {"model": "nature", "other": "nature", "other-events": "[5]"},
    {"model": "nature", "events": NODE},
    {"model": "nature", "events": DEEP},
    {"model": "taxi", "events": DEEP},
    {"model": "taxi", "events": TIME},
    {"model": "taxi", "events": '[5, "a", null, [1]]'},
    {"model": "taxi", "events": '[{"time": {"a": 1}, "value": [1]}]'},
    {"model": "taxi", "events": '[{"__proto__": {"time": 1}, "constructor": 1}]'},
]


ASKED = """() => {
  const asked = performance.getEntriesByType("resource").map(({ name }) => name);
  performance.clearResourceTimings();
  return asked;
}"""


@pytest.mark.parametrize("link", LINKS, ids=lambda link: json.dumps(link)[:70])
def test_link_opens_or_says_why_and_asks_only_for_models(open_page, link):
    page = open_page(hash_of(**link), ready="main")
    page.locator(".column, [role=alert]").first.wait_for()

    assert not page.get_by_text("The page failed").count()
    paths = {urlsplit(url).path for url in page.evaluate(ASKED)}
    assert {
        p for p in paths if not p.startswith(("/v1/models", "/playground"))
    } == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,time\n2015-01-05T08:00:00,1", 'Line 1 has "time"; expected a number.'),
        ('[{"time": "2015-01-05T08:00:00", "value": 1e999}]', "a number over 1.8e308"),
        ("[{", "The text is not JSON: "),
        ("{}", "The JSON is an object; expected a list of events."),
    ],
)
def test_pasted_text_is_refused_in_words(open_page, text, said):
    page = open_page(hash_of(model="taxi", events="[]"))
    page.get_by_text("Paste a sequence").click()

    page.locator(".paste textarea").fill(text)

    expect(page.locator(".paste .warning")).to_contain_text(said)


@pytest.mark.parametrize("key", ["ключ", "a b", "key\u200b"])
def test_key_that_no_header_can_carry_is_refused_in_words(load_page, key):
    page = load_page(hash_of(model="nature"))
    page.get_by_label("API key, kept in memory only").fill(key)
    page.get_by_role("button", name="Use key").click()

    expect(page.get_by_role("alert")).to_contain_text("characters that no key has")
    expect(page.locator(".column")).to_have_count(5)


def test_answers_to_one_key_are_not_shown_with_another(load_page):
    page = load_page(hash_of(model="nature", events='["bear"]'))
    panel = page.locator(".panels")
    expect(panel).to_contain_text("nature:explain")
    page.route("**/*:explain", lambda route: None)

    page.get_by_label("API key, kept in memory only").fill("of-another-tenant")
    page.get_by_role("button", name="Use key").click()

    expect(panel).to_contain_text("No request was sent yet.")
    page.unroute_all()


ANSWERS = {
    "no_json": {"status": 200, "body": "<html>sign in</html>"},
    "no_row": {"status": 200, "body": '{"predictions": []}'},
    "unknown": {"status": 502, "body": "<html>bad gateway</html>"},
    "rate_limited": {
        "status": 429,
        "body": '{"code": "rate_limited", "detail": "Too many."}',
    },
}


@pytest.mark.parametrize("code", ANSWERS)
def test_events_wait_for_a_service_that_answers_something_else(open_page, code):
    page = open_page(hash_of(model="nature", events='["bear"]'))
    page.route("**/*:explain", lambda route: route.fulfill(**ANSWERS[code]))

    page.get_by_role("group", name="Palette").get_by_role("button", name="fox").click()
    expect(page.get_by_role("alert")).to_contain_text(code)
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".column em:last-child")).to_have_text(["bear", "fox"])
    expect(page.get_by_role("alert")).to_have_count(0)


def test_copy_works_where_the_clipboard_is_refused(load_page):
    page = load_page(hash_of(model="nature"))
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject('no'); }"
    )
    expect(page.locator(".request pre").first).to_contain_text("curl")

    page.get_by_role("button", name="Copy the request").click()

    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("curl -s")
