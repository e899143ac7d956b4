"""Progress of a training: a bar on a terminal, otherwise a line per epoch."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from training.fit import Batch, Epoch, Stopped
from training.report import say


class Watcher(Protocol):
    """Observer that is called while a network trains."""

    def resume(self, epochs: int) -> None:
        """Note that a checkpoint spares epochs."""

    def advance(self, batch: Batch) -> None:
        """Note a finished batch."""

    def finish_epoch(self, epoch: Epoch) -> None:
        """Note a finished epoch."""

    def stop(self, stopped: Stopped) -> None:
        """Note a training that ended early."""


@contextmanager
def watch(network: str) -> Iterator[Watcher]:
    """Watch the training of a network of this name."""
    if not sys.stdout.isatty():
        yield Lines(network)
        return
    from rich.console import Console

    with open_bar(network, Console()) as bar:
        yield bar


def describe_epoch(network: str, epoch: Epoch) -> str:
    """Write an epoch as a line: loss, validation, rate and time left."""
    width = len(str(epoch.total))
    left = (epoch.total - epoch.number) * epoch.seconds
    words = [
        f"  {network:<10}",
        f"epoch {epoch.number:>{width}}/{epoch.total}",
        f"loss {epoch.loss:.4f}",
    ]
    if math.isfinite(epoch.validation):
        words.append(f"validation {epoch.validation:.4f}")
    if epoch.events and epoch.seconds:
        words.append(f"{epoch.events / epoch.seconds:,.0f} events/s")
    words.append(f"{epoch.seconds:.1f} s, {left:.0f} s left")
    return "  ".join(words)


def describe_stop(network: str, stopped: Stopped) -> str:
    """Write down why a training ended early, and which weights are taken."""
    return (
        f"  {network:<10}  stopped after epoch {stopped.epoch}: no lower validation "
        f"loss since epoch {stopped.best}; the weights of that epoch are taken"
    )


class Lines:
    """A line for every epoch, as a log has it."""

    def __init__(self, network: str) -> None:
        self._network = network

    def resume(self, epochs: int) -> None:
        """Print that a checkpoint spares epochs."""
        say(f"  {self._network:<10}  resuming after epoch {epochs}")

    def advance(self, batch: Batch) -> None:
        """Print nothing: a log would be full of batches."""

    def finish_epoch(self, epoch: Epoch) -> None:
        """Print an epoch."""
        say(describe_epoch(self._network, epoch))

    def stop(self, stopped: Stopped) -> None:
        """Print why a training ended early."""
        say(describe_stop(self._network, stopped))


class ProgressBar:
    """A bar with rate, loss, validation and time left, under the finished epochs."""

    def __init__(self, network: str, progress: Any) -> None:
        self._network, self._progress = network, progress
        fields = {"events": 0, "loss": "", "validation": ""}
        self._task = progress.add_task(network, total=1.0, **fields)
        self._events = 0

    def resume(self, epochs: int) -> None:
        """Print that a checkpoint spares epochs."""
        self._print(f"  {self._network:<10}  resuming after epoch {epochs}")

    def advance(self, batch: Batch) -> None:
        """Move the bar."""
        self._events += batch.events
        elapsed = self._progress.tasks[self._task].elapsed or math.inf
        self._progress.update(
            self._task,
            completed=batch.share,
            events=self._events / elapsed,
            loss=f"loss {batch.loss:.4f}",
        )

    def finish_epoch(self, epoch: Epoch) -> None:
        """Print an epoch above the bar."""
        if math.isfinite(epoch.validation):
            shown = f"validation {epoch.validation:.4f}"
            self._progress.update(self._task, validation=shown)
        self._print(describe_epoch(self._network, epoch))

    def stop(self, stopped: Stopped) -> None:
        """Print why the training ended early, and fill the bar."""
        self._progress.update(self._task, completed=1.0)
        self._print(describe_stop(self._network, stopped))

    def _print(self, line: str) -> None:
        """Print a line unchanged: nothing of it is markup."""
        self._progress.console.print(line, markup=False, highlight=False)


@contextmanager
def open_bar(network: str, console: Any) -> Iterator[ProgressBar]:
    """Show a bar on a console until the training is over."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("  {task.description:<10}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[events]:,.0f} events/s"),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[validation]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield ProgressBar(network, progress)
