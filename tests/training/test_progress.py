"""Progress of a training: lines without a terminal, a bar with one."""

from __future__ import annotations

import io
import re

import pytest

pytestmark = pytest.mark.tensorflow

from rich.console import Console  # noqa: E402

from training.fit import Batch, Epoch, Stopped  # noqa: E402
from training.progress import describe_epoch, open_bar, watch  # noqa: E402

EPOCH = Epoch(2, 10, 1.23456, 2.0, 1.34567, 24_690)


def test_an_epoch_is_a_line_with_rate_loss_validation_and_time_left():
    assert describe_epoch("network", EPOCH) == (
        "  network     epoch  2/10  loss 1.2346  validation 1.3457  12,345 events/s  "
        "2.0 s, 16 s left"
    )


def test_without_a_validation_part_none_is_shown():
    line = describe_epoch("memoryless", Epoch(1, 1, 0.5, 1.0))

    assert line == "  memoryless  epoch 1/1  loss 0.5000  1.0 s, 0 s left"


def test_without_a_terminal_there_are_lines_only(capsys):
    with watch("network") as watcher:
        watcher.resume(1)
        watcher.advance(Batch(0.5, 100, 1.5))
        watcher.finish_epoch(EPOCH)

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "  network     resuming after epoch 1",
        describe_epoch("network", EPOCH),
    ]


def test_a_terminal_shows_a_bar_and_keeps_the_epochs():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=110)

    with open_bar("[network]", console) as bar:
        bar.resume(1)
        bar.advance(Batch(0.25, 100, 1.5))
        bar.finish_epoch(EPOCH)

    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())
    assert "[network]" in shown
    assert " 25%" in shown
    assert "events/s" in shown
    assert "loss 1.5000 validation 1.3457" in shown
    assert "left" in shown
    assert describe_epoch("[network]", EPOCH).strip() in shown
    assert "resuming after epoch 1" in shown


STOP = (
    "  network     stopped after epoch 9: no lower validation loss since epoch 6; the "
    "weights of that epoch are taken"
)


def test_a_training_that_ends_early_says_why(capsys):
    with watch("network") as watcher:
        watcher.stop(Stopped(9, 6))

    assert capsys.readouterr().out.splitlines() == [STOP]


def test_a_bar_says_why_a_training_ends_early_and_is_full():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=200)

    with open_bar("network", console) as bar:
        bar.stop(Stopped(9, 6))

    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())
    assert STOP in shown
    assert "100%" in shown
