"""Figures on the page of a report, compared with those counted by hand."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from tests.training.page_parser import ask, pack
from tests.training.report_pages import always
from training.data.heads import HeldOutEvents, HeldOutLabels
from training.data.series import HeldOutSeries
from training.evaluate.guesses import guess
from training.evaluate.metric import Metric
from training.html_report.classified import (
    Compared,
    choose_surprising,
    list_confusions,
    list_labels,
    reliability,
    show_sequence,
)
from training.html_report.held_out import illustrate_held_out
from training.html_report.page import list_metrics
from training.html_report.parts import Bar, Best
from training.html_report.series import illustrate_series, list_coverage, make


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
