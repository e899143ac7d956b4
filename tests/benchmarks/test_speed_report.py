"""Runs written down, and the scenarios there are."""

import json

import pytest

from benchmarks.speed.plots import draw
from benchmarks.speed.report import Kept, Run, format_figure, read_kept, write_run
from benchmarks.speed.results import Result, at_least, at_most
from benchmarks.speed.scenarios import SCENARIOS
from benchmarks.speed.scenarios.lengths import MAX_LENGTH, log_uniform_lengths
from tests.servers import ROOT

ROWS = {"carryover": {"requests/s": 8123.4}, "triton": {"requests/s": 8000.0}}
RESULT = Result(
    "throughput", "Single events", ROWS, [at_least("carryover / triton", 1.015, 1)]
)
RUN = Run({"processor": "2 cores"}, [RESULT], {"bentoml": "cannot be\ninstalled"})


def test_page_holds_targets_figures_and_what_is_missing(tmp_path):
    write_run(RUN, tmp_path / "page.md", tmp_path / "data.json")

    page = (tmp_path / "page.md").read_text()
    assert "| carryover / triton | 1.01 | at least 1 | met |" in page
    assert "| carryover | 8,123 |" in page
    assert "| bentoml | cannot be installed |" in page


def test_data_holds_every_figure_and_verdict(tmp_path):
    write_run(RUN, tmp_path / "page.md", tmp_path / "data.json")

    data = json.loads((tmp_path / "data.json").read_text())
    assert data["results"][0]["rows"] == ROWS
    assert data["results"][0]["targets"][0]["is_met"] is True


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        (at_least("", 0.8, 0.8), True),
        (at_least("", 0.79, 0.8), False),
        (at_most("", 3, 3), True),
        (at_most("", 3.1, 3), False),
    ],
)
def test_target_is_met_up_to_its_limit(target, is_met):
    assert target.is_met is is_met


@pytest.mark.parametrize(
    ("value", "text"), [(8123.4, "8,123"), (0.2345, "0.234"), (1.5, "1.5")]
)
def test_figures_keep_three_digits_that_matter(value, text):
    assert format_figure(value) == text


def test_same_run_draws_the_same_picture(tmp_path):
    for folder in ("one", "two"):
        draw([RESULT], tmp_path / folder)

    one, two = (tmp_path / f / "speed-throughput.svg" for f in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_every_scenario_is_documented():
    text = (ROOT / "benchmarks" / "speed" / "README.md").read_text()

    assert all(f"| `{name}` |" in text for name in SCENARIOS)


def test_mixed_lengths_have_uniform_logarithms():
    lengths = log_uniform_lengths(3000)

    assert (min(lengths), max(lengths)) == (1, pytest.approx(MAX_LENGTH, rel=0.01))
    for low in (1, 10, 100):
        share = sum(low <= length < 10 * low for length in lengths) / len(lengths)
        assert share == pytest.approx(1 / 3, abs=0.1)


def test_tables_of_scenarios_that_were_not_measured_again_stay(tmp_path):
    page, data = tmp_path / "page.md", tmp_path / "data.json"
    older = Result("workers", "Workers", ROWS, [at_most("seconds", 2.0, 1)])
    write_run(Run({"date": "2026-01-31"}, [RESULT, older], {}), page, data)

    for date in ("2026-02-01", "2026-02-02"):
        kept = read_kept(data, ["throughput"])
        assert kept == [Kept("2026-01-31", older)]
        write_run(Run({"date": date}, [RESULT], {}, kept), page, data)

    text = page.read_text()
    assert "### Workers (2026-01-31)" in text
    assert text.count("### Single events\n") == 1
    assert "| seconds |" not in text


def test_make_performance_names_scenarios_that_there_are():
    makefile = (ROOT / "Makefile").read_text()
    (line,) = [x for x in makefile.splitlines() if x.startswith("TARGETED := ")]

    assert set(line.split()[2:]) <= set(SCENARIOS)
