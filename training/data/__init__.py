"""The data sources by name: what each one's options are and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from training.data.dataset import Dataset
from training.data.nature import NatureOptions, load_nature
from training.data.roommate import RoommateOptions, load_roommate
from training.data.series import SeriesOptions, load_series


class Source(NamedTuple):
    """A data source: the dataclass of its `[data]` keys, and its loader."""

    options: type
    load: Callable[[Any, int], Dataset]  # (options, seed)


SOURCES: Mapping[str, Source] = {
    "series": Source(SeriesOptions, load_series),
    "nature": Source(NatureOptions, load_nature),
    "roommate": Source(RoommateOptions, load_roommate),
}
