"""Options that several commands take."""

from __future__ import annotations

import argparse


def add_overrides(command: argparse.ArgumentParser) -> None:
    """Add `--set`, which overrides keys of the configuration."""
    command.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="override a key of the configuration, such as training.epochs=3",
    )
