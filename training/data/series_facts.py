"""Facts of series for the manifest: rows, gaps, times, labelled windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.data.dataset import Array
from training.data.series_file import SeriesFile
from training.data.series_splits import Bounds
from training.data.series_windows import count_marked
from training.data.splits import show_time


def describe_series(
    file: SeriesFile, bounds: Sequence[Bounds], options: Any
) -> dict[str, Any]:
    """State the facts of the data for the manifest."""
    facts: dict[str, Any] = {
        "source": "series",
        "fingerprint": file.fingerprint,
        "rows": sum(bound.stop for bound in bounds),
        "held_out_rows": sum(bound.stop - bound.start for bound in bounds),
        "gaps": sum(one.gaps for one in file.series),
        **describe_times(file, bounds),
    }
    if len(bounds) > 1:
        facts["series"] = len(bounds)
    if options.missing == "previous":
        facts["filled_values"] = sum(one.filled_values for one in file.series)
        facts["filled_rows"] = sum(one.filled_rows for one in file.series)
        facts["dropped_rows"] = sum(one.dropped_rows for one in file.series)
    if options.origins > 1:
        facts["origin"] = f"{options.origin + 1} of {options.origins}"
    return facts


def describe_windows(
    marks: Sequence[Array | None], bounds: Sequence[Bounds], options: Any
) -> dict[str, int]:
    """Count labelled windows, where there are any."""
    if not options.windows:
        return {}
    tested = [
        None if m is None else m[: b.stop] for m, b in zip(marks, bounds, strict=True)
    ]
    return {
        "labelled_windows": count_marked(marks, [0] * len(marks)),
        "test_windows": count_marked(tested, [bound.start for bound in bounds]),
    }


def describe_times(file: SeriesFile, bounds: Sequence[Bounds]) -> dict[str, str]:
    """State when the data begin, are held out and end, over all series."""
    pairs = list(zip(file.series, bounds, strict=True))
    held_out = [one.clocks[b.start] for one, b in pairs if b.start < b.stop]
    return {
        "first_row_at": show_time(min(one.clocks[0] for one, _ in pairs)),
        "held_out_from": show_time(min(held_out)),
        "last_row_at": show_time(max(one.clocks[b.stop - 1] for one, b in pairs)),
    }
