"""Labelled windows of series: which rows of which series they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.data.anomalies import Clock, choose_own, mark_windows, read_windows
from training.data.dataset import Array
from training.data.series_file import SeriesFile
from training.errors import ConfigError


def mark_series(
    path: Path, windows: str, file: SeriesFile, form: str, *, is_named: bool
) -> list[Array | None]:
    """Enumerate the rows of each series that are in labelled windows.

    Args:
        path: Of the series.
        windows: Path of the windows; empty without any.
        file: The series.
        form: Of times, as strptime has it; empty for ISO 8601.
        is_named: Whether a column names the series.

    Raises:
        DataError: The file of windows is damaged, or a window has no row.
    """
    if not windows:
        return [None] * len(file.series)
    read = read_windows(Path(windows), Clock(form, file.zoned, file.shift))
    if not is_named:
        read = choose_own(read, Path(windows), path)
    names = [one.name if is_named else "" for one in file.series]
    return [*mark_windows(read, names, [one.clocks for one in file.series], "series")]


def count_marked(marks: Sequence[Array | None], starts: Sequence[int]) -> int:
    """Count labelled windows with a row from a given one of each series on."""
    found = {
        int(number)
        for one, start in zip(marks, starts, strict=True)
        if one is not None
        for number in one[start:]
    }
    return len(found - {0})


def check_validation(windows: str, validation: float) -> None:
    """Refuse windows without a part to choose thresholds by.

    Raises:
        ConfigError: It has no such part.
    """
    if windows and not validation:
        raise ConfigError(
            f"data.windows is {windows!r} and data.validation 0; expected a validation "
            "part, which thresholds are chosen by. Set data.validation, such as 0.1."
        )
