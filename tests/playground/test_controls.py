"""Every control of the page does what it says; the last test finds one unused."""

import json
import math
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import requests
from playwright.sync_api import expect

from tests.playground.browsers import rest
from tests.playground.test_quality import assert_accessible
from tests.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.tensorflow]

NEXT = ["open", "assign", "wait", "solve"]


@pytest.fixture(scope="module")
def playground(bundled, exported, tmp_path_factory):
    """A service with the bundled models and small ones of every cell."""
    home = tmp_path_factory.mktemp("controls")
    models = home / "models"
    shutil.copytree(exported[0], models)
    for name in ("nature", "taxi"):
        shutil.copytree(bundled / name, models / name)
    shutil.copytree(models / "label" / "1", models / "label" / "2")
    rename_version(models / "label" / "2", 2)
    with Server(models, home, runtime="litert", snapshots=8) as running:
        yield running


def rename_version(folder, version):
    path = folder / "assets.extra" / "carryover" / "manifest.json"
    manifest = json.loads(path.read_text())
    examples = [{"name": "a short day", "sequence": ["open", "close"]}]
    changed = {"version": version, "examples": examples, "threshold": 0.5}
    path.write_text(json.dumps({**manifest, **changed}))


def place(model, events=None, **fields):
    parts = {"model": model, **fields}
    if events is not None:
        parts["events"] = json.dumps(events)
    return "#" + "&".join(f"{key}={value}" for key, value in parts.items())


# An event is compared as the JSON it is in the address.
PLACE_HAS = """(fields) => {
  const now = new URLSearchParams(location.hash.slice(1));
  const events = JSON.parse(now.get("events") ?? "null");
  return Object.entries(fields).every(([name, value]) =>
    value === (name === "last" ? JSON.stringify(events.at(-1)) : now.get(name)));
}"""


def expect_place(page, **fields):
    """Wait until the address has these fields; None for those it must not have."""
    page.wait_for_function(PLACE_HAS, arg=fields)


def columns(page, lane=0):
    return page.locator(".lane").nth(lane).locator(".column")


def names(page, lane=0):
    return columns(page, lane).locator("em:last-child").all_inner_texts()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def carried(page):
    """Numbers of the card with memory."""
    rest(page)
    rows = page.locator(".story article").nth(1).locator(".bar")
    texts = [row.inner_text().split() for row in rows.all()]
    return {label: float(number) for label, number, *_ in texts}


def ask(playground, model, events):
    return playground.predict(model, events).json()["predictions"][0]


def test_palette_adds_events_and_answers_as_the_service(open_page, playground):
    page = open_page(place("nature", ["bear"]))
    palette = page.get_by_role("group", name="Palette")

    palette.get_by_role("button", name="fox").click()
    palette.get_by_role("button", name="blurry").click()

    expect(columns(page)).to_have_count(3)
    assert names(page) == ["bear", "fox", "blurry"]
    answer = ask(playground, "nature", ["bear", "fox", "blurry"])
    assert list(carried(page).values()) == pytest.approx(answer, abs=0.00501)
    expect_place(page, events='["bear","fox","blurry"]')


def test_only_new_events_are_sent_with_the_memory_of_the_last_answer(open_page):
    page = open_page(place("nature", ["bear", "tree"]))
    expect(columns(page)).to_have_count(2)

    with page.expect_request(re.compile(":explain")) as sent:
        page.get_by_role("group", name="Palette").get_by_role(
            "button", name="person"
        ).click()

    row = sent.value.post_data_json["instances"][0]
    assert row["sequence"] == ["person"]
    assert row["memory"].startswith("cm")


def test_clear_restarts(open_page):
    page = open_page(place("nature", ["bear"]))

    button(page, "Clear").click()

    expect(page.get_by_text("Add a picture below")).to_be_visible()
    assert columns(page).count() == 0


def test_example_replaces_the_sequence(open_page):
    page = open_page(place("label", version=2))

    page.get_by_label("Example sequences").select_option("a short day")

    expect(columns(page)).to_have_count(2)
    assert names(page) == ["open", "close"]


def test_typing_completes_where_the_vocabulary_is_large(open_page):
    def enlarge(route):
        answer = route.fetch().json()
        for part in ("input", "output"):
            key = "vocabulary" if part == "input" else "labels"
            answer[part][key] += [f"extra {k}" for k in range(30)]
        route.fulfill(json=answer)

    page = open_page(place("nature"))
    page.route("**/next-lstm/**/metadata", enlarge)
    page.route("**/next-lstm/metadata", enlarge)
    page.get_by_label("Model", exact=True).select_option("next-lstm")
    field = page.get_by_label("One of 35 events")
    expect(columns(page)).to_have_count(4)

    field.fill("ass")
    page.get_by_role("group", name="Completions").get_by_role("button").click()
    expect(columns(page)).to_have_count(5)
    field.fill("clo")
    button(page, "Add").click()
    expect(columns(page)).to_have_count(6)
    assert names(page)[-2:] == ["assign", "close"]


def test_fields_and_slider_add_a_record(open_page):
    start = [{"time": "2015-01-05T08:00:00", "value": 15000}]
    page = open_page(place("taxi", start))
    fields = page.locator(".fields")

    fields.get_by_label("time").fill("2015-01-05T08:30:00")
    fields.get_by_role("slider").fill("12000")
    expect(fields.get_by_role("spinbutton")).to_have_value("12000")
    fields.get_by_role("spinbutton").fill("12345")
    button(page, "Add").click()

    expect(columns(page)).to_have_count(2)
    expect_place(page, last='{"time":"2015-01-05T08:30:00","value":12345}')
    expect(fields.get_by_label("time")).to_have_value("2015-01-05T09:00")


def test_number_of_an_example_has_the_digits_it_was_written_with(open_page):
    row = {"time": "2015-01-05T08:00:00", "value": 147.1999969482422}
    page = open_page(place("taxi", [row]))

    expect(page.locator(".fields").get_by_label("value").first).to_have_value("147.2")


def test_pasted_series_is_read_and_a_bad_line_named(open_page):
    page = open_page(place("taxi", []))
    page.get_by_text("Paste a sequence").click()
    area = page.locator(".paste textarea")

    area.fill("2015-01-05T08:00:00,many")
    expect(page.get_by_text('Line 1 has "many"; expected a number.')).to_be_visible()
    area.fill("time,value\n2015-01-05 08:00:00,15000\n2015-01-05 08:30:00,16000\n")
    button(page, "Add 2 rows").click()

    expect(columns(page)).to_have_count(2)
    expect_place(page, last='{"time":"2015-01-05T08:30:00","value":16000}')


def test_forecast_is_drawn_after_the_series(open_page, playground):
    events = [{"time": f"2015-01-05T{h:02}:00:00", "value": 15000} for h in range(9)]
    page = open_page(place("taxi", events))
    chart = page.locator(".chart")

    expected = [round(x) for x in ask(playground, "taxi", events)]
    label = f"value over 9 rows; forecast after row 9: {', '.join(map(str, expected))}"
    expect(chart).to_have_attribute("aria-label", label)
    box = chart.locator(".u-over").bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + 20)
    expect(page.locator(".counter")).to_have_text("1 / 9")


def test_player_moves_the_selection(open_page):
    page = open_page(place("nature", ["bear", "tree", "fox", "blurry"]))
    counter = page.locator(".counter")

    expect(counter).to_have_text("4 / 4")
    button(page, "First").click()
    expect(counter).to_have_text("1 / 4")
    button(
        page,
        "Step",
    ).click()
    expect(counter).to_have_text("2 / 4")
    button(page, "Step back").click()
    expect(counter).to_have_text("1 / 4")
    page.get_by_label("Speed").select_option("0.5 a second")
    button(page, "Play").click()
    button(page, "Pause").click()
    expect(counter).to_have_text("1 / 4")
    page.get_by_label("Speed").select_option("5 a second")
    button(page, "Play").click()
    expect(counter).to_have_text("4 / 4")
    expect(button(page, "Play")).to_be_visible()


def test_column_is_selected_by_click_and_arrow_keys(open_page, playground):
    page = open_page(place("nature", ["bear", "sofa", "blurry"]))

    columns(page).nth(0).click()
    expect(page.locator(".unit h2")).to_contain_text("bear")
    answer = ask(playground, "nature", ["bear"])
    assert list(carried(page).values()) == pytest.approx(answer, abs=0.00501)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".unit h2")).to_contain_text("sofa")
    expect(columns(page).nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator(".unit h2")).to_contain_text("blurry")
    expect_place(page, selected="2")


def explain_row(playground, model, events):
    body = {"instances": [{"sequence": events, "memory": None}], "return": "all"}
    return playground.post(model, "explain", body).json()["predictions"][0]


def explain(playground, model, events):
    return explain_row(playground, model, events)["layers"]


def test_equations_have_the_units_numbers(open_page, playground):
    page = open_page(place("nature", ["bear", "blurry"]))
    layer = explain(playground, "nature", ["bear", "blurry"])[0]
    chip = page.locator(".unit .chip").nth(1)
    unit = int(re.search(r"unit (\d+)", chip.inner_text())[1]) - 1

    chip.click()

    expect(chip).to_have_attribute("aria-pressed", "true")
    results = page.locator(".equations strong").all_inner_texts()
    numbers = [float(text.replace("−", "-")) for text in results]  # noqa: RUF001
    kept = layer["forget"][1][unit] * layer["long_term"][0][unit]
    learned = layer["learn"][1][unit] * layer["candidate"][1][unit]
    expected = [
        learned,
        kept,
        layer["long_term"][1][unit],
        layer["short_term"][1][unit],
    ]
    assert numbers == pytest.approx(expected, abs=0.000501)
    page.get_by_text("Equations").click()
    expect(page.locator(".equations")).to_be_hidden()


def test_hover_shows_a_unit_of_the_selected_event(open_page):
    page = open_page(place("nature", ["bear", "blurry"]))
    strips = page.locator(".column.selected .strips")
    box = strips.bounding_box()

    page.mouse.move(box["x"] + box["width"] * 2.5 / 16, box["y"] + 10)

    expect(page.locator(".unit h2")).to_contain_text("unit 3")
    marks = page.locator(".unit-mark")
    expect(marks).to_have_count(5)
    middles = [box["x"] + box["width"] / 2 for box in boxes_of(marks)]
    assert middles == pytest.approx([box["x"] + box["width"] * 2.5 / 16] * 5, abs=2)


def boxes_of(locator):
    return [each.bounding_box() for each in locator.all()]


def test_layer_is_chosen(open_page):
    page = open_page(place("next-gru", NEXT))

    page.locator(".unit").get_by_label("Layer").select_option("2")

    expect(page.locator(".unit h2")).to_contain_text("of layer 2")
    expect(page.locator(".unit .gates")).to_contain_text("update z")


@pytest.mark.parametrize("view", ["Folded", "Heat map", "Unfolded"])
def test_view_is_chosen_and_kept_in_the_address(open_page, view):
    page = open_page(place("nature", view="folded" if view == "Unfolded" else ""))

    button(page, view).click()

    expect(button(page, view)).to_have_attribute("aria-pressed", "true")
    shown = {"Folded": ".folded svg", "Heat map": "canvas.map", "Unfolded": ".column"}
    expect(page.locator(shown[view]).first).to_be_visible()
    kept = {"Folded": "folded", "Heat map": "heatmap", "Unfolded": None}[view]
    expect_place(page, view=kept)


def test_heat_map_span_lists_the_units_that_stay_on(open_page, playground):
    events = ["bear", "tree", "tree", "tree", "tree", "tree"]
    page = open_page(place("nature", events, view="heatmap"))
    canvas = page.locator("canvas.map")
    box = canvas.bounding_box()
    step = box["width"] / len(events)

    page.mouse.move(box["x"] + 2.5 * step, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 4.5 * step, box["y"] + 5)
    page.mouse.up()

    rows = explain(playground, "nature", events)[0]["long_term"]
    most = max(1, *(abs(x) for row in rows for x in row))
    on = [
        k + 1
        for k in range(16)
        if all(abs(row[k]) >= most / 2 and row[k] * rows[2][k] > 0 for row in rows[2:5])
    ]
    assert on
    says = f"{len(on)} of 16 units stay on from event 3 to 5."
    expect(page.get_by_text(says)).to_be_visible()
    chips = page.locator(".heatmap .chip")
    assert [int(re.search(r"\d+", t)[0]) for t in chips.all_inner_texts()] == on
    chips.first.click()
    expect(page.locator(".unit h2")).to_contain_text(f"unit {on[0]}")
    page.get_by_label("Shown").select_option("forget")
    expect(canvas).to_have_attribute("aria-label", re.compile("^Heat map of forget"))
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".heatmap").get_by_text("stay on from event")).to_be_visible()


def life_in_words(gates):
    """Half-life of a memory, in events, by its mean forget gate."""
    life = math.log(0.5) / math.log(sum(gates) / len(gates))
    return f"{life:.1f} events" if life < 10 else f"{round(life)} events"


def test_half_life_of_units_is_by_their_mean_forget_gate(open_page, playground):
    events = ["bear", "tree", "tree", "blurry"]
    page = open_page(place("nature", events, view="heatmap"))
    gates = list(zip(*explain(playground, "nature", events)[0]["forget"], strict=True))
    longest = sorted(range(16), key=lambda unit: -sum(gates[unit]))[:8]

    chips = page.locator(".heatmap .chip")
    expect(chips).to_have_text(
        [f"unit {unit + 1} {life_in_words(gates[unit])}" for unit in longest]
    )
    chips.nth(3).click()

    expect(page.locator(".unit h2")).to_contain_text(f"unit {longest[3] + 1}")
    said = f"Half-life of this unit's memory: {life_in_words(gates[longest[3]])}"
    expect(page.locator(".unit").get_by_text("Half-life")).to_have_text(said)


def test_decided_labels_are_marked(open_page, playground):
    events = ["open", "close"]
    page = open_page(place("label", events, version=2))
    address = f"{playground.url}/v1/models/label/versions/2"
    body = {"instances": [{"sequence": events}]}
    answer = requests.post(f"{address}:predict", json=body, timeout=60).json()
    decided = answer["predictions"][0]["decided"]
    bars = page.locator(".story article").nth(1).locator(".bar")

    assert decided
    assert len(decided) < len(answer["labels"])
    marked = bars.filter(has=page.locator(".bar-decided"))
    expect(marked).to_have_count(len(decided))
    for k, label in enumerate(decided):
        expect(marked.nth(k)).to_contain_text(label)


def test_surprise_is_said_and_drawn(open_page, playground):
    page = open_page(place("next-lstm", NEXT))
    row = explain_row(playground, "next-lstm", NEXT)["surprise"]

    dots = page.locator(".surprise")
    expect(dots).to_have_count(len(NEXT))
    for k, nats in enumerate(row):
        said = "no expectation yet" if nats is None else f"surprise {nats:.3g} nats"
        radius = 0 if nats is None else min(11, 4 * math.sqrt(nats))
        expect(dots.nth(k)).to_have_attribute(
            "aria-label", re.compile(re.escape(said[:12]))
        )
        drawn = float(dots.nth(k).locator("circle").get_attribute("r"))
        assert drawn == pytest.approx(radius, abs=1e-3)


def test_arcs_are_the_changes_without_an_event(open_page, playground):
    events = ["bear", "tree", "blurry"]
    page = open_page(place("nature", events))
    arc = page.locator(".arcs path")

    expect(arc).to_have_count(1)
    change = (
        ask(playground, "nature", events)[1] - ask(playground, "nature", events[1:])[1]
    )
    expect(page.locator(".arcs")).to_have_attribute(
        "aria-label", re.compile(f"bear \\+{change:.2f}")
    )


def test_nothing_is_claimed_of_an_event_before_the_service_answered(open_page):
    page = open_page(place("nature", ["bear", "tree", "blurry"]))
    said = page.locator(".story [aria-live]")
    expect(said).to_contain_text("The bear was two pictures ago")

    waiting = []
    page.route("**/nature:predict", lambda route: waiting.append(route))
    with page.expect_request("**/nature:predict"):
        button(page, "Step back").click()

    expect(said).to_have_text("It remembers one picture, so it says wolf.")
    expect(page.locator(".arcs path")).to_have_count(0)
    waiting[0].continue_()
    expect(said).to_contain_text("The bear was one picture ago")


def test_fork_takes_other_events_on_each_branch(open_page):
    page = open_page(place("nature", ["bear", "tree", "blurry"], selected=1))

    button(page, "Fork here").click()
    expect(page.locator(".lane")).to_have_count(2)
    page.get_by_role("group", name="Palette").get_by_role("button", name="sofa").click()
    expect(columns(page, 1)).to_have_count(3)
    assert names(page, 0) == ["bear", "tree", "blurry"]
    assert names(page, 1) == ["bear", "tree", "sofa"]

    page.locator(".lane-head .chip").first.click()
    page.get_by_role("group", name="Palette").get_by_role("button", name="fox").click()
    expect(columns(page, 0)).to_have_count(4)
    expect_place(page, last='"fox"', **{"other-events": '["bear","tree","sofa"]'})
    page.reload()
    expect(columns(page, 1)).to_have_count(3)
    assert names(page, 1) == ["bear", "tree", "sofa"]
    button(page, "Close B").click()
    expect(page.locator(".lane")).to_have_count(1)


def test_link_to_a_comparison_that_is_gone_says_what_is_left_out(open_page):
    gone = {"other": "label", "other-version": "9"}
    page = open_page(place("label", ["open"], version=2, **gone))

    expect(page.locator(".lane")).to_have_count(1)
    said = page.get_by_role("alert")
    expect(said).to_contain_text("version_not_found")
    expect(said).to_contain_text("The comparison with label v9 is left out.")
    assert_accessible(page)
    page.get_by_label("Compare with").select_option(label="label v1, lstm")
    expect(page.locator(".lane")).to_have_count(2)
    expect(said).to_have_count(0)


def test_first_branch_is_closed(open_page):
    page = open_page(place("nature", ["bear"], other="nature"))

    button(page, "Close A").click()

    expect(page.locator(".lane")).to_have_count(1)


def test_rewind_takes_back_what_came_after(open_page, playground):
    page = open_page(place("nature", ["bear", "tree", "blurry"], selected=0))

    button(page, "Rewind to here").click()
    expect(columns(page)).to_have_count(1)
    page.get_by_role("group", name="Palette").get_by_role(
        "button", name="blurry"
    ).click()

    expect(columns(page)).to_have_count(2)
    answer = ask(playground, "nature", ["bear", "blurry"])
    assert list(carried(page).values()) == pytest.approx(answer, abs=0.00501)


def test_forecast_shows_the_most_probable_path(open_page, playground):
    page = open_page(place("next-lstm", NEXT))

    page.locator(".ahead input").fill("3")
    button(page, "Forecast").click()

    body = {"instances": [NEXT], "horizon": 3}
    path = playground.post("next-lstm", "forecast", body).json()["predictions"][0][
        "path"
    ]
    expect(page.locator(".path li")).to_have_count(3)
    shown = [text.split() for text in page.locator(".path li").all_inner_texts()]
    assert [name for name, _ in shown] == path["events"]
    numbers = [float(number) for _, number in shown]
    assert numbers == pytest.approx(path["probabilities"], abs=0.00501)


def test_two_models_take_the_same_events(open_page):
    page = open_page(place("next-lstm", NEXT))

    page.get_by_label("Compare with").select_option("next-rnn, rnn")
    expect(columns(page, 1)).to_have_count(4)
    page.get_by_role("group", name="Palette").get_by_role(
        "button", name="close"
    ).click()

    for lane in (0, 1):
        expect(columns(page, lane)).to_have_count(5)
        assert names(page, lane) == [*NEXT, "close"]
    expect_place(page, other="next-rnn")


def test_model_and_version_are_chosen(open_page):
    page = open_page(place("nature"))
    choice = page.get_by_label("Model", exact=True)

    choice.select_option("label v1")
    expect(page.locator(".bench h2").first).to_contain_text("8 units")
    expect_place(page, model="label", version="1")
    page.reload()
    expect(choice.locator("option:checked")).to_have_text("label v1")


def test_model_is_chosen_where_the_address_names_none_that_is_served(open_page):
    page = open_page(place("nope", ["bear"]), ready="[role=alert]")
    expect(page.get_by_role("alert")).to_contain_text("Choose another at the top")

    choice = page.locator("header").get_by_label("Model")
    expect(choice.locator("option:checked")).to_have_text("choose a model …")
    button(page, "Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("model_not_found")
    choice.select_option(label="nature")

    expect(page.locator(".column")).to_have_count(5)


def test_search_without_a_session_says_what_was_sought(open_page):
    page = open_page(place("nature"))
    button(page, "Sessions").click()

    page.get_by_label("Search").fill("zzz")

    said = "No live session of nature has an id that begins with zzz."
    expect(page.get_by_text(said)).to_be_visible()


def test_session_is_begun_only_when_asked_found_and_advanced(open_page, playground):
    url = f"{playground.url}/v1/models/nature/sessions"
    page = open_page(place("nature", ["bear", "tree"]))
    button(page, "Sessions").click()
    panel = page.locator(".sessions")

    panel.get_by_label("New session").fill("tv/1")
    button(page, "Send this sequence to it").click()
    expect(page.get_by_text("Session tv/1 at step 2.")).to_be_visible()
    page.get_by_role("group", name="Palette").get_by_role(
        "button", name="blurry"
    ).click()
    expect(page.get_by_text("Session tv/1 at step 3.")).to_be_visible()

    assert requests.get(f"{url}/tv%2F1", timeout=60).json()["step"] == 3
    columns(page).nth(1).click()
    button(page, "Rewind to here").click()
    expect(page.get_by_text("Session tv/1 at step 2.")).to_be_visible()
    assert requests.get(f"{url}/tv%2F1", timeout=60).json()["step"] == 2


def test_live_session_is_opened_without_a_change(open_page, playground):
    url = f"{playground.url}/v1/models/nature/sessions"
    for k in range(25):
        row = {"sequence": ["bear"], "session": f"seen-{k:02}"}
        playground.predict("nature", row)
    page = open_page(place("nature"))
    button(page, "Sessions").click()
    rows = page.locator(".sessions tbody tr")

    page.get_by_label("Search").fill("seen-")
    expect(rows.first).to_contain_text("seen-00")
    expect(rows).to_have_count(20)
    button(page, "More").click()
    expect(rows).to_have_count(25)
    page.get_by_label("Search").fill("seen-07")
    expect(rows).to_have_count(1)
    listed = requests.get(f"{url}/seen-07", timeout=60).json()
    cells = rows.first.locator("th, td").all_inner_texts()
    assert cells[:3] == ["seen-07", "1", "1"]
    assert cells[3] == "in 24 h"
    assert cells[4] == str(listed["record_bytes"])
    button(page, "Refresh").click()
    button(page, "Open session seen-07").click()

    expect(page.get_by_text("Session seen-07 at step 1.")).to_be_visible()
    assert requests.get(f"{url}/seen-07", timeout=60).json() == listed
    expect_place(page, session="seen-07")
    page.reload()
    expect(page.get_by_text("Session seen-07 at step 1.")).to_be_visible()
    page.get_by_role("group", name="Palette").get_by_role("button", name="fox").click()
    expect(columns(page)).to_have_count(2)
    assert requests.get(f"{url}/seen-07", timeout=60).json()["step"] == 2


def test_session_counts_what_came_before_the_page_looked(open_page, playground):
    events = ["bear", "sofa", "tree"]
    playground.predict("nature", {"sequence": events, "session": "earlier"})
    page = open_page("#model=nature&session=earlier")

    page.get_by_role("group", name="Palette").get_by_role("button", name="fox").click()

    card = page.locator(".story article").nth(1)
    expect(card.locator("small")).to_have_text("the same picture, after 3 others")
    expect(card.locator(".more")).to_have_text("2 more")
    expect(card.locator(".say")).to_contain_text("It remembers 3 pictures, so it says")


def test_step_that_a_session_does_not_keep_is_not_offered(open_page):
    page = open_page(place("nature", ["bear", "tree", "fox"]))
    button(page, "Sessions").click()
    page.get_by_label("New session").fill("unkept")
    button(page, "Send this sequence to it").click()
    expect(page.get_by_text("Session unkept at step 3.")).to_be_visible()
    palette = page.get_by_role("group", name="Palette")
    palette.get_by_role("button", name="sofa").click()
    expect(page.get_by_text("Session unkept at step 4.")).to_be_visible()
    lost = page.get_by_text("The session has not kept its memory of step")

    # Three events came in one request: the memory before and after it is kept.
    button(page, "Step back").click()
    expect(page.locator(".counter")).to_have_text("3 / 4")
    expect(button(page, "Rewind to here")).to_be_enabled()
    expect(lost).to_have_count(0)
    button(page, "Step back").click()
    expect(lost).to_have_text("The session has not kept its memory of step 2.")
    for name in ("Rewind to here", "Fork here"):
        expect(button(page, name)).to_be_disabled()
    button(page, "Step").click()
    button(page, "Rewind to here").click()
    expect(page.get_by_text("Session unkept at step 3.")).to_be_visible()


def test_session_is_forked_at_the_selected_event(open_page, playground):
    playground.predict("nature", {"sequence": ["bear"], "session": "forked"})
    page = open_page("#model=nature&session=forked")
    palette = page.get_by_role("group", name="Palette")
    for count, name in enumerate(("tree", "fox"), start=2):
        palette.get_by_role("button", name=name).click()
        expect(columns(page)).to_have_count(count)

    button(page, "Step back").click()
    button(page, "Fork here").click()

    expect(columns(page, 1)).to_have_count(2)
    assert names(page, 0) == ["bear", "tree", "fox"]
    branch = page.locator(".lane").nth(1).locator(".notice b").inner_text()
    url = f"{playground.url}/v1/models/nature/sessions"
    steps = [
        requests.get(f"{url}/{x}", timeout=60).json()["step"]
        for x in (branch, "forked")
    ]
    assert steps == [2, 3]


def test_request_runs_as_curl_and_as_python(load_page, playground):
    page = load_page(place("nature", ["bear", "blurry"]))
    panel = page.locator(".request")
    expect(panel.get_by_role("heading").nth(1)).to_contain_text("status 200")
    button(page, "Copy the answer").click()
    answer = json.loads(page.evaluate("navigator.clipboard.readText()"))

    button(page, "Copy the request").click()
    command = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(shlex.split(command), capture_output=True, check=True)
    answered = json.loads(done.stdout)["predictions"][0]["probabilities"]
    assert answered == answer["predictions"][0]["probabilities"]

    panel.get_by_role("button", name="Python").click()
    button(page, "Copy the request").click()
    program = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True
    )
    assert str(answered) in done.stdout.decode()
    panel.get_by_role("button", name="curl").click()
    expect(panel.locator("pre").first).to_contain_text("curl -s")

    panel.get_by_label("Which request").select_option("POST nature:predict, 2 rows")
    expect(panel.locator("pre").first).to_contain_text("nature:predict")
    button(page, "Request").click()


def test_report_has_the_metrics_and_their_baselines(open_page, playground):
    metadata = requests.get(
        f"{playground.url}/v1/models/taxi/metadata", timeout=60
    ).json()
    page = open_page(place("taxi", []))

    button(page, "Training report").click()

    rows = page.locator(".report tbody tr")
    expect(rows).to_have_count(len(metadata["metrics"]))
    for row, metric in zip(rows.all(), metadata["metrics"], strict=True):
        text = row.inner_text()
        assert metric["name"] in text
        assert f"{metric['value']:.3g}" in text
    page.get_by_text("Training configuration").click()
    expect(page.locator(".report pre")).to_contain_text('"seed": 1')


def test_report_leads_to_the_page_that_training_wrote(load_page):
    def add_report(route):
        metadata = route.fetch().json()
        route.fulfill(json=metadata | {"has_report": True})

    page = load_page(place("taxi", []))
    page.route("**/metadata", add_report)
    page.context.route("**/report", lambda route: route.fulfill(body="worth it"))
    page.reload()
    button(page, "Training report").click()
    link = page.get_by_role("link", name="The whole training report")

    with page.context.expect_page() as opened:
        link.click()

    assert opened.value.url.endswith("/v1/models/taxi/versions/1/report")
    expect(opened.value.locator("body")).to_have_text("worth it")


def test_key_is_sent_and_kept_out_of_address_and_storage(load_page):
    page = load_page(place("nature"))
    page.get_by_label("API key, kept in memory only").fill("secret-key")

    with page.expect_request(re.compile("/v1/models$")) as sent:
        button(page, "Use key").click()

    assert sent.value.headers["authorization"] == "Bearer secret-key"
    expect(columns(page).first).to_be_visible()
    kept = page.evaluate(
        "JSON.stringify([{...localStorage}, location.href, document.cookie])"
    )
    assert "secret-key" not in kept


def test_theme_changes_and_stays(load_page):
    page = load_page(place("nature"), color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)

    button(page, "Use dark colours").click()
    assert page.evaluate(colour) == "rgb(16, 20, 19)"
    page.reload()
    button(page, "Use light colours").click()
    assert page.evaluate(colour) == light


def test_links_lead_to_the_calls_and_back(load_page):
    page = load_page(place("nature"))

    page.get_by_role("link", name="API").click()
    page.wait_for_url("**/docs/")
    page.go_back()
    page.get_by_role("link", name="Carryover").click()
    page.wait_for_url(re.compile("/playground"))
    expect(columns(page).first).to_be_visible()


@pytest.mark.slow  # some of the tests that use the controls are
def test_every_control_was_used(controls):
    """Runs last: `controls.js` noted what pages showed and what tests used."""
    assert len(controls["seen"]) > 40
    assert controls["seen"] - controls["used"] == set()
