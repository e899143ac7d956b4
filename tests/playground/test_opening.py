"""Opening of the page: one picture, two answers, live from the service."""

import random
import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.server

PICTURES = ["bear", "squirrel", "tree", "person", "blurry"]


def read_bars(card):
    """Labels of a card with the numbers that stand next to them."""
    rows = card.locator(".bar")
    expect(rows).to_have_count(3)
    texts = [row.inner_text().split() for row in rows.all()]
    return {label: float(number) for label, number, *_ in texts}


@pytest.fixture(scope="module")
def answers(playground):
    """Return the service's answers to the picture alone and after the others."""
    alone, carried = playground.predict("nature", ["blurry"], PICTURES).json()[
        "predictions"
    ]
    return alone, carried


@pytest.mark.parametrize("address", ["", "playground"])
def test_two_strips_show_the_services_numbers(load_page, answers, address):
    page = load_page(address=address)
    cards = page.locator(".story article")
    expect(cards).to_have_count(2)
    without, with_memory = cards.all()

    for card, answer in zip((without, with_memory), answers, strict=True):
        shown = read_bars(card)
        assert list(shown) == ["dog", "wolf", "fish"]
        assert list(shown.values()) == pytest.approx(answer, abs=0.005001)
    assert read_bars(without)["dog"] == pytest.approx(0.8, abs=0.02)
    assert read_bars(with_memory)["wolf"] == pytest.approx(0.8, abs=0.02)


def test_each_strip_has_one_sentence_and_names_the_bear(open_page):
    page = open_page()
    sentences = page.locator(".story .say")
    expect(sentences).to_have_count(2)
    without, with_memory = sentences.all()

    expect(without).to_have_text("It sees only this picture, so it says dog.")
    expect(with_memory).to_have_text(
        "The bear was four pictures ago. Its trace is in the long-term memory, "
        "so it says wolf."
    )


def test_pictures_are_drawn_and_have_names(open_page):
    page = open_page()
    shown = page.locator(".story article").nth(1).get_by_role("img")

    expect(shown).to_have_count(len(PICTURES))
    assert [one.get_attribute("aria-label") for one in shown.all()] == PICTURES
    for one in shown.all():
        assert one.locator("svg path, svg circle").count() > 0


def test_opening_leaves_nothing_in_the_service(open_page, playground):
    import requests

    page = open_page()
    expect(page.locator(".arcs path")).to_have_count(1)

    sessions = requests.get(f"{playground.url}/v1/models/nature/sessions", timeout=60)
    assert sessions.json()["sessions"] == []


def test_threshold_is_drawn_at_its_value(open_page):
    page = open_page()
    line = page.locator(".story .track b").first

    assert line.get_attribute("title") == "threshold 0.9"
    assert re.search(r"left: 90%", line.get_attribute("style"))


SORTED = """async ([rows, count]) => {
  const { topOf } = await import(new URL("playground/js/model.js", document.baseURI));
  return rows.map((row) => topOf(row, count));
}"""


def test_labels_shown_are_the_most_probable_ones(open_page):
    page = open_page("#model=visits")
    chance = random.Random(5)
    rows = [[chance.randrange(size) for _ in range(size)] for size in range(1, 40)]

    found = page.evaluate(SORTED, [rows, 5])

    for row, top in zip(rows, found, strict=True):
        assert top == sorted(range(len(row)), key=lambda k: (-row[k], k))[:5]
    expect(page.locator(".story article").first.locator(".bar")).to_have_count(5)
