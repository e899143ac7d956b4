"""Times on the page of a report, beside numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.event_options import EventOptions
from training.data.events import load_events
from training.html_report.held_out import illustrate_held_out
from training.html_report.page import render_page
from training.html_report.parts import HtmlTable, Plot
from training.html_report.times import group_by_forecast
from training.verdict import Verdict

DAY = 86_400
CASES = 60


@pytest.fixture
def dataset(tmp_path):
    """Cases of three events, the last of which is the later the later the case is."""
    lines = [
        f"c{case},{event},{1_700_000_000 + case * DAY + wait}\n"
        for case in range(CASES)
        for event, wait in (("a", 0), ("b", DAY), ("c", DAY * (2 + case)))
    ]
    path = tmp_path / "log.csv"
    path.write_text("case,event,time\n" + "".join(lines))
    roles = {"case": "case", "event": "event", "time": "time", "split": "file"}

    def load(task):
        return load_events(EventOptions("events", str(path), **roles, task=task), 1)

    return load


def always(*seconds):
    def predict(sequences):
        shape = (*sequences.shape[:2], len(seconds))
        return np.broadcast_to(np.array(seconds, np.float32), shape)

    return predict


def test_times_have_plots_and_the_largest_errors(dataset):
    data = dataset("remaining time")

    sections = illustrate_held_out(data, always(0, 50 * DAY, 1000 * DAY), {})

    assert [one.title for one in sections] == [
        "How often quantiles hold",
        "Where it is far off",
    ]
    plots = [part for one in sections for part in one.parts if isinstance(part, Plot)]
    assert [plot.caption.partition(" ")[0] for plot in plots] == [
        *("Reliability:", "What", "Mean")
    ]
    assert all("median after" in plots[k].svg for k in (0, 2))
    (table,) = [p for one in sections for p in one.parts if isinstance(p, HtmlTable)]
    # The last event of a case is 0 days before its end, and 50 were expected.
    after, known, came, median, between, error = table.rows[0]
    assert after.startswith("c, ")
    assert (known, came, median, between) == ("3", "0", "50", "0 to 1,000")
    assert (error.text, error.share) == ("50", 1)
    assert len(table.rows) == 5
    assert render_page("x", Verdict("y", True), sections).count(b"<figure") == 3


def test_shares_are_of_times_up_to_their_quantile(dataset, monkeypatch):
    data, drawn = dataset("next time"), []

    def keep(lines, *args, **options):
        drawn.append(lines[0])
        return Plot("<svg/>", "")

    monkeypatch.setattr("training.html_report.times.draw_against", keep)
    illustrate_held_out(data, always(0.5 * DAY, 1.5 * DAY, 1000 * DAY), {})

    # Half of the times are one day, the others 49 days and more.
    assert drawn[0].x == (0.1, 0.5, 0.9)
    assert drawn[0].y == [0, 0.5, 1]


def test_heads_of_times_are_shown_under_their_names(dataset):
    data = dataset("next event, next time")
    size = len(data.held_out.by_name["probabilities"].labels)
    outputs = {
        "probabilities": always(*[1 / size] * size),
        "next_seconds": always(1, 2, 3),
    }

    sections = illustrate_held_out(
        data, lambda s: {name: one(s) for name, one in outputs.items()}, {}
    )

    titles = [one.title for one in sections]
    assert "How often quantiles hold: next_seconds" in titles


def test_events_of_one_forecast_are_one_point():
    made = np.repeat([1.0, 2.0, 3.0], [150, 20, 30])
    came = np.arange(200.0)

    middles, spread = group_by_forecast(made, came)

    assert middles.tolist() == [1, 2, 3]
    assert spread[:, 1].tolist() == [74.5, 159.5, 184.5]
    few, _ = group_by_forecast(np.arange(7.0), np.arange(7.0))
    assert few.tolist() == [3]
