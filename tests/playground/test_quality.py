"""Anyone can use the page: keyboard, screen reader, contrast, small screens, speed."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.playground.browsers import rest
from tests.playground.frames import (
    VIEWS,
    ProcessorTime,
    open_long_series,
    play,
    trace_tasks,
)

pytestmark = pytest.mark.server

PHONE = {"width": 360, "height": 740}
FRAME_MS = 1000 / 60
LONG_TASK_MS = 50
# What looking at every page part opens.
PANELS = ("Sessions", "Training report", "Request")


def place(model, **fields):
    return "#" + "&".join(f"{k}={v}" for k, v in {"model": model, **fields}.items())


# What differs between a light and a dark page.
COLORS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}


def assert_accessible(page, scheme="light"):
    options = COLORS if scheme == "dark" else None
    found = Axe().run(page, options=options).response["violations"]

    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view_and_panel(open_page, scheme):
    page = open_page(color_scheme=scheme)
    page.locator(".arcs path").wait_for()

    for view in ("Unfolded", "Folded", "Heat map"):
        page.get_by_role("button", name=view, exact=True).click()
        assert_accessible(page, scheme)
    page.get_by_role("button", name="Fork here").click()
    page.get_by_text("Paste a sequence").click()
    for panel in PANELS:
        page.get_by_role("button", name=panel, exact=True).click()
        page.locator(".panels > div").nth(1).wait_for()
        assert_accessible(page, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_phone_with_a_series(open_page, scheme):
    page = open_page(place("taxi"), viewport=PHONE, color_scheme=scheme)
    page.locator(".chart canvas").wait_for()

    assert_accessible(page, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_nothing_is_shown_yet(open_page, scheme):
    page = open_page(place("nature", events="[]"), color_scheme=scheme)

    assert_accessible(page, scheme)


@pytest.mark.parametrize("model", ["nature", "taxi"])
def test_no_width_scrolls_sideways(open_page, model):
    page = open_page(place(model), viewport=PHONE)

    for view in ("Folded", "Heat map", "Unfolded"):
        page.get_by_role("button", name=view, exact=True).click()
        for width in (320, 360, 768, 1024, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, view


def test_wide_window_is_used_and_the_header_is_in_line(open_page):
    viewport = {"width": 1920, "height": 1080}
    page = open_page(place("nature", view="heatmap"), viewport=viewport)

    assert page.locator("canvas.map").bounding_box()["width"] > 1200
    lefts = [page.locator(each).bounding_box()["x"] for each in (".brand", ".story")]
    assert lefts[0] == pytest.approx(lefts[1], abs=1)


def test_tab_reaches_the_parts_in_their_order_and_shows_where(open_page):
    page = open_page(place("nature"))
    page.locator(".arcs path").wait_for()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(e => [e.getAttribute('aria-label') ?? e.textContent.trim(),"
            " getComputedStyle(e).outlineStyle])(document.activeElement)"
        )
        if name == "" or page.evaluate("document.activeElement === document.body"):
            break
        assert outline != "none", name
        reached.append(name)

    parts = ["Model", "Unfolded", "picture 5: blurry", "Play", "bear", "Request"]
    places = [next(k for k, n in enumerate(reached) if n.startswith(p)) for p in parts]
    assert places == sorted(places)


# What a user could click; of the columns the selected one alone, since arrows move it.
UNREACHED = """() => [...document.querySelectorAll(
    "button, select, input, textarea, a[href], summary, canvas.map, pre, .scroll")]
  .filter((e) => e.checkVisibility() && !e.disabled)
  .filter((e) => !e.matches(".column:not(.selected)"))
  .filter((e) => !e.reached).map((e) => e.outerHTML.slice(0, 120))"""
NOTE_FOCUS = "addEventListener('focusin', (event) => { event.target.reached = true })"


@pytest.mark.parametrize(
    ("view", "panel"),
    list(zip(("unfolded", "folded", "heatmap"), PANELS, strict=True)),
)
def test_tab_reaches_every_control(open_page, view, panel):
    page = open_page(place("nature", view=view, selected=2))
    page.get_by_text("Paste a sequence").click()
    page.get_by_role("button", name="Fork here").click()
    page.get_by_role("button", name=panel, exact=True).click()
    page.locator(".panels > div").nth(1).wait_for()
    page.evaluate(NOTE_FOCUS)

    for _ in range(90):
        page.keyboard.press("Tab")

    assert page.evaluate(UNREACHED) == []


def test_keyboard_alone_adds_an_event_and_hears_the_answer(open_page):
    page = open_page(place("nature"))
    said = page.locator(".story [aria-live]")
    palette = page.get_by_role("group", name="Palette")

    palette.get_by_role("button", name="sofa").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")

    expect(page.locator(".column")).to_have_count(7)
    expect(said).to_contain_text("it says dog")


def test_less_motion_where_the_system_asks_for_it(open_page):
    style = "bar => getComputedStyle(bar).transitionDuration"

    for motion, expected in (("reduce", "0s"), ("no-preference", "0.16s")):
        bar = open_page(reduced_motion=motion).locator(".fill i").first
        assert bar.evaluate(style) == expected


def test_reload_and_share_keep_the_place(open_page):
    events = json.dumps(["fox", "tree", "blurry"])
    page = open_page(place("nature", events=events, selected=1, view="folded"))

    page.reload()

    expect(page.locator(".counter")).to_have_text("2 / 3")
    expect(page.locator(".folded")).to_contain_text("tree")
    page.evaluate("location.hash = location.hash.replace('selected=1', 'selected=0')")
    expect(page.locator(".counter")).to_have_text("1 / 3")


def test_a_link_followed_right_after_a_change_is_opened(open_page):
    page = open_page(place("nature", events=json.dumps(["fox", "tree"])))
    expect(page.locator(".counter")).to_have_text("2 / 2")

    # The address is written 200 ms after the click, while the link's event waits.
    page.evaluate(
        """place => {
          document.querySelector('[aria-label="First"]').click();
          return new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
            location.hash = place;
            const end = performance.now() + 300;
            while (performance.now() < end);
            done();
          })));
        }""",
        place("nature", events=json.dumps(["bear", "sofa", "tree"])),
    )

    expect(page.locator(".counter")).to_have_text("3 / 3")


@pytest.mark.parametrize("bad", ["events=%7B", "selected=x&view=none", "events=[1]"])
def test_a_bad_place_is_opened_as_far_as_it_can_be(open_page, bad):
    page = open_page(f"#model=nature&{bad}", ready=".composer")

    expect(page.get_by_role("group", name="Palette")).to_be_visible()


# Painted pixels of the strips of each column in sight, on the shared canvases.
PAINTED = """() => {
  const { left, right } = document.querySelector(".scroller").getBoundingClientRect();
  const sheets = [...document.querySelectorAll(".sheet canvas")];
  return [...document.querySelectorAll(".column")].flatMap((column) => {
    const box = column.getBoundingClientRect();
    if (box.left < left || box.right > right) return [];
    const holds = (sheet) => {
      const frame = sheet.getBoundingClientRect();
      return frame.left <= box.left + 1 && box.right <= frame.right + 1;
    };
    const sheet = sheets.find(holds);
    if (!sheet) return 0;
    const x = box.left - sheet.getBoundingClientRect().left;
    // A copy: Chromium warns of canvases that are read again and again.
    const copy = new OffscreenCanvas(box.width, sheet.height);
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(sheet, -x, 0);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    return data.filter((value, k) => k % 4 === 3 && value > 0).length;
  });
}"""


def test_columns_in_sight_share_few_canvases_and_all_are_painted(open_page):
    page = open_page(place("nature"))
    open_long_series(page)
    play(page, "Unfolded", 60)
    page.get_by_label("First", exact=True).click()
    rest(page)
    page.wait_for_function(f"() => Math.min(...({PAINTED})()) > 1000")

    assert 5 <= len(page.evaluate(PAINTED)) <= 8
    assert page.locator(".sheet canvas").count() <= 4
    assert page.locator(".column").count() <= 40


def test_keyboard_reaches_the_columns_with_the_selected_one_out_of_sight(open_page):
    page = open_page(place("nature"))
    open_long_series(page)
    page.evaluate("() => { document.querySelector('.scroller').scrollLeft = 30000 }")
    expect(page.locator(".column.selected")).to_have_count(0)

    assert_accessible(page)
    page.locator(".scroller").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".column.selected")).to_be_focused()


def test_no_task_of_the_opening_is_long(load_page):
    """Of the page itself, of 500 rows of 128 units, and of another model."""
    page = load_page()

    with trace_tasks(page) as tasks:
        page.reload()
        page.locator(".column").first.wait_for()
        open_long_series(page)
        page.evaluate("() => { location.hash = '#model=visits' }")
        page.locator(".surprise").first.wait_for()

    assert len(tasks) > 100
    assert max(tasks) < LONG_TASK_MS


def test_day_and_hour_of_a_row_are_whole_on_a_phone(open_page):
    page = open_page(place("taxi"), viewport=PHONE)
    lines = page.locator(".column.selected .event em")

    expect(lines).to_have_text(["07-02", "07:30", "16700"])
    cut = "lines => lines.filter((line) => line.scrollWidth > line.clientWidth).length"
    assert lines.evaluate_all(cut) == 0


# Columns that are taken out of the document and put back at another place.
WATCH_MOVES = """() => {
  window.moved = 0;
  const isColumn = (node) => node.matches?.(".column, .sheet") ?? false;
  new MutationObserver((records) => {
    const removed = new Set(records.flatMap((each) => [...each.removedNodes]));
    const added = records.flatMap((each) => [...each.addedNodes]).filter(isColumn);
    window.moved += added.filter((node) => removed.has(node)).length;
  }).observe(document.querySelector(".scroller"), { childList: true, subtree: true });
}"""


def test_columns_stay_in_the_document_while_the_selection_passes(open_page):
    """Moved ones are styled, laid out and painted again: frames were missed by it."""
    page = open_page(place("nature"))
    open_long_series(page)
    page.evaluate(WATCH_MOVES)

    play(page, "Unfolded", 60)

    expect(page.locator(".column.selected")).to_have_count(1)
    assert page.evaluate("window.moved") == 0


def test_sixty_frames_a_second_with_128_units_and_500_events(open_page):
    """The main thread's own time per step, which other processes do not add to."""
    page = open_page(place("nature"))
    open_long_series(page)
    processor = ProcessorTime(page)
    busy = {}

    for view in VIEWS:
        before = processor.read_ms()
        frames = play(page, view, 60)
        busy[view] = (processor.read_ms() - before) / len(frames)
        expect(page.locator(".counter")).to_have_text("61 / 500")

    assert max(busy.values()) < FRAME_MS, busy
