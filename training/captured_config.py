"""The configuration of a version, changed to read captured events."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from training.config import Config
from training.data.captured import SESSION, TIME
from training.data.event_options import EventOptions
from training.data.tables import open_table
from training.errors import ConfigError


def replace_data(config: Config, path: Path) -> Config:
    """Return a configuration that trains on captured events, or on a file of others.

    Args:
        config: Of a version.
        path: The folder or file; without the columns of captured events it has those
            of the version's own data.

    Raises:
        ConfigError: The version was not trained on events.
    """
    data = config.data
    if not isinstance(data, EventOptions):
        raise ConfigError(
            f"data.source of {config.name} is {data.source!r}; expected 'events'. "
            "Retrain a model of another source on its own data."
        )
    with open_table(path) as table:
        columns = table.columns
    changes: dict[str, Any] = {"file": str(path)}
    if SESSION in columns:
        changes["case"] = SESSION
        # An event has its own time where the network is shown it.
        if data.time and data.time not in columns:
            changes |= {"time": TIME, "time_format": ""}
    return dataclasses.replace(config, data=dataclasses.replace(data, **changes))
