from __future__ import annotations

from training.evaluate.metric import Metric
from training.report import format_evaluation, format_table, print_parts
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
