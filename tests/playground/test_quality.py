"""Anyone can use the page: keyboard, screen reader, contrast, small screens, speed."""

import json
import os

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.server

PHONE = {"width": 360, "height": 740}
FRAME_MS = 1000 / 60
LONG_TASK_MS = 50
# What looking at every page part opens.
PANELS = ("Sessions", "Training report", "Request")


def half_hours(count):
    return [
        {
            "time": f"2015-01-{5 + k // 48:02}T{k % 48 // 2:02}:{k % 2 * 30:02}:00",
            "value": 15_000 + 100 * (k * 37 % 50),
        }
        for k in range(count)
    ]


def place(model, **fields):
    return "#" + "&".join(f"{k}={v}" for k, v in {"model": model, **fields}.items())


def assert_accessible(page):
    found = Axe().run(page).response["violations"]

    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view_and_panel(open_page, scheme):
    page = open_page(color_scheme=scheme)
    page.locator(".arcs path").wait_for()

    for view in ("Unfolded", "Folded", "Heat map"):
        page.get_by_role("button", name=view, exact=True).click()
        assert_accessible(page)
    page.get_by_role("button", name="Fork here").click()
    page.get_by_text("Paste a sequence").click()
    for panel in PANELS:
        page.get_by_role("button", name=panel, exact=True).click()
        page.locator(".panels > div").nth(1).wait_for()
        assert_accessible(page)


def test_axe_finds_nothing_on_a_phone_with_a_series(open_page):
    page = open_page(place("taxi"), viewport=PHONE)
    page.locator(".chart canvas").wait_for()

    assert_accessible(page)


@pytest.mark.parametrize("model", ["nature", "taxi"])
def test_no_width_scrolls_sideways(open_page, model):
    page = open_page(place(model), viewport=PHONE)

    for view in ("Folded", "Heat map", "Unfolded"):
        page.get_by_role("button", name=view, exact=True).click()
        for width in (320, 360, 768, 1024, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, view


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


@pytest.mark.parametrize("bad", ["events=%7B", "selected=x&view=none", "events=[1]"])
def test_a_bad_place_is_opened_as_far_as_it_can_be(open_page, bad):
    page = open_page(f"#model=nature&{bad}", ready=".composer")

    expect(page.get_by_role("group", name="Palette")).to_be_visible()


def widen(route):
    """Answer as the service does, each unit twice: 128 units of 64."""
    answer = route.fetch().json()
    for layer in answer["predictions"][0]["layers"]:
        for name, steps in layer.items():
            layer[name] = [[*step, *step] for step in steps]
    route.fulfill(json=answer)


WATCH_TASKS = """() => {
  window.tasks = [];
  const note = (list) => window.tasks.push(...list.getEntries().map((e) => e.duration));
  new PerformanceObserver(note).observe({ type: "longtask" });
}"""

# Times from one frame to the next while the selection moves by one event a frame.
PLAY = """async (count) => {
  const next = document.querySelector('[aria-label="Step"]');
  const frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (let k = 0; k < count; k++) {
    next.click();
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return frames;
}"""


def cpu_seconds(session):
    """Time of the processor in script, styles and layout; a GPU paints elsewhere."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    found = {metric["name"]: metric["value"] for metric in metrics}
    parts = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
    return sum(found[part] for part in parts)


@pytest.mark.parametrize("view", ["unfolded", "heatmap", "folded"])
def test_sixty_frames_a_second_with_128_units_and_500_events(open_page, view):
    """The main thread's own time per step, which other processes do not add to."""
    page = open_page(place("nature"))
    page.route("**/taxi:explain", widen)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    events = json.dumps(half_hours(500))
    page.evaluate(WATCH_TASKS)
    page.evaluate(
        "h => { location.hash = h }",
        place("taxi", events=events, view=view, selected=0),
    )
    expect(page.locator(".counter")).to_have_text("1 / 500", timeout=60_000)

    before = cpu_seconds(session)
    frames = page.evaluate(PLAY, 120)
    busy = 1000 * (cpu_seconds(session) - before) / len(frames)

    tasks = page.evaluate("window.tasks")
    expect(page.locator(".counter")).to_have_text("121 / 500")
    assert busy < FRAME_MS
    if os.getloadavg()[0] < os.cpu_count():
        assert [task for task in tasks if task > LONG_TASK_MS] == []
