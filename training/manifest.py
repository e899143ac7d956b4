"""The manifest: what a version is, how it came about, and a hash of every file.

`assets.extra/carryover/manifest.json`, strict JSON with keys in a fixed order. Does not
know how the version was trained, only how to write it down.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.config import Config
from training.data.dataset import Array, Dataset, fingerprint_arrays
from training.evaluate.metric import Metric
from training.examples import write_examples
from training.publish import publish_version
from training.run import package_versions
from training.seeds import Spread
from training.verdict import Verdict
from training.versions import MANIFEST

FORMAT = 1
EVALUATION = MANIFEST.with_name("evaluation.md")
METRICS = MANIFEST.with_name("metrics.json")
REPORT = MANIFEST.with_name("report.html")


def describe_version(
    config: Config,
    dataset: Dataset,
    metrics: Sequence[Metric],
    *,
    memory: Mapping[str, Sequence[int]],
    weights: Sequence[Array],
    programs: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe everything of a version but its number, time and files.

    Args:
        config: The resolved configuration.
        dataset: The data's schemas and facts.
        metrics: What was measured.
        memory: Size of each memory tensor, in layer order.
        weights: The network's weights, in layer order.
        programs: `programs`, each with `file` (relative to the version), `signature`,
            `batch`, `timesteps`, `sha256` and `bytes`; `programs_note`, why there are
            none; `program_variants`, the same as programs, quantized.

    Returns:
        The manifest so far. `memory_layout` is the fingerprint of `memory`, `network`
        that of weights, memory layout and both schemas: memory made by one network is
        never handed to another.
    """
    return {
        **describe_network(
            dataset.inputs,
            dataset.outputs,
            cell=config.network.cell,
            units=config.network.units,
            threshold=config.decision.threshold,
            memory=memory,
            weights=weights,
        ),
        **programs,
        "training": describe_training(config, dataset),
        "metrics": [dataclasses.asdict(metric) for metric in metrics],
        "examples": write_examples(dataset.inputs, dataset.real),
        "packages": package_versions(),
    }


def describe_network(
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    *,
    cell: str,
    units: Sequence[int],
    threshold: float | None,
    memory: Mapping[str, Sequence[int]],
    weights: Sequence[Array],
    architecture: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe what a network takes, remembers and answers.

    Args:
        inputs: Input schema.
        outputs: Output schema.
        cell: Name of its cells.
        units: Size of each recurrent layer.
        threshold: Probability from which a label counts as decided, if any.
        memory: Size of each memory tensor, in layer order.
        weights: In layer order.
        architecture: Hashed into `network` where schemas and weights alone do not say
            one network from another.
    """
    inputs, outputs = dict(inputs), dict(outputs)
    layout, hashed = fingerprint_json(memory), fingerprint_arrays(*weights)
    return {
        "task": outputs["kind"],
        "cell": cell,
        "units": list(units),
        "input": inputs,
        "output": outputs,
        "threshold": threshold,
        "memory": {name: list(shape) for name, shape in memory.items()},
        "memory_layout": layout,
        "network": fingerprint_json([hashed, layout, inputs, outputs, *architecture]),
    }


def describe_training(config: Config, dataset: Dataset) -> dict[str, Any]:
    """Describe all that is needed to train the same weights again."""
    facts = dict(dataset.facts)
    return {"config": config.resolved(), "seed": config.seed, "data": facts}


def publish_described(
    artifacts: Path, name: str, export: Callable[[Path], Mapping[str, Any]]
) -> Path:
    """Export a model, describe it and publish it as a new version.

    Args:
        artifacts: Folder of models.
        name: The model's name.
        export: Writes all of a version but its manifest to a path that does not exist
            yet, and returns what that is to say.

    Returns:
        The path of the version.
    """
    description: dict[str, Any] = {}

    def fill(version: Path) -> None:
        description.update(export(version))

    def seal(version: Path, number: int) -> None:
        write_manifest(version, name, number, description)

    return publish_version(artifacts / name, fill, seal)


def write_manifest(
    version: Path, name: str, number: int, description: Mapping[str, Any]
) -> None:
    """Write the manifest into a version that is otherwise complete.

    Args:
        version: The version's folder.
        name: The model's name.
        number: The version's number.
        description: From `describe_version`.
    """
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": number,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **description,
        "files": hash_files(version),
    }
    path = version / MANIFEST
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n")


def write_evaluation(
    version: Path,
    report: str,
    verdict: Verdict,
    metrics: Sequence[Metric],
    spread: Sequence[Spread] = (),
) -> None:
    """Write the evaluation where the manifest will be: for people, and as numbers."""
    path = version / EVALUATION
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report)
    content: dict[str, Any] = {
        "verdict": verdict.sentence,
        "is_worth_it": verdict.is_worth_it,
        "metrics": [dataclasses.asdict(metric) for metric in metrics],
    }
    if spread:
        content["by_seed"] = {one.name: one.values for one in spread}
    text = json.dumps(content, indent=2, allow_nan=False)
    (version / METRICS).write_text(text + "\n")


def hash_files(version: Path) -> dict[str, str]:
    """Hash every file of a version but the manifest itself, by its relative path."""
    files = sorted(path.relative_to(version) for path in version.rglob("*"))
    return {
        path.as_posix(): hashlib.sha256((version / path).read_bytes()).hexdigest()
        for path in files
        if (version / path).is_file() and path != MANIFEST
    }


def fingerprint_json(content: object) -> str:
    """Hash a value as compact JSON, keys in the order given."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
