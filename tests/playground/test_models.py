"""Models of every kind of input and output can be played with."""

import json
import re
from string import ascii_lowercase

import pytest
import requests
from playwright.sync_api import expect

from tests import networks
from tests.exported import export_model
from tests.playground.browsers import rest
from tests.playground.examples import KERAS, NAMES, PAIR
from tests.playground.test_quality import assert_accessible
from tests.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def playground(tmp_path_factory):
    """A service with a model of each kind that the bundled ones are not.

    TensorFlow runs them: compiling and proving programs takes half a minute.
    """
    import keras

    from training.export_keras import ExportRequest, export_file

    home = tmp_path_factory.mktemp("kinds")
    models = home / "models"
    fan = networks.SERIES, networks.QUANTILES
    export_model(models, "fan", *fan, forms=())
    export_model(models, "pair", *PAIR, forms=(), seed=3)
    export_model(models, "pair", *PAIR, forms=(), seed=5, version=2)
    for make in KERAS:
        keras.utils.set_random_seed(3)
        name = make.__name__.removeprefix("make_")
        make(keras).save(home / f"{name}.keras")
        order = ExportRequest(
            home / f"{name}.keras", name, compiled=False, **NAMES.get(name, {})
        )
        export_file(order, models)
    with Server(models, home, runtime="auto", workers=1) as running:
        yield running


def place(model, events=None):
    chosen = f"&events={json.dumps(events)}" if events is not None else ""
    return f"#model={model}{chosen}"


def last_answer(playground, model, events):
    body = {"instances": [{"sequence": events, "memory": None}]}
    return playground.post(model, "predict", body).json()["predictions"][0]


def shown_numbers(page):
    """Rows of the table of the card with memory, without their headings."""
    rest(page)
    rows = page.locator(".story article").nth(1).locator("tbody tr")
    return [
        [float(cell) for cell in row.locator("td").all_inner_texts()]
        for row in rows.all()
    ]


def add(page, **fields):
    form = page.locator(".fields")
    for label, value in fields.items():
        form.get_by_label(re.compile(label)).first.fill(value)
    form.get_by_role("button", name="Add").click()


def test_two_versions_of_a_model_take_the_same_events(open_page, playground):
    events = networks.VOCABULARY[:3]
    page = open_page(f"{place('pair', events)}&version=2")
    page.get_by_label("Compare with").select_option(label="pair v1, lstm")
    lanes = page.locator(".lane")
    expect(lanes).to_have_count(2)
    for k, version in enumerate((2, 1)):
        expect(lanes.nth(k).locator(".lane-head")).to_contain_text(f"pair v{version}")

    for count in (3, 4):
        seen = [*events, events[0]][:count]
        for k, version in enumerate((2, 1)):
            url = f"{playground.url}/v1/models/pair/versions/{version}:predict"
            body = {"instances": [seen]}
            answer = requests.post(url, json=body, timeout=60).json()["predictions"][0]
            expect(lanes.nth(k).locator(".column")).to_have_count(count)
            best = max(range(len(answer)), key=answer.__getitem__)
            label = networks.VOCABULARY[best]
            said = f"{label} {answer[best]:.2f}"
            expect(lanes.nth(k).locator(".lane-answer")).to_have_text(said)
            # The cards above show the version that is looked at, in full.
            lanes.nth(k).locator(".chip").click()
            rest(page)
            numbers = page.locator(".story article").nth(1).locator(".bar .number")
            shown = [float(text.split()[0]) for text in numbers.all_inner_texts()]
            assert shown == pytest.approx(answer, abs=0.00501)
        if count == 3:
            palette = page.get_by_role("group", name="Palette")
            palette.get_by_role("button", name=events[0]).click()
    # The page shows what sets them apart.
    one, other = lanes.locator(".column.selected .small-bars").all()
    assert one.get_attribute("title") != other.get_attribute("title")


def test_forecast_is_a_fan_of_intervals(open_page, playground):
    page = open_page(place("fan"))
    # Answers come 50 rows at a time, and the address follows a moment later.
    expect(page.locator(".counter")).to_have_text("96 / 96")
    events = page.wait_for_function(
        "() => JSON.parse(new URLSearchParams(location.hash.slice(1)).get('events'))"
    ).json_value()

    answer = last_answer(playground, "fan", events)["forecast"]

    middles = [f"{middle:.0f}" for _, middle, _ in answer]
    shown = shown_numbers(page)
    assert shown == [pytest.approx(row, abs=0.6) for row in answer]
    label = f"value over 96 rows; forecast after row 96: {', '.join(middles)}"
    chart = page.locator(".chart")
    expect(chart).to_have_attribute("aria-label", re.compile(f"^{label}"))
    expect(page.locator(".spark .fan")).to_have_count(2)
    # The number of a column, and of the sentence, is the middle one.
    expect(page.locator(".column.selected .small-number")).to_have_text(middles[0])
    alone = last_answer(playground, "fan", events[-1:])["forecast"]
    change = round(abs(answer[0][1] - alone[0][1]))
    said = page.locator(".story .say").nth(1)
    expect(said).to_contain_text(re.compile(f"expects {middles[0]} next, {change} "))


def test_form_continues_the_series_in_its_own_steps(open_page):
    rows = [{"time": f"2015-01-05T{h:02}:00:00", "value": 9_000 + h} for h in (8, 10)]
    page = open_page(place("fan", rows))
    fields = page.locator(".fields")

    expect(fields.get_by_label("time")).to_have_value("2015-01-05T12:00")
    expect(fields.get_by_role("spinbutton")).to_have_value("9010")
    add(page, value="9100")

    expect(fields.get_by_label("time")).to_have_value("2015-01-05T14:00")
    expect(fields.get_by_role("spinbutton")).to_have_value("9100")


def test_whole_numbers_are_chosen_by_slider(open_page, playground):
    page = open_page(place("indices", [0, 3]))

    page.locator(".fields").get_by_role("slider").fill("4")
    add(page)

    expect(page.locator(".column")).to_have_count(3)
    expect(page.locator(".column em").last).to_have_text("4")
    answer = last_answer(playground, "indices", [0, 3, 4])["values"]
    rows = shown_numbers(page)
    assert [number for (number,) in rows] == pytest.approx(answer, abs=0.000501)
    best = max(range(5), key=answer.__getitem__)
    said = page.locator(".story .say").nth(1)
    expect(said).to_contain_text(f"answers with number {best + 1}, {answer[best]:.3g}")
    expect(page.locator(".arcs path").first).to_be_attached()


def test_lists_of_numbers_are_typed_and_every_output_is_shown(open_page, playground):
    page = open_page(place("sensors", [[0, 0.5, -1]]))

    add(page, event="1, 2 -0.5")

    expect(page.locator(".column")).to_have_count(2)
    answer = last_answer(playground, "sensors", [[0, 0.5, -1], [1, 2, -0.5]])
    rows = shown_numbers(page)
    assert [x for (x,) in rows] == pytest.approx(answer["position"], rel=0.006)
    facts = page.locator(".story article").nth(1).locator(".facts")
    name, number = facts.inner_text().split()
    assert name == "alarm"
    assert float(number) == pytest.approx(answer["alarm"][0], rel=0.006)
    unit = page.locator(".unit .equations code")
    expect(unit).to_have_text(re.compile(r"^tanh\([+−][\d.]+\) = [+−]0\.\d{3}$"))  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1, many, 2", '"many" is not a number.'),
        ("1, 1e999, 2", '"1e999" is not a number.'),
        ("1, 2", "There are 2 numbers; expected 3."),
        ("", "There are 0 numbers; expected 3."),
    ],
)
def test_list_that_is_not_numbers_is_refused_in_its_field(open_page, text, said):
    page = open_page(place("sensors", [[0, 0.5, -1]]))
    field = page.locator(".fields").get_by_label("event")

    add(page, event=text)

    assert said in field.evaluate("field => field.validationMessage")
    expect(field).to_have_value(text)
    expect(page.locator(".column")).to_have_count(1)
    add(page, event="1 2 3")
    expect(page.locator(".column")).to_have_count(2)


def test_records_of_lists_and_whole_numbers_are_filled_in(open_page):
    page = open_page(place("machines", []))

    add(page, sensors="0.5, -1", machine="3")
    expect(page.locator(".column em")).to_have_text(["0.500, -1", "3"])
    add(page, machine="2")

    expect(page.locator(".column")).to_have_count(2)
    last = '[{"sensors":[0.5,-1],"machine":3},{"sensors":[0.5,-1],"machine":2}]'
    page.wait_for_function(
        "last => new URLSearchParams(location.hash.slice(1)).get('events') === last",
        arg=last,
    )


def test_characters_are_typed_as_a_word(open_page):
    page = open_page(place("characters", ["h", "e"]))

    page.get_by_label("Characters").fill("llo")
    page.get_by_role("button", name="Add", exact=True).click()

    expect(page.locator(".column em:last-child")).to_have_text(list("hello"))
    # A character is its own drawing.
    expect(page.locator(".column .picture")).to_have_count(0)
    page.get_by_text("Paste a sequence").click()
    expect(page.locator(".paste label")).to_contain_text("each character an event")
    page.locator(".paste textarea").fill("you!")
    expect(page.get_by_text('"!" is not an event of characters')).to_be_visible()


def test_small_probabilities_differ_and_a_space_is_seen(open_page, playground):
    page = open_page(place("characters", ["h", " "]))
    bars = page.locator(".story article").nth(1).locator(".bar")

    answer = last_answer(playground, "characters", ["h", " "])["probabilities"]
    shown = bars.locator(".number").all_inner_texts()

    assert max(answer) < 0.1
    largest = sorted(answer, reverse=True)[:5]
    assert [float(text) for text in shown] == pytest.approx(largest, abs=0.000501)
    expect(page.locator(".column em").last).to_have_text("␣")


def test_space_is_seen_in_sentences_too(open_page, playground):
    """Typed in the order of the alphabet until the model expects a space."""
    for letter in ascii_lowercase:
        answer = last_answer(playground, "characters", [letter])["probabilities"]
        if max(range(26), key=answer.__getitem__) == 25:
            break
    else:
        pytest.skip("this random network never expects a space")
    page = open_page(place("characters", [letter]))

    said = page.locator(".story .say").first
    expect(said).to_have_text("It sees only this event, so it expects ␣ next.")


# Texts that reach out of a drawing, or names of which a part is cut away.
CUT = """() => [
  ...[...document.querySelectorAll(".folded svg text")].filter((text) => {
    const { x } = text.getBBox();
    return x < text.ownerSVGElement.viewBox.baseVal.x - 1;
  }),
  ...[...document.querySelectorAll(".column em")].filter((name) => {
    const end = (element) => element.getBoundingClientRect().bottom;
    const isHidden = name.scrollHeight > name.clientHeight + 1;
    return isHidden || end(name) > end(name.parentNode);
  }),
].map((element) => element.textContent)"""


@pytest.mark.parametrize(
    ("view", "width"), [("folded", 360), ("folded", 1280), ("unfolded", 1280)]
)
def test_long_names_fit(open_page, view, width):
    events = ["pay the large white plate"] * 8
    place_there = f"{place('orders', events)}&view={view}"
    page = open_page(place_there, viewport={"width": width, "height": 800})
    expect(page.locator(".folded svg, .column").first).to_be_visible()

    expect(page.locator(".story .shown").first).to_be_visible()
    assert page.evaluate(CUT) == []
    chips = page.locator(".story .shown").all_inner_texts()
    assert set(chips) == {"pay the large white plate"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_with_any_of_them(open_page, playground, scheme):
    for model in ("fan", "indices", "sensors", "machines", "characters", "orders"):
        page = open_page(place(model), color_scheme=scheme)
        expect(page.locator(".column").first).to_be_visible()
        assert_accessible(page, scheme)


@pytest.mark.parametrize("model", ["indices", "sensors", "machines"])
def test_what_has_no_example_opens_with_different_events(open_page, model):
    page = open_page(place(model))
    columns = page.locator(".column")
    expect(columns.first).to_be_visible()

    texts = columns.locator(".event").all_inner_texts()

    assert len(set(texts)) > 1
    expect(page.locator(".arcs path").first).to_be_attached()


@pytest.mark.parametrize("model", ["indices", "sensors", "machines", "fan"])
def test_link_with_events_of_another_form_leaves_a_form_that_works(open_page, model):
    events = [{"sensors": 5, "machine": [1]}, {"time": 9, "value": "x"}]
    page = open_page(place(model, events), ready=".fields")
    expect(page.get_by_role("alert")).to_contain_text("invalid_event")

    page.locator(".fields").get_by_role("button", name="Add").click()

    expect(page.locator(".column")).to_have_count(1)
    expect(page.get_by_role("alert")).to_have_count(0)
