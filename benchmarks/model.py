"""Writes the models that are measured: random weights, the repository's own export.

`python -m benchmarks.model` publishes what `.bench/artifacts` lacks: `lstm`, the
network of every figure, and two more, since a service seldom has one. Trained weights
would take as long to compute. Beside them `weights.npz` and `lstm.keras`, for peers.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".bench"
ARTIFACTS = HOME / "artifacts"
KERAS_FILE = HOME / "lstm.keras"
WEIGHTS_FILE = HOME / "weights.npz"

MANIFEST_FILE = Path("assets.extra") / "carryover" / "manifest.json"
NUM_LABELS = 16
UNITS = 128
EVENTS = [f"event-{k}" for k in range(NUM_LABELS)]
LABELS = [f"label-{k}" for k in range(NUM_LABELS)]
INPUTS = {"kind": "event", "vocabulary": EVENTS}
OUTPUTS = {"kind": "label", "name": "probabilities", "labels": LABELS}
# The same network, of events that are sent as integers, as Triton's model takes them.
NUMBERED = {"kind": "index", "size": NUM_LABELS}
NUMBERED_ARTIFACTS = HOME / "artifacts-numbered"
MODELS: Mapping[str, Mapping[str, Any]] = {
    "lstm": {"cell": "lstm", "units": (UNITS,)},
    "gru": {"cell": "gru", "units": (UNITS,)},
    "stack": {"cell": "lstm", "units": (64, 32)},
}
SEED = 7


def main() -> None:
    """Publish the models that are missing."""
    missing = [name for name in MODELS if not (ARTIFACTS / name / "1").exists()]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in missing:
        print(f"exporting {name} with random weights ...", flush=True)
        publish(name, **MODELS[name])
    copy_numbered()


def copy_numbered() -> None:
    """Publish the network once more, its events without names: programs take either."""
    version = Path("lstm") / "1"
    shutil.rmtree(NUMBERED_ARTIFACTS, ignore_errors=True)
    shutil.copytree(ARTIFACTS / version, NUMBERED_ARTIFACTS / version)
    file = NUMBERED_ARTIFACTS / version / MANIFEST_FILE
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps({**manifest, "input": NUMBERED}))


def publish(name: str, *, cell: str, units: tuple[int, ...]) -> None:
    """Build a network and publish it as version 1."""
    import keras
    import numpy as np

    from models.export import export_network, export_programs
    from models.networks import build_network
    from training.manifest import describe_network, write_manifest
    from training.native_log import silence_native_log
    from training.publish import publish_version

    keras.utils.set_random_seed(SEED)
    network = build_network(INPUTS, OUTPUTS, cell=cell, units=units)
    real = np.random.default_rng(SEED).integers(0, NUM_LABELS, (2, 8)).astype("int32")
    description: dict[str, Any] = {}

    def fill(version: Path) -> None:
        memory = export_network(network, INPUTS, OUTPUTS, version, real=real)
        with silence_native_log():
            programs = export_programs(network, INPUTS, OUTPUTS, version, real=real)
        if programs.note:
            raise RuntimeError(f"{name} has no compiled programs: {programs.note}")
        weights = network.get_weights()
        description.update(
            describe_network(
                INPUTS,
                OUTPUTS,
                cell=cell,
                units=units,
                threshold=0.9,
                memory=memory,
                weights=weights,
            ),
            **programs.describe(),
        )

    publish_version(
        ARTIFACTS / name,
        fill,
        lambda version, number: write_manifest(version, name, number, description),
    )
    if name == "lstm":
        network.save(KERAS_FILE)
        # kernel, recurrent kernel and bias in Keras's order, then the head's.
        np.savez(WEIGHTS_FILE, *network.get_weights())


if __name__ == "__main__":
    main()
