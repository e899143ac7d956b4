"""Files of data sets, as `training` reads them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

Prepare = Callable[[Path, Path], None]


def copy(file: str, name: str) -> Prepare:
    """Make a preparation that copies one file."""

    def prepare(data: Path, work: Path) -> None:
        (work / name).write_bytes((data / file).read_bytes())

    return prepare


class LabelledSeries(NamedTuple):
    """A case of a file in the format .ts of the archives of time series.

    Args:
        channels: A list of values each.
        label: Its class.
    """

    channels: Sequence[Sequence[str]]
    label: str


def read_ts(path: Path) -> Iterator[LabelledSeries]:
    """Read a file of the format .ts: a case a line, `channel:channel:label`."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and line[0] not in "#@":
            *channels, label = line.strip().split(":")
            yield LabelledSeries([one.split(",") for one in channels], label)


def write_labelled(folder: str, name: str) -> Prepare:
    """Make a preparation that writes training and test cases to one table.

    Training cases are shuffled, as the last of them are the validation part and the
    archives order them by class.
    """

    def prepare(data: Path, work: Path) -> None:
        train = list(read_ts(data / folder / f"{name}_TRAIN.ts"))
        order = np.random.default_rng(0).permutation(len(train))
        cases = [train[k] for k in order]
        cases += read_ts(data / folder / f"{name}_TEST.ts")
        width = len(cases[0].channels)
        with (work / "series.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            names = [f"c{k}" for k in range(1, width + 1)]
            writer.writerow(["series", "event", *names, "label"])
            for number, case in enumerate(cases):
                for values in zip(*case.channels, strict=True):
                    writer.writerow([number, "row", *values, case.label])

    return prepare


def write_taxi_year(data: Path, work: Path) -> None:
    """Leave out the second and third line, which describe the columns."""
    path = data / "nyc_taxi" / "nyc_taxi_17520.csv"
    head, _, _, *rows = path.read_text(encoding="utf-8").splitlines()
    (work / "year.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8")
