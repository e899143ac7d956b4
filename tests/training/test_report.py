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


def test_each_head_has_a_table_of_its_own_baselines():
    metrics = [
        Metric("surprise", 0.1, "nats", {"2-gram": 0.2, "gradient boosting": 0.3}),
        Metric("surprise after 1 event", 0.1, "nats", {"2-gram": 0.25}),
        Metric("alarms", 0.05, "share", better="nominal"),
        Metric("right labels", 0.9, "share", {"majority": 0.6, "nearest prefix": 0.8}),
    ]

    lines = print_at(metrics, 80)

    heads = [line for line in lines if "held-out data" in line]
    # "gradient boosting" takes two lines, its second word next to the other names.
    columns = [[cell.strip() for cell in head.split("|")[3:-1]] for head in heads]
    assert columns == [
        ["network", "2-gram", "boosting"],
        ["network", "majority", "prefix"],
    ]


def test_names_of_metrics_take_few_lines_next_to_four_models():
    name = "mean error of the remaining time after 5 to 9 events"
    baselines = ("median after this event", "median at the same position", "boosting")
    metric = Metric(name, 0.1, "hours", dict.fromkeys(baselines, 0.2))

    lines = [line for line in print_at([metric], 80) if line]
    rule = next(k for k, line in enumerate(lines) if line.startswith("|--"))

    assert len(lines) - rule - 1 <= 3


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
