"""The page of a report: what is on it, by hand; that it is escaped; the same bytes."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from types import SimpleNamespace

import matplotlib as mpl
import pytest

from tests.training.page_parser import HOSTILE, Page, pack
from tests.training.report_pages import (
    ROOT,
    always,
    load_small,
    small_config,
    write_page,
)
from training.config import CardConfig, check_config
from training.data.heads import HeldOutEvents, HeldOutHeads, HeldOutLabels
from training.html_report.card import describe_use
from training.html_report.classified import Asked, illustrate
from training.html_report.held_out import illustrate_held_out, say_event
from training.html_report.page import render_page
from training.html_report.parts import HtmlTable, Section, Text
from training.run import locate_run
from training.sources import SOURCES
from training.verdict import Verdict


@pytest.fixture(scope="module")
def pages():
    """The report of every bundled configuration."""
    configs = (ROOT / "training" / "configs").glob("*.toml")
    return {path.stem: write_page(path.stem) for path in configs}


def test_every_source_is_illustrated(pages):
    sources = {small_config(name).data.source for name in pages}

    assert sources == set(SOURCES)
    for name, content in pages.items():
        assert content.count(b"<svg xmlns") >= 3, (
            f"{name}: no branch of illustrate_held_out has its form of held-out data?"
        )


def test_the_verdict_is_the_first_line(pages):
    for content in pages.values():
        assert Page(content).texts[1] == "LSTM 1.2 nats per event, 3-gram 1.3: worth it"
        assert Page(content).texts[0].endswith(": training report")  # the title


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        (
            "visits",
            (
                *("Result", "Learning curves", "How sure, and how right"),
                *("Where it is right and wrong", "The most surprising sequences"),
                *("Data", "Model card", "Repeat it"),
            ),
        ),
        (
            "taxi",
            (
                *("Result", "Learning curves", "Forecasts on held-out rows"),
                *("How far off, and how often inside", "Where it is right and wrong"),
                *("Data", "Model card", "Repeat it"),
            ),
        ),
    ],
)
def test_the_page_has_all_sections(pages, name, titles):
    found = re.findall(r"<h2>(.*?)</h2>", pages[name].decode())

    assert found == list(titles)
    text = " ".join(Page(pages[name]).texts)
    assert f"python -m training fit --config {name}.toml" in text
    assert small_config(name).card.licence in text
    assert "fingerprint" in text


def test_the_page_of_a_series_has_the_date_from_which_rows_are_held_out(pages):
    text = " ".join(Page(pages["taxi"]).texts)

    assert "held out from 2014-12-20T00:00:00" in text
    assert "first row at 2014-07-01T00:00:00" in text


def test_the_page_runs_nothing_and_asks_nobody(pages):
    for content in pages.values():
        page = Page(content)
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"script", "link", "img", "iframe", "object", "form", "base"}
        names = {name for _, attrs in page.elements for name in attrs}
        assert not [name for name in names if name.startswith("on") or name == "style"]
        for reference in page.attributes("href") + page.attributes("src"):
            assert reference.startswith("#")
        text = content.decode()
        addresses = set(re.findall(r"\w+://[^\s\"<]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}


def test_the_policy_allows_the_style_sheet_and_nothing_else(pages):
    for content in pages.values():
        policy, _ = Page(content).attributes("content")
        css = re.search(r"<style>(.*?)</style>", content.decode(), re.S)[1]
        digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        assert policy == f"default-src 'none'; style-src 'sha256-{digest}'"


def test_ids_are_the_own_of_each_plot_and_all_references_lead_somewhere(pages):
    for content in pages.values():
        page = Page(content)
        ids = Counter(page.attributes("id"))
        assert max(ids.values()) == 1
        clips = re.findall(r"url\(#([^)]+)\)", " ".join(page.attributes("clip-path")))
        used = {reference[1:] for reference in page.attributes("href")} | {*clips}
        assert used == set(ids)


def test_plots_follow_the_colours_of_the_page(pages):
    for content in pages.values():
        for name in ("fill", "stroke"):
            for colour in Page(content).attributes(name):
                assert colour in {"none", "#000000"} or colour.startswith("var(--")


def test_the_same_report_is_the_same_bytes_whatever_matplotlib_is_set_to(
    pages,
):
    settings = {"font.size": 20, "lines.linewidth": 9, "svg.hashsalt": None}
    with mpl.rc_context(settings):
        again = write_page("visits")

    assert again == pages["visits"]


def test_names_of_the_data_are_text_on_the_page():
    size = len(HOSTILE)
    cases = [[k, (k + 1) % size, (k + 2) % size] for k in range(size)]
    targets = [[(k + 1) % size, (k + 2) % size, (k + 3) % size] for k in range(size)]
    asked = Asked(
        pack(cases, targets),
        always(*[1 / size] * size),
        {name: always(*[1 / size] * size) for name in HOSTILE[:2]},
        lambda k: HOSTILE[k],
        HOSTILE,
    )
    words = HtmlTable("<i>caption</i>", HOSTILE, [HOSTILE], num_words=2)
    sections = [*illustrate(asked), Section("<b>", [words, Text("<u>")])]

    content = render_page("<name>", Verdict("<i>verdict", True), sections)

    page = Page(content)
    assert not {tag for tag, _ in page.elements} & {"script", "i", "b", "u", "name"}
    assert "<script>alert(1)</script>" in page.texts
    assert "<i>verdict" in page.texts
    assert not [attrs for _, attrs in page.elements if "onload" in attrs]


def test_a_card_is_words_only_and_begins_no_other_run(tmp_path):
    config = small_config("visits")
    other = dataclasses.replace(
        config, card=dataclasses.replace(config.card, licence="another")
    )

    assert locate_run(tmp_path, config, {}) == locate_run(tmp_path, other, {})


def test_a_configuration_without_a_card_says_what_is_missing():
    config = dataclasses.replace(small_config("visits"), card=CardConfig())

    (table,) = describe_use(config, {"kind": "next_event"}).parts

    cells = dict(table.rows)
    assert cells["licence of the data"].startswith("Not stated. Write it as card.lic")
    assert cells["intended use"].startswith("After every event of a case:")


def test_the_configuration_on_the_page_is_the_one_that_trained(pages):
    for name, content in pages.items():
        *_, text = Page(content).texts
        table = tomllib.loads(text)
        assert check_config(table, "the page") == small_config(name)


def test_held_out_data_of_an_unknown_form_have_no_illustration():
    unknown = SimpleNamespace(held_out=None)

    assert illustrate_held_out(unknown, always(1.0), {}) == []


def test_commands_start_without_what_draws_and_trains():
    program = "import sys, training.__main__; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )

    assert not {"matplotlib", "jinja2", "tensorflow"} & set(done.stdout.split())


def test_an_event_of_several_fields_is_written_in_one_line():
    assert say_event({"event": "open", "who": "ann", "cost": 2.5}) == "open, ann, 2.5"
    assert say_event("open") == "open"


def test_held_out_sequences_of_labels_are_illustrated_whichever_their_source():
    dataset = SimpleNamespace(
        held_out=pack([[0, 1]] * 20, [[0, 1]] * 20),
        inputs={"kind": "event", "vocabulary": ["x", "y"]},
        outputs={"labels": ["a", "b"]},
    )

    sections = illustrate_held_out(dataset, always(0.75, 0.25), {})

    assert sections[0].title == "How sure, and how right"
    dataset.outputs = {"kind": "forecast"}
    assert illustrate_held_out(dataset, always(0.75, 0.25), {}) == []


def test_each_head_has_its_own_sections_and_plots():
    part = pack([[0, 1, 2]] * 20, [[1, 2, 0]] * 20)
    names = ["a", "b", "c"]
    heads = {
        "next_event": HeldOutEvents(part, part, part, names, None, None),
        "label": HeldOutLabels(part, part, part, names, 3, False),
    }
    dataset = dataclasses.replace(
        load_small("visits"),
        held_out=HeldOutHeads(heads),
        inputs={"kind": "event", "vocabulary": names},
    )
    shares = {"next_event": (0.5, 0.3, 0.2), "label": (0.2, 0.3, 0.5)}

    sections = illustrate_held_out(
        dataset, lambda s: {n: always(*p)(s) for n, p in shares.items()}, {}
    )

    assert [one.title for one in sections][::3] == [
        "How sure, and how right: next_event",
        "How sure, and how right: label",
    ]
    ids = Page(render_page("x", Verdict("y", True), sections)).attributes("id")
    assert len(ids) == len(set(ids))


def test_a_card_says_after_how_many_epochs_early_stopping_took_which_weights():
    config = small_config("visits")
    patient = dataclasses.replace(
        config, training=dataclasses.replace(config.training, patience=2)
    )
    curves = {"network, validation": [1.0, 0.8, 0.9, 0.85]}

    def describe(config):
        (table,) = describe_use(config, {"kind": "next_event"}, curves).parts
        return dict(table.rows)["network"]

    assert "(cosine)" in describe(config)
    assert "weights of epoch" not in describe(config)
    assert describe(patient).endswith(
        "trained for 4 of them, the weights of epoch 2 taken"
    )
