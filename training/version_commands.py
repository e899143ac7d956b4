"""`python -m training compare`, `promote`, `drift`, `retrain`: after a first version.

TensorFlow is imported once it is needed, so that mistakes show at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.captured_config import replace_data
from training.config import Config, check_config, load_config
from training.errors import ConfigError, Drifted
from training.names import check_name
from training.native_log import silence_native_log
from training.options import add_overrides
from training.publish import VERSION
from training.versions import (
    Version,
    find_served,
    find_versions,
    promote,
    read_version,
)

if TYPE_CHECKING:
    from training.drift.checks import Drift

ARTIFACTS = Path("artifacts")


def add_compare(commands: Any) -> None:
    """Describe `python -m training compare`."""
    compare = commands.add_parser(
        "compare", help="measure two versions on the newer one's held-out data"
    )
    compare.set_defaults(run=run_compare)
    for name in ("first", "second"):
        compare.add_argument(name, help="a version, such as visits/2, or its folder")
    compare.add_argument("--artifacts", type=Path, default=ARTIFACTS)


def add_promote(commands: Any) -> None:
    """Describe `python -m training promote`."""
    command = commands.add_parser(
        "promote", help="let a label stand for a version, at once"
    )
    command.set_defaults(run=run_promote)
    command.add_argument("name", help="the model")
    command.add_argument("version", help="number of the version")
    command.add_argument("--label", required=True, help="such as stable")
    command.add_argument("--artifacts", type=Path, default=ARTIFACTS)


def add_retrain(commands: Any) -> None:
    """Describe `python -m training retrain`."""
    command = commands.add_parser(
        "retrain",
        help="train on the data as they are now; publish what beats the served version",
    )
    command.set_defaults(run=run_retrain)
    command.add_argument("name", help="the model")
    command.add_argument(
        "--label",
        help="the served version is the one with this label; a better one gets it",
    )
    command.add_argument(
        "--config", type=Path, help="instead of the served version's configuration"
    )
    add_overrides(command)
    command.add_argument("--artifacts", type=Path, default=ARTIFACTS)
    command.add_argument("--runs", type=Path, default=Path("runs"))
    command.add_argument(
        "--force",
        action="store_true",
        help="publish what beats the served version but not its best baseline as well",
    )

    add_captured(command, "--captured", default=None)
    command.add_argument(
        "--if-drifted",
        action="store_true",
        help="with --captured: do nothing unless they have drifted",
    )


def add_drift(commands: Any) -> None:
    """Describe `python -m training drift`."""
    command = commands.add_parser(
        "drift", help="compare captured events with those that a version learnt"
    )
    command.set_defaults(run=run_drift)
    command.add_argument("name", help="the model")
    add_captured(command, "captured")
    command.add_argument("--label", help="the version with this label, not the newest")
    command.add_argument("--artifacts", type=Path, default=ARTIFACTS)
    command.add_argument("--runs", type=Path, default=Path("runs"))


def add_captured(command: Any, name: str, **more: Any) -> None:
    """Describe where captured events are, and the page about them."""
    command.add_argument(
        name,
        type=Path,
        help="a model's folder of captured events, or a file of newer events",
        **more,
    )
    command.add_argument(
        "--page", type=Path, help="the page of drift; RUNS/NAME/drift.html otherwise"
    )


def run_drift(options: argparse.Namespace) -> None:
    """Compare captured events with those of the served version.

    Raises:
        Drifted: They have drifted.
    """
    check_name(options.name)
    served = find_served(options.artifacts / options.name, options.label)
    config = read_trained_config(served)
    drift = measure(served, config, options)
    if drift.drifted:
        raise Drifted(f"{served.title} has drifted")


def measure(version: Version, config: Config, options: argparse.Namespace) -> Drift:
    """Measure drift as the command line asks for it."""
    with silence_native_log():
        from training.drift.measure import measure_drift
    page = options.page or options.runs / options.name / "drift.html"
    return measure_drift(version, config, options.captured, page)


def run_promote(options: argparse.Namespace) -> None:
    """Move a label."""
    check_name(options.name)
    folder = options.artifacts / options.name
    number = parse_number(folder, options.version)
    before = promote(folder, number, options.label)
    was = "new" if before is None else f"was {before}"
    print(f"{options.name}: {options.label} is version {number} ({was})")


def parse_number(folder: Path, text: str) -> int:
    """Read the number of a version.

    Raises:
        ConfigError: It is not the number of one.
    """
    if not VERSION.fullmatch(text):
        known = ", ".join(map(str, find_versions(folder)))
        raise ConfigError(
            f"VERSION is {text[:80]!r}; expected the number of a version of "
            f"{folder.name}: {known}. Name one of them."
        )
    return int(text)


def run_compare(options: argparse.Namespace) -> None:
    """Compare two versions."""
    versions = [
        find_version(name, options.artifacts)
        for name in (options.first, options.second)
    ]
    older, newer = sorted(versions, key=age)
    config = read_trained_config(newer)
    with silence_native_log():
        from training.retraining import compare_versions
    compare_versions(newer, older, config)


def find_version(name: str, artifacts: Path) -> Version:
    """Find a version by its name or its folder."""
    return read_version(Path(name) if Path(name).is_dir() else artifacts / name)


def age(version: Version) -> tuple[str, int]:
    """Order versions from older to newer."""
    manifest = version.manifest
    return str(manifest.get("created_at", "")), int(manifest["version"])


def read_trained_config(version: Version, overrides: list[str] | None = None) -> Config:
    """Read the configuration that a version was trained with.

    Raises:
        ConfigError: It was not trained here, or by a release with other keys.
    """
    config = version.manifest.get("training", {}).get("config")
    if not config:
        raise ConfigError(
            f"{version.title} was not trained by `python -m training fit`: its "
            "manifest has no configuration. Compare and retrain versions that were."
        )
    return check_config(drop_missing(config), version.title, overrides or [])


def drop_missing(table: dict[str, Any]) -> dict[str, Any]:
    """Leave out keys without a value, which TOML and a configuration do not have."""
    return {
        key: drop_missing(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def run_retrain(options: argparse.Namespace) -> None:
    """Train again, and publish what beats the served version.

    Raises:
        ConfigError: There is no version to beat, or options contradict each other.
    """
    check_name(options.name)
    folder = options.artifacts / options.name
    served = find_served(folder, options.label)
    if options.config:
        config = load_config(options.config, options.overrides)
    else:
        config = read_trained_config(served, options.overrides)
    if config.name != options.name:
        raise ConfigError(
            f"the configuration's name is {config.name!r}; expected {options.name!r}, "
            "the model that is retrained. Correct it."
        )
    if options.if_drifted and not options.captured:
        raise ConfigError(
            "--captured is missing; expected the captured events that --if-drifted is "
            "about. Name their folder."
        )
    if options.captured:
        if options.if_drifted:
            trained = read_trained_config(served)
            if not measure(served, trained, options).drifted:
                print("nothing to do.")
                return
        config = replace_data(config, options.captured)
    with silence_native_log():
        from training.retraining import retrain_served
    version = retrain_served(
        served, config, options.artifacts, options.runs, force=options.force
    )
    if options.label:
        promote(folder, int(version.name), options.label)
        print(f"label    {options.label} is version {version.name}")
