"""Small networks with random weights, for tests that need no trained one."""

from __future__ import annotations

import numpy as np

VOCABULARY = ["open", "assign", "wait", "solve", "close"]
EVENTS = {"kind": "event", "vocabulary": VOCABULARY}
NEXT_EVENT = {"kind": "next_event", "name": "probabilities", "labels": VOCABULARY}
LABEL = {"kind": "label", "name": "probabilities", "labels": ["good", "bad"]}
SERIES = {
    "kind": "record",
    "fields": [
        {"name": "time", "type": "time"},
        {"name": "value", "type": "number", "mean": 15_000.0, "std": 7_000.0},
    ],
}
FORECAST = {"kind": "forecast", "name": "forecast", "field": "value", "horizon": 5}
QUANTILES = {**FORECAST, "horizon": 3, "quantiles": [0.1, 0.5, 0.9]}
TIMES = ["time_of_day", "day_of_week", "time_since_previous"]
SHOP = {
    "kind": "record",
    "fields": [
        {"name": "weather", "type": "category", "vocabulary": ["rain", "sun", "snow"]},
        {"name": "time", "type": "time", "features": TIMES},
        {"name": "value", "type": "number", "mean": 20.0, "std": 5.0},
        {"name": "door", "type": "category", "vocabulary": ["open", "shut"]},
        {"name": "guests", "type": "number", "mean": 3.0, "std": 2.0},
    ],
}


def build(inputs, outputs, *, units=(8,), seed=7, noise=0.5, **options):
    """Build a network with weights large enough for its memory to matter."""
    import keras

    from models.networks import build_network

    keras.utils.set_random_seed(seed)
    network = build_network(inputs, outputs, units=units, **options)
    rng = np.random.default_rng(seed)
    weights = network.get_weights()
    network.set_weights(
        [w + rng.normal(0, noise, w.shape).astype(w.dtype) for w in weights]
    )
    return network


def random_events(batch, timesteps, seed=0):
    """Draw event indices, int32 of shape (batch, timesteps)."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, len(VOCABULARY), (batch, timesteps)).astype("int32")


def half_hours(timesteps, seed=0):
    """Make a series, float32 of shape (1, timesteps, 3): day, second, value."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(timesteps) * 1800
    columns = [
        16_252 + seconds // 86_400,
        seconds % 86_400,
        rng.normal(15_000, 5_000, timesteps),
    ]
    return np.stack(columns, axis=-1)[None].astype("float32")


def shop_visits(batch, timesteps, seed=0):
    """Draw records of `SHOP`, float32 (batch, timesteps, 6), seconds to days apart."""
    rng = np.random.default_rng(seed)
    apart = np.exp(rng.uniform(0, 12, (batch, timesteps))).astype("int64")
    seconds = np.cumsum(apart, axis=1)
    columns = [
        rng.integers(0, 3, (batch, timesteps)),
        16_252 + seconds // 86_400,
        seconds % 86_400,
        rng.normal(20, 5, (batch, timesteps)),
        rng.integers(0, 2, (batch, timesteps)),
        rng.integers(0, 9, (batch, timesteps)),
    ]
    return np.stack(columns, axis=-1).astype("float32")
