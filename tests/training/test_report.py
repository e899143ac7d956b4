from __future__ import annotations

import io

import pytest
from rich.console import Console

from training.evaluate.metric import Metric
from training.report import (
    format_evaluation,
    format_table,
    print_parts,
    print_table,
)
from training.verdict import Verdict

METRICS = [
    Metric("error", 0.1, "nats", {"memoryless": 0.25}),
    Metric("right", 1.0, "share", {"majority": 1 / 3}, better="higher"),
]


def test_table_shows_each_figure_beside_its_baselines():
    lines = format_table(METRICS).splitlines()

    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]

    assert cells[0][1:] == ["better", "network", "memoryless", "majority"]
    assert cells[2] == ["error (nats)", "lower", "0.1", "0.25", "-"]
    assert cells[3] == ["right (share)", "higher", "1", "-", "0.3333"]


def test_table_lines_up_as_text():
    assert len({len(line) for line in format_table(METRICS).splitlines()}) == 1


def print_at(metrics, width, network="network"):
    out = io.StringIO()
    print_table(metrics, network, Console(file=out, width=width, color_system=None))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_printed_table_fits_the_terminal_with_every_figure(width):
    names = ["most frequent", "interpolated 5-gram", "gradient boosting", "[unknown]"]
    baselines = {name: 1.001 + k / 1000 for k, name in enumerate(names * 2)}
    baselines |= {f"{name} again": 2.001 + k / 1000 for k, name in enumerate(names)}
    metric = Metric("log-likelihood without the [end]", 0.1234, "nats", baselines)

    lines = print_at([metric], width, "a-model-with-the-longest-name-of-all/12")

    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    for figure in (0.1234, *baselines.values()):
        assert f"{figure:.4g} " in text
    assert "[unknown]" in text
    assert "[end]" in text


def test_short_table_is_printed_as_one():
    lines = [line for line in print_at(METRICS, 80) if line]

    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["held-out data", "better", "network", "memoryless", "majority"]
    assert cells[2:] == [
        ["error (nats)", "lower", "0.1", "0.25", "-"],
        ["right (share)", "higher", "1", "-", "0.3333"],
    ]


def test_evaluation_holds_table_and_data():
    text = format_evaluation(
        "nature", Verdict("it does", True), METRICS, {"source": "nature", "rows": 7}, 3
    )

    assert text.startswith("it does\n\n# Evaluation of nature\n")
    assert format_table(METRICS) in text
    assert "- rows: 7\n- seed: 3\n" in text


def test_events_that_a_split_leaves_out_are_said(capsys):
    facts = {"train_events": 24, "validation_events": 28, "test_events": 28}

    print_parts({**facts, "unused_events": 40, "split": "time"})
    print_parts({**facts, "unused_events": 0, "split": "file"})
    print_parts({"rows": 80})

    first, second = capsys.readouterr().out.splitlines()
    assert "24 train, 28 validation, 28 test, 40 unused" in first
    assert "unused" not in second
