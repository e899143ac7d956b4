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
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest

from tests.training.report_pages import (
    ROOT,
    always,
    load_small,
    small_config,
    write_page,
)
from training.config import CardConfig, check_config
from training.data.dataset import Sequences
from training.data.heads import HeldOutEvents, HeldOutHeads, HeldOutLabels
from training.data.series import HeldOutSeries
from training.evaluate.guesses import guess
from training.evaluate.metric import Metric
from training.html_report.card import describe_use
from training.html_report.classified import (
    Asked,
    Compared,
    choose_surprising,
    illustrate,
    list_confusions,
    list_labels,
    reliability,
    show_sequence,
)
from training.html_report.held_out import illustrate_held_out, say_event
from training.html_report.page import list_metrics, render_page
from training.html_report.parts import Bar, Best, HtmlTable, Section, Text
from training.html_report.series import illustrate_series, list_coverage, make
from training.run import locate_run
from training.sources import SOURCES
from training.verdict import Verdict

VOID = {"meta", "link", "br", "img", "hr", "input"}
HOSTILE = (
    "<script>alert(1)</script>",
    "</style></svg>",
    '" onload="x',
    "$x$ & $",
    "zero\0byte",
    "half \ud800",
    "事件",
)


class Page(HTMLParser):
    """Elements of a page, that are closed in the order they were opened."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(content.decode())
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and data.strip():
            self.texts.append(data.strip())

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.elements if name in attrs]


def pack(cases, targets):
    """Make sequences of cases, every event asked for what its target says."""
    inputs, asked = (np.concatenate(one).astype(np.int32) for one in (cases, targets))
    offsets = np.append(0, np.cumsum([len(case) for case in cases]))
    return Sequences(inputs, asked, np.ones(len(inputs), np.uint8), offsets)


def ask(sequences, predict, others=None):
    labels = ["a", "b", "c"]
    return Asked(sequences, predict, others or {}, lambda k: "abc"[k], labels)


@pytest.fixture(scope="module")
def pages():
    """The report of every bundled configuration."""
    configs = (ROOT / "training" / "configs").glob("*.toml")
    return {path.stem: write_page(path.stem) for path in configs}


def test_every_source_is_illustrated(pages):
    sources = {small_config(name).data.source for name in pages}

    assert sources == set(SOURCES)
    for name, content in pages.items():
        assert content.count(b"<svg xmlns") >= 3, name


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


def test_reliability_is_the_share_that_came_true_by_confidence():
    predict = always(0.7, 0.2, 0.1)
    guesses = guess(pack([[0] * 10], [[0] * 6 + [1] * 4]), predict, 3)

    confidence, right = reliability(guesses, None)

    assert confidence == pytest.approx([0.7])
    assert right == pytest.approx([0.6])


def test_labels_and_confusions_are_those_counted_by_hand():
    sequences = pack([[0] * 10], [[0] * 5 + [1] * 4 + [2]])
    asked = ask(sequences, always(0.7, 0.2, 0.1), {"3-gram": always(0.1, 0.8, 0.1)})
    named = [asked.predict, *asked.others.values()]
    network, other = (guess(sequences, one, 3) for one in named)

    labels = list_labels(asked, Compared(network, {"3-gram": other}))
    confusions = list_confusions(asked, network)

    assert labels.rows[0][:4] == ["a", "5", "100.0%", "0.0%"]
    assert labels.rows[1][:4] == ["b", "4", "0.0%", "100.0%"]
    assert labels.rows[1][4:] == ["1.609", "0.2231"]
    assert confusions.rows[0] == ["b", "a", "4", Bar("100.0%", 1.0)]
    assert confusions.rows[1][:3] == ["c", "a", "1"]


def test_the_most_surprising_sequences_come_first_and_equal_ones_once():
    usual, odd, short = [0, 0, 0], [1, 1, 1], [2]
    sequences = pack([usual, odd, odd, short], [usual, [2] * 3, [2] * 3, [2]])
    asked = ask(sequences, always(0.7, 0.2, 0.1))
    network = guess(sequences, asked.predict, 3)

    chosen = choose_surprising(asked, network)

    assert chosen == [1, 0]  # the short one has too few events, the other is the same
    table = show_sequence(asked, 1, 1)
    assert table.caption == "1. Mean surprise 2.30 nats"
    first = ["1", "b", "c", "a 70%, b 20%", "10.0%"]
    assert table.rows[0][:5] == first
    assert table.rows[0][5].width == 23


def test_of_a_long_sequence_the_most_surprising_stretch_is_shown():
    targets = [0] * 100 + [2] * 10 + [0] * 100
    sequences = pack([targets], [targets])

    table = show_sequence(ask(sequences, always(0.8, 0.1, 0.1)), 0, 1)

    assert len(table.rows) == 30
    assert table.caption.endswith("; 30 of 210 answers")
    assert [row[2] for row in table.rows].count("c") == 10


def hold_out_series(quantiles=()):
    """Four days of hours that alternate between 1 and 3, the last day held out."""
    rows = np.arange(96)
    values = np.where(rows % 2, 3.0, 1.0)
    sequence = np.stack([rows // 24, rows % 24 * 3600.0, values], axis=1)
    return HeldOutSeries(
        sequence.astype(np.float32), values, 72, 2, {"day": 24}, quantiles
    )


def test_coverage_is_the_share_inside_of_the_band():
    held_out = hold_out_series((0.1, 0.5, 0.9))
    forecast = np.broadcast_to([0.0, 1.5, 2.0], (96, 2, 3))

    table = list_coverage(
        held_out, [make(held_out, forecast, ahead) for ahead in (1, 2)]
    )

    # All values 1 are between 0 and 2, all values 3 over it.
    row = ["1", "80.0%", Bar("50.0%", 0.5), "0.0%", "50.0%", "1"]
    assert table.rows == [row, ["2", *row[1:]]]


def test_one_value_gets_the_band_of_its_earlier_errors():
    held_out = hold_out_series()
    forecast = np.full((96, 2), 2.0)  # one too much, or one too little

    made = make(held_out, forecast, 2)

    assert (made.low, made.high) == (pytest.approx(1.0), pytest.approx(3.0))


def test_worst_rows_are_the_largest_errors_apart_from_each_other():
    held_out = hold_out_series()
    held_out.values[[80, 81, 95]] = [90, 80, 70]
    forecast = np.full((96, 2), 2.0)

    *_, (_, (_, worst)) = (
        (s.title, s.parts)
        for s in illustrate_series(
            held_out._replace(season_rows={"half": 8}), lambda _: forecast[None]
        )
    )

    assert [row[:3] for row in worst.rows[:2]] == [
        ["1970-01-04 08:00:00", "90", "2"],
        ["1970-01-04 23:00:00", "70", "2"],
    ]


def test_several_series_and_daily_ones_are_illustrated():
    days = np.arange(96.0)
    daily = hold_out_series()._replace(
        sequence=np.stack([days, days * 0, days], axis=1).astype(np.float32)
    )

    sections = illustrate_series([daily, daily], lambda s: np.ones((1, 96, 2)))

    assert "first one" in sections[0].parts[0].text
    assert "day of the week" in sections[2].parts[0].caption


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


def test_best_figures_stand_out():
    metrics = [
        Metric("error", 0.2, "nats", {"n": 0.1, "m": 0.3}),
        Metric("right", 0.5, "share", {"n": 0.5}, better="higher"),
        Metric("below", 0.4, "share", {"n": 0.2}, better="nominal"),
    ]

    rows = list_metrics(metrics).parts[0].rows

    assert rows[0][2:] == ["0.2", Best("0.1"), "0.3"]
    assert rows[1][2:] == [Best("0.5"), Best("0.5"), "-"]
    assert rows[2][2:] == ["0.4", "0.2", "-"]


def test_each_head_has_a_table_next_to_its_own_baselines():
    metrics = [
        Metric("surprise", 0.1, "nats", {"2-gram": 0.2}),
        Metric("right labels", 0.9, "share", {"majority": 0.6}),
    ]

    parts = list_metrics(metrics).parts

    assert [part.caption for part in parts] == ["Next to 2-gram", "Next to majority"]
    assert [len(part.headings) for part in parts] == [4, 4]
    assert list_metrics(metrics[:1]).parts[0].caption == "All figures"


def test_held_out_events_are_compared_with_the_ngram():
    part = pack([[0, 1, 2]] * 20, [[1, 2, 0]] * 20)

    held_out = HeldOutEvents(part, part, part, ["a", "b", "c"], None, None)
    schema = {"kind": "event", "vocabulary": ["a", "b", "c"]}
    dataset = SimpleNamespace(
        held_out=held_out, inputs=schema, outputs={"labels": ["a", "b", "c"]}
    )

    sections = illustrate_held_out(dataset, always(0.5, 0.3, 0.2), {})

    table = sections[1].parts[1]
    assert re.fullmatch(r"right, \d-gram", table.headings[3])


def test_a_label_that_training_does_not_have_is_shown_as_such():
    train, test = pack([[0, 1]] * 20, [[0, 1]] * 20), pack([[0, 1]], [[2, 1]])
    held_out = HeldOutLabels(train, train, test, ["a", "b"], 3, False)
    dataset = SimpleNamespace(
        held_out=held_out,
        inputs={"kind": "event", "vocabulary": ["x", "y", "z"]},
        outputs={"labels": ["a", "b"]},
    )

    *_, surprising = illustrate_held_out(dataset, always(0.75, 0.25), {})

    rows = surprising.parts[1].rows
    assert rows[0][:5] == ["1", "x", "(not in training)", "a 75%, b 25%", "0.0%"]
    assert rows[1][4] == "25.0%"


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
