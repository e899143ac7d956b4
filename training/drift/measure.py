"""Measure drift of captured events from those that a version was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from training.atomic import write_atomically
from training.captured_config import replace_data
from training.config import Config
from training.data.event_options import EventOptions
from training.drift.captured_sample import read_sample
from training.drift.checks import Drift, check_drift
from training.drift.page import conclude, print_checks, write_page
from training.drift.profile import read_profile
from training.report import say
from training.saved import open_side
from training.versions import Version


def measure_drift(
    version: Version, config: Config, captured: Path, page: Path
) -> Drift:
    """Compare captured events with those that a version was trained on.

    The table is printed, and the page written.

    Args:
        version: The version.
        config: What it was trained with.
        captured: Folder of captured files, or a file.
        page: Where the page goes.

    Returns:
        The checks and the sample.

    Raises:
        TrainingError: The profile or the captured events cannot be used.
    """
    profile = read_profile(version)
    changed = replace_data(config, captured)
    data = cast("EventOptions", changed.data)
    sample = read_sample(data, open_side(version))
    drift = check_drift(version.manifest["input"], profile, sample)
    if drift.checks:
        print_checks(drift)
    page.parent.mkdir(parents=True, exist_ok=True)
    content = write_page(version.title, drift)
    write_atomically(page, lambda file: file.write(content))
    say(f"\n{conclude(version.title, drift)}\npage     {page}")
    return drift
