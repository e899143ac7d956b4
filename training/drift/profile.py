"""The profile of a version: statistics of its held-out events, for comparison.

`assets.extra/carryover/profile.json`, written when the version is published. It has
counts and points of distributions, no event of anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.schemas import list_fields
from training.drift.sample import Sample, SampledSeries
from training.drift.statistics import find_below, find_error
from training.errors import ConfigError
from training.versions import MANIFEST, Version

PROFILE = MANIFEST.with_name("profile.json")
FORMAT = 1
# The most frequent names have a bin each; the index of many small bins is noise.
NUM_NAMES = 20
OTHER = "[other]"
NUM_POINTS = 100


def write_profile(version: Path, inputs: Mapping[str, Any], sample: Sample) -> None:
    """Write the profile of a version's held-out part."""
    path = version / PROFILE
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(describe(inputs, sample), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def describe(inputs: Mapping[str, Any], sample: Sample) -> dict[str, Any]:
    """Describe a sample."""
    fields = {field["name"]: field for field in list_fields(inputs)}
    return {
        "format": FORMAT,
        "sessions": sample.num_sessions,
        "events": sample.num_events,
        "names": {
            name: describe_names(fields[name], series)
            for name, series in sample.names.items()
        },
        "numbers": {
            name: describe_numbers(series)
            for name, series in sample.numbers.items()
            if len(series.values)
        },
        **{
            name: {"mean": float(series.values.mean()), "error": bound_error(series)}
            for name, series in (("surprise", sample.surprise), ("gap", sample.gap))
            if series is not None
        },
    }


def describe_names(field: Mapping[str, Any], series: SampledSeries) -> dict[str, Any]:
    """Weigh the most frequent names, the unknown one, and all others together."""
    vocabulary = field["vocabulary"]
    counts = np.bincount(series.values, series.weights, len(vocabulary))
    order = np.argsort(-counts, kind="stable")[:NUM_NAMES]
    bins = [vocabulary[k] for k in order]
    unknown = field.get("unknown")
    if unknown is not None and unknown not in bins:
        bins.append(unknown)
    kept = [float(counts[vocabulary.index(name)]) for name in bins]
    rest = max(0.0, float(counts.sum()) - sum(kept))
    return {"bins": [*bins, OTHER], "weights": [*kept, rest]}


def describe_numbers(series: SampledSeries) -> dict[str, Any]:
    """Choose points of a distribution, with the share at or below each."""
    shares = np.linspace(0, 1, NUM_POINTS + 1)
    points = np.unique(np.quantile(series.values, shares))
    return {"points": points.tolist(), "below": find_below(series, points).tolist()}


def bound_error(series: SampledSeries) -> float | None:
    """Return a standard error; None where it is not known."""
    error = find_error(series)
    return error if np.isfinite(error) else None


def read_profile(version: Version) -> dict[str, Any]:
    """Read the profile of a version.

    Raises:
        ConfigError: It has none, or it cannot be read.
    """
    path = version.path / PROFILE
    try:
        profile = json.loads(path.read_text(encoding="utf-8"))
        if profile["format"] != FORMAT:
            raise ValueError(f"its format is {profile['format']}")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{version.title} has no {PROFILE.name}: an earlier release published it. "
            "Train it once more with `python -m training fit` or `retrain`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}). Restore it.") from error
    return dict(profile)
