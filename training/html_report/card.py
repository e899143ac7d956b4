"""Sections of a report besides figures: data, use, limits, the command to repeat it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from training.config import Config
from training.html_report.parts import Code, HtmlTable, Section, Text
from training.run import package_versions
from training.toml import write_toml
from training.verdict import Verdict

USES = {
    "next_event": "After every event of a case: which event comes next. For cases like "
    "those of the training part.",
    "forecast": "After every row of the series: the values that follow. For the series "
    "trained on, or one of the same kind and scale.",
    "label": "After every event of a sequence: which label it has. For sequences like "
    "those trained on.",
}
ANY_USE = "For sequences like those trained on."
NO_LICENCE = (
    "Not stated. Write it as card.licence into the configuration, and ask before you "
    "publish a model of data that is not yours."
)
LIMITS = (
    "The figures are of one split of the data and one seed; another period may be "
    "different. Train again when the data have changed.",
    "Probabilities are estimates. Where somebody is affected by a decision, a person "
    "should be able to review it.",
)


def describe_data(facts: Mapping[str, Any], config: Config) -> Section:
    """List the facts of the data, with where the parts begin."""
    named = {"file": getattr(config.data, "file", "generated from the seed")}
    shown = {**named, **facts}
    rows = [[key.replace("_", " "), write_fact(shown[key])] for key in shown]
    table = HtmlTable("Facts of the data", ["fact", "value"], rows, num_words=2)
    return Section("Data", [table])


def write_fact(fact: Any) -> str:
    """Write a fact, a number with its thousands."""
    return f"{fact:,}" if isinstance(fact, int) else str(fact)


def describe_use(
    config: Config,
    outputs: Mapping[str, Any],
    curves: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> Section:
    """Say what the model is for, where its limits are, and the licence of its data."""
    card = config.card
    limits = [card.limits] if card.limits else []
    rows = [
        ["intended use", card.intended_use or USES.get(outputs["kind"], ANY_USE)],
        ["limits", " ".join([*limits, *find_limits(outputs), *LIMITS])],
        ["licence of the data", card.licence or NO_LICENCE],
        ["network", describe_network(config, curves)],
    ]
    table = HtmlTable("Model card", ["about", "what to know"], rows, num_words=2)
    return Section("Model card", [table])


def find_limits(outputs: Mapping[str, Any]) -> Iterator[str]:
    """Say what the kind of output cannot do."""
    if outputs["kind"] == "next_event":
        yield "It knows the order of the events that it is sent, and nothing else."
    if outputs["kind"] == "forecast":
        yield "A forecast assumes that what drives the series stays as it was."


def describe_network(config: Config, curves: Mapping[str, Sequence[float]]) -> str:
    """Describe the network, and how it was trained, in words."""
    network, units = config.network, " and ".join(map(str, config.network.units))
    words = [f"{network.cell} of {units} units"]
    if network.embedding:
        words.append(f"embedding of {network.embedding}")
    if network.dropout:
        words.append(f"dropout {network.dropout:g}")
    training = config.training
    words.append(
        f"{training.epochs} epochs in batches of {training.batch_size}, learning rate "
        f"{training.learning_rate:g} ({training.schedule}), seed {config.seed}"
    )
    validation = curves.get("network, validation")
    if training.patience and validation:
        words.append(
            f"trained for {len(validation)} of them, the weights of epoch "
            f"{int(np.nanargmin(validation)) + 1} taken"
        )
    return ", ".join(words)


def describe_repeat(config: Config, verdict: Verdict) -> Section:
    """Show the command that trains the same weights again."""
    force = "" if verdict.is_worth_it else " --force"
    file = f"{config.name}.toml"
    packages = package_versions()
    versions = ", ".join(f"{name} {packages[name]}" for name in packages)
    return Section(
        "Repeat it",
        [
            Text(f"Save the configuration below as {file}. The same data and packages "
                 f"({versions}) give the same weights."),
            Code(f"python -m training fit --config {file}{force}"),
            Code(write_toml(config.resolved()), "The configuration, every key"),
        ],
    )  # fmt: skip
