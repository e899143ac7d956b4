"""Compare versions; publish a new one only where it beats the one that is served."""

from __future__ import annotations

from pathlib import Path

from training.compare import Side, compare
from training.config import Config
from training.data.dataset import Dataset
from training.errors import NotBetter
from training.html_report.report import Measured
from training.pipeline import check_worth, train_and_publish
from training.report import print_table, say
from training.saved import open_side
from training.sources import SOURCES
from training.versions import Version


def compare_versions(newer: Version, older: Version, config: Config) -> None:
    """Print two versions side by side, on the newer one's held-out data."""
    source = SOURCES[config.data.source]
    dataset = source.load(config.data, config.seed)
    if has_changed(newer, dataset):
        say(f"The data have changed since {newer.title} was trained: measured on them.")
    compared = compare(
        open_side(newer), open_side(older), dataset.held_out, source.evaluate
    )
    say(compared.sentence)
    print_table(compared.metrics, newer.title)


def has_changed(version: Version, dataset: Dataset) -> bool:
    """Return whether the data are others than those a version was trained on."""
    known = version.manifest["training"].get("data", {}).get("fingerprint")
    return bool(known != dataset.facts.get("fingerprint"))


def retrain_served(
    served: Version, config: Config, artifacts: Path, runs: Path, *, force: bool
) -> Path:
    """Train on the data as they are now; publish what beats the served version.

    Returns:
        The new version's folder.

    Raises:
        NotBetter: Nothing was published; the served version stays.
    """

    def accept(measured: Measured) -> None:
        check_worth(measured.verdict, force=force)
        dataset, evaluate = measured.dataset, SOURCES[config.data.source].evaluate
        new = Side(
            f"the new {config.name}", dataset.inputs, dataset.outputs, measured.predict
        )
        compared = compare(new, open_side(served), dataset.held_out, evaluate)
        say(f"{compared.sentence}\n")
        if not compared.is_better:
            raise NotBetter(
                f"nothing was published: {compared.sentence}. The served version stays."
            )

    return train_and_publish(
        config, artifacts=artifacts, runs=runs, accept=accept
    ).version
