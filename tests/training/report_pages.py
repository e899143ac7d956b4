"""Reports of the bundled configurations on little data, without a network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from training.config import load_config
from training.html_report.report import Measured, write_report
from training.sources import SOURCES
from training.verdict import Verdict

ROOT = Path(__file__).parents[2]


def always(*shares):
    """Predict the same at every event."""

    def predict(sequences):
        return np.broadcast_to(np.array(shares), (*sequences.shape[:2], len(shares)))

    return predict


def small_config(name):
    """The bundled configuration of a source, with as little data as it takes."""
    few = {
        "nature": ["data.held_out=40"],
        "roommate": ["data.held_out=40", "data.sequences=40", "data.held_out_days=20"],
        "visits": ["data.first_cases=300"],
    }
    config = load_config(
        ROOT / "training" / "configs" / f"{name}.toml", few.get(name, [])
    )
    if file := getattr(config.data, "file", None):  # relative to where it is run
        data = dataclasses.replace(config.data, file=str(ROOT / file))
        return dataclasses.replace(config, data=data)
    return config


def load_small(name):
    """Load the data of such a configuration."""
    config = small_config(name)
    return SOURCES[config.data.source].load(config.data, config.seed)


def guess_anything(dataset):
    """Predict something of the right shape and of the right size, without a network."""
    outputs = dataset.outputs
    if outputs["kind"] != "forecast":
        size = len(outputs["labels"])
        shares = np.arange(size, 0, -1) / (size * (size + 1) / 2)
        return always(*shares)
    return lambda sequences: np.repeat(sequences[..., 2:3], outputs["horizon"], axis=-1)


def write_page(name):
    """Write the report of a bundled configuration, as if it were trained."""
    config = small_config(name)
    dataset = load_small(name)
    predict = guess_anything(dataset)
    others = {name: predict for name in dataset.baselines}
    metrics = SOURCES[config.data.source].evaluate(dataset.held_out, predict, others)
    curves = {"network": [2.0, 1.0, 0.5]}
    verdict = Verdict("LSTM 1.2 nats per event, 3-gram 1.3: worth it", True)
    return write_report(
        Measured(config, dataset, predict, others, metrics, verdict, curves)
    )
