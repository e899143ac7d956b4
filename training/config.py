"""The configuration of a training run: its sections, and how a file becomes one.

Precedence: `--set key=value` over the TOML file over the defaults here. Every key is
explained next to its value in `training/configs/*.toml`.
Does not know what a source does with its options: `training.sources` does.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from training.errors import ConfigError
from training.names import NAME, NAME_WORDS
from training.sections import (
    Origin,
    between,
    each,
    expect_table,
    inside,
    matching,
    one_of,
    read_section,
    refuse_unknown,
)
from training.sources import SOURCES
from training.training_section import TrainingConfig as TrainingConfig
from training.training_section import check_training
from training.verdict import CELLS


@dataclass(frozen=True)
class General:
    """The keys at the top of the file."""

    name: Annotated[str, matching(NAME, NAME_WORDS)]
    seed: Annotated[int, between(0, 2**32 - 1)] = 0


@dataclass(frozen=True)
class NetworkConfig:
    """The section `[network]`: arguments of `models.networks.build_network`."""

    cell: Annotated[str, one_of(*CELLS)]
    units: Annotated[tuple[int, ...], each(between(1, 4096))]
    embedding: Annotated[int | None, between(1, 4096)] = None
    dropout: Annotated[float, between(0, 0.95)] = 0.0
    layer_norm: bool = False


@dataclass(frozen=True)
class DecisionConfig:
    """The section `[decision]`: from a probability to a decision."""

    threshold: Annotated[float | None, inside(0, 1)] = None


@dataclass(frozen=True)
class CardConfig:
    """The section `[card]`: words of the report; no weight depends on them.

    Args:
        intended_use: What it is for, and for whom.
        limits: What it should not be used for.
        licence: Of the data.
    """

    intended_use: str = ""
    limits: str = ""
    licence: str = ""


@dataclass(frozen=True)
class CalibrationConfig:
    """The section `[calibration]`: corrections inside the graph of a network."""

    # How far the quantiles of a forecast move at an event, in widths; 0: not at all.
    intervals: Annotated[float, between(0, 1)] = 0.05
    # Whether logits are divided by one number, fitted on the validation part.
    temperature: bool = False


@dataclass(frozen=True)
class Config:
    """Everything a run depends on besides its data.

    Args:
        name: Name of the model, and of its folder of versions.
        seed: From which weights, generated data and the order of examples follow.
        data: The options of the data source.
        network: What is trained.
        training: How the weights are found.
        decision: When a probability becomes a decision.
        calibration: What is corrected of a trained network.
        card: What the report says of the model.
    """

    name: str
    seed: int
    data: Any
    network: NetworkConfig
    training: TrainingConfig
    decision: DecisionConfig
    calibration: CalibrationConfig
    card: CardConfig

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, defaults included, ready for JSON."""
        return dataclasses.asdict(self)


SECTIONS = {
    "network": NetworkConfig,
    "training": TrainingConfig,
    "decision": DecisionConfig,
    "calibration": CalibrationConfig,
    "card": CardConfig,
}
OPTIONAL = {"decision", "calibration", "card"}


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file and apply the command line's overrides.

    Args:
        path: A TOML file.
        overrides: `dotted.key=value`, the value written as in TOML; a bare word is
            taken as text.

    Returns:
        The configuration, every key checked.

    Raises:
        ConfigError: The file cannot be read, or a key is unknown, missing or wrong.
    """
    return check_config(read_toml(path), str(path), overrides)


def check_config(
    table: dict[str, Any], source: str, overrides: Sequence[str] = ()
) -> Config:
    """Check a configuration, and apply the command line's overrides to it.

    Args:
        table: What a TOML file has; changed by the overrides.
        source: Where it came from, for errors.
        overrides: As in `load_config`.

    Raises:
        ConfigError: A key is unknown, missing or wrong.
    """
    keys = [override_key(table, override) for override in overrides]
    origin = Origin(source, frozenset(keys))
    general = [field.name for field in dataclasses.fields(General)]
    # What `training.ranges` reads: of a search, not of a training.
    known = [*general, "data", *SECTIONS, "tune"]
    refuse_unknown(table, known, origin)
    top = read_section(General, {k: table[k] for k in general if k in table}, origin)
    return Config(
        name=top.name,
        seed=top.seed,
        data=read_data(table, origin),
        network=read_named(table, "network", origin),
        training=read_training(table, origin),
        decision=read_named(table, "decision", origin),
        calibration=read_named(table, "calibration", origin),
        card=read_named(table, "card", origin),
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        ConfigError: It is not there, not readable, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}). Give the path of a TOML file, "
            "such as --config training/configs/taxi.toml."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise ConfigError(
            f"{path} has brackets inside brackets too deep to read. Close them."
        ) from error


def override_key(table: dict[str, Any], override: str) -> str:
    """Write one `dotted.key=value` into the table, and return its key.

    Raises:
        ConfigError: There is no `=`, or the key leads through something not a section.
    """
    key, equals, text = override.partition("=")
    *sections, name = key.strip().split(".")
    if not equals or not all([*sections, name]):
        raise ConfigError(
            f"--set {override} is not key=value; write --set training.epochs=3."
        )
    for depth, section in enumerate(sections, start=1):
        origin = Origin("--set", prefix=".".join(sections[:depth]))
        table = expect_table(table.setdefault(section, {}), origin)
    table[name] = parse_value(text.strip())
    return key.strip()


def parse_value(text: str) -> Any:
    """Read a value as TOML has it; a shell strips quotes, so bare words are text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def read_named(table: dict[str, Any], name: str, origin: Origin) -> Any:
    """Read one of the fixed sections.

    Raises:
        ConfigError: The section is missing, or a key of it is wrong.
    """
    if name not in table and name not in OPTIONAL:
        raise ConfigError(f"{origin.file}: the section [{name}] is missing; add it.")
    return read_section(SECTIONS[name], table.get(name, {}), origin.section(name))


def read_training(table: dict[str, Any], origin: Origin) -> TrainingConfig:
    """Read how to train, its keys checked together as well."""
    training: TrainingConfig = read_named(table, "training", origin)
    if training.clip_global_norm and "clip_norm" not in table["training"]:
        # Its default is for trainings that bound nothing else.
        training = dataclasses.replace(training, clip_norm=0.0)
    check_training(training, origin.section("training"))
    return training


def read_data(table: dict[str, Any], origin: Origin) -> Any:
    """Read the options of the source that `data.source` names.

    Raises:
        ConfigError: The source is unknown, or a key of it is wrong.
    """
    origin = origin.section("data")
    options = expect_table(table.get("data", {}), origin)
    name = options.get("source")
    if not isinstance(name, str) or name not in SOURCES:
        came = "missing" if name is None else repr(name)
        raise ConfigError(
            f"{origin.source('data.source')}: data.source is {came}; expected one of "
            f"{', '.join(SOURCES)}."
        )
    return read_section(SOURCES[name].options, options, origin)
