"""Sections of a report on networks that choose among labels or next events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from training.data.dataset import Array, Examples, Sequences
from training.evaluate.guesses import MIN_PROBABILITY, NUM_BINS, Guesses, guess
from training.evaluate.metric import Predict
from training.figures import format_figure
from training.html_report.parts import (
    Bar,
    Cell,
    HtmlTable,
    Plot,
    Section,
    Text,
    write_share,
)
from training.html_report.plots import Line, draw_lines, draw_reliability

MAX_LABELS, MAX_PAIRS = 15, 12
MAX_SEQUENCES, MAX_EVENTS = 5, 30
# Of shorter ones the mean surprise is mostly chance.
MIN_EVENTS = 3
# Events known, from the first of each: finer than the table, still many of each.
POSITIONS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)


class Asked(NamedTuple):
    """Questions to a network on held-out data.

    Args:
        sequences: Where a weight is above 0 it was asked.
        predict: The network.
        others: The best baselines by name, the first to be compared with.
        write_event: Writes an encoded event as text.
        labels: Names of what comes.
        unknown: Position of the unknown event; None without one.
        what: What is asked for, in words: `next event`.
    """

    sequences: Sequences | Examples
    predict: Predict
    others: Mapping[str, Predict]
    write_event: Callable[[Any], str]
    labels: Sequence[str]
    unknown: int | None = None
    what: str = "next event"


class Compared(NamedTuple):
    """The network's guesses, and those of what it is compared with, by name."""

    network: Guesses
    others: Mapping[str, Guesses]


def illustrate(asked: Asked) -> list[Section]:
    """Show how sure, where right and where wrong a network is."""
    network, *others = (
        guess(asked.sequences, one, len(asked.labels))
        for one in (asked.predict, *asked.others.values())
    )
    compared = Compared(network, dict(zip(asked.others, others, strict=True)))
    return [
        Section(
            "How sure, and how right",
            [plot_reliability(asked, compared), plot_positions(compared)],
        ),
        Section(
            "Where it is right and wrong",
            [
                Text(say_extremes(asked, compared)),
                list_labels(asked, compared),
                list_confusions(asked, network),
            ],
        ),
        show_surprising(asked, network),
    ]


def plot_reliability(asked: Asked, compared: Compared) -> Plot:
    """Draw confidence beside what came true."""
    edges = np.linspace(0, 1, NUM_BINS + 1)
    named = {"network": compared.network, **compared.others}
    lines = [
        Line(name, *reliability(one, asked.unknown)) for name, one in named.items()
    ]
    counts = np.bincount(find_bins(compared.network), minlength=NUM_BINS)
    caption = (
        "Reliability: of the answers given a probability, the share that came true. "
        "Under the grey line the network is too sure, over it not sure enough. "
        "Below: how often it gives which probability."
    )
    return draw_reliability(lines[:3], counts / counts.sum(), edges, caption)


def find_bins(guesses: Guesses) -> Array:
    """Return the bin of confidence of each answer."""
    bins: Array = (guesses.confidence * NUM_BINS).astype(int)
    return bins.clip(max=NUM_BINS - 1)


def reliability(guesses: Guesses, unknown: int | None) -> tuple[Array, Array]:
    """Average confidence and what is right over each bin that has answers."""
    bins = find_bins(guesses)
    counts = np.bincount(bins, minlength=NUM_BINS)
    sums = [
        np.bincount(bins, numbers, minlength=NUM_BINS)
        for numbers in (guesses.confidence, guesses.is_right(unknown))
    ]
    there = counts > 0
    return sums[0][there] / counts[there], sums[1][there] / counts[there]


def plot_positions(compared: Compared) -> Plot:
    """Draw surprise by the number of events known."""
    named = {"network": compared.network, **compared.others}
    lines, ticks = [], []
    for name, one in list(named.items())[:3]:
        means = [
            (place, one.surprise[chosen].mean(), low)
            for place, (low, chosen) in enumerate(find_positions(one.place))
            if chosen.any()
        ]
        lines.append(Line(name, [m[0] for m in means], [m[1] for m in means]))
        ticks = [(float(m[0]), str(m[2])) for m in means]
    caption = (
        "Surprise by how many events of the sequence were known, in nats: lower is "
        "better. A network that uses its memory falls where the others stay."
    )
    labels = ("events known, from", "nats")
    return draw_lines(lines, labels, caption, ticks=ticks)


def find_positions(place: Array) -> Iterator[tuple[int, Array]]:
    """Yield each range of positions: its first, and which answers are in it."""
    for low, high in zip(POSITIONS, [*POSITIONS[1:], None], strict=True):
        yield low, (place >= low) & (place < (high or np.inf))


class LabelFigures(NamedTuple):
    """Figures of one label: how often it came, and what was expected then."""

    label: int
    came: int
    right: list[float]
    surprise: list[float]


def measure_labels(asked: Asked, compared: Compared) -> list[LabelFigures]:
    """Measure every label that came, the most frequent first."""
    named = [compared.network, *compared.others.values()]
    targets = compared.network.targets
    size = len(asked.labels)
    came = np.bincount(targets, minlength=size)
    sums = [
        [
            np.bincount(one.targets, numbers, minlength=size)
            for numbers in (one.is_right(asked.unknown), one.surprise)
        ]
        for one in named
    ]
    order = np.argsort(-came, kind="stable")
    return [
        LabelFigures(
            int(k),
            int(came[k]),
            [float(right[k] / came[k]) for right, _ in sums],
            [float(surprise[k] / came[k]) for _, surprise in sums],
        )
        for k in order
        if came[k]
    ]


def list_labels(asked: Asked, compared: Compared) -> HtmlTable:
    """List the most frequent labels: how often right, and how surprising."""
    names = ["network", *compared.others]
    rows = [
        [
            asked.labels[one.label],
            f"{one.came:,}",
            *map(write_share, one.right),
            *map(format_figure, one.surprise),
        ]
        for one in measure_labels(asked, compared)[:MAX_LABELS]
    ]
    headings = [
        *(asked.what, "came"),
        *(f"right, {name}" for name in names),
        *(f"nats, {name}" for name in names),
    ]
    return HtmlTable(f"By {asked.what}, the most frequent first", headings, rows)


def say_extremes(asked: Asked, compared: Compared) -> str:
    """Say where the network gains most over the best baseline, and loses most."""
    if not compared.others:
        return (
            f"Of each {asked.what}: how often it came, and how often it was expected."
        )
    best = next(iter(compared.others))
    gains = [
        ((one.surprise[1] - one.surprise[0]) * one.came, asked.labels[one.label])
        for one in measure_labels(asked, compared)
    ]
    total = len(compared.network.targets)
    (most, gained), (least, lost) = max(gains), min(gains)
    sentences = []
    if most > 0:
        sentences.append(
            f"Over {best} the network gains most where {gained!r} comes "
            f"({most / total:.4f} nats of the mean)"
        )
    if least < 0:
        sentences.append(
            f"it loses most where {lost!r} comes ({-least / total:.4f} nats)"
        )
    return "; ".join(sentences) + "."


def list_confusions(asked: Asked, network: Guesses) -> HtmlTable:
    """List which labels are taken for which others most often."""
    wrong = ~network.is_right(asked.unknown)
    size = len(asked.labels)
    pairs = network.targets[wrong].astype(np.int64) * size + network.best[wrong]
    keys, counts = np.unique(pairs, return_counts=True)
    came = np.bincount(network.targets, minlength=size)
    rows: list[list[Cell]] = []
    for k in np.argsort(-counts, kind="stable")[:MAX_PAIRS]:
        target, best = divmod(int(keys[k]), size)
        share = counts[k] / came[target]
        rows.append(
            [
                asked.labels[target],
                asked.labels[best],
                f"{counts[k]:,}",
                Bar(write_share(share), share),
            ]
        )
    headings = ["came", "expected instead", "times", "of those that came"]
    return HtmlTable("Confusions, the most frequent first", headings, rows, num_words=2)


def show_surprising(asked: Asked, network: Guesses) -> Section:
    """Show the held-out sequences that surprised the network most, event by event."""
    tables = [
        show_sequence(asked, row, number)
        for number, row in enumerate(choose_surprising(asked, network), start=1)
    ]
    text = (
        "The held-out sequences with the highest mean surprise, without repetitions. "
        "Each line is one answer: the event before it, what came, and what was "
        "expected. They are where to look for mistakes in the data, for rare ways of "
        "doing things, and for what the network cannot know."
    )
    return Section("The most surprising sequences", [Text(text), *tables])


def choose_surprising(asked: Asked, network: Guesses) -> list[int]:
    """Choose sequences by their mean surprise, equal ones once."""
    row = network.sequence
    counts = np.bincount(row)
    means = np.bincount(row, network.surprise) / np.maximum(counts, 1)
    least = MIN_EVENTS if (counts >= MIN_EVENTS).any() else 1
    means[counts < least] = -np.inf
    chosen: list[int] = []
    seen = set()
    for k in np.argsort(-means, kind="stable"):
        if len(chosen) == MAX_SEQUENCES or not np.isfinite(means[k]):
            break
        examples = asked.sequences.take(np.array([k]))
        if (content := examples.sequences.tobytes()) not in seen:
            seen.add(content)
            chosen.append(int(k))
    return chosen


def show_sequence(asked: Asked, row: int, number: int) -> HtmlTable:
    """Show the answers of one sequence, the most surprising stretch of a long one."""
    examples = asked.sequences.take(np.array([row]))
    probabilities = asked.predict(examples.sequences)[0]
    steps = np.flatnonzero(examples.weights[0] > 0)
    targets = examples.targets[0]
    # A label that training does not have is given nothing.
    padded = np.pad(probabilities, ((0, 0), (0, 1))).astype(np.float64)
    given = padded[np.arange(len(padded)), targets]
    surprise = -np.log(np.maximum(given[steps], MIN_PROBABILITY))
    first = find_stretch(surprise)
    shown = steps[first : first + MAX_EVENTS]
    rows: list[list[Cell]] = [
        [
            str(step + 1),
            asked.write_event(examples.sequences[0, step]),
            asked.labels[targets[step]],
            say_expected(asked, probabilities[step]),
            write_share(float(given[step])),
            Bar(f"{surprise[first + k]:.2f}", surprise[first + k] / 10),
        ]
        for k, step in enumerate(shown)
    ]
    caption = f"{number}. Mean surprise {surprise.mean():.2f} nats"
    if len(shown) < len(steps):
        caption += f"; {len(shown)} of {len(steps)} answers"
    headings = ["#", "after", "came", "expected", "given", "surprise, nats"]
    return HtmlTable(caption, headings, rows, num_words=4)


def find_stretch(surprise: Array) -> int:
    """Find where the most surprising stretch begins."""
    if len(surprise) <= MAX_EVENTS:
        return 0
    sums = np.convolve(surprise, np.ones(MAX_EVENTS), "valid")
    return int(sums.argmax())


def say_expected(asked: Asked, probabilities: Array) -> str:
    """Name the most probable labels."""
    order = np.argsort(-probabilities, kind="stable")[:2]
    return ", ".join(f"{asked.labels[k]} {probabilities[k]:.0%}" for k in order)
