"""Quantiles that correct themselves: against NumPy, across calls, and on a shift."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from models.heads import find_field  # noqa: E402
from models.intervals import (  # noqa: E402
    MIN_WIDTH,
    RAMP,
    AdaptiveIntervals,
    adapt_intervals,
    count_pending,
)
from models.networks import build_network  # noqa: E402
from models.streaming import stream_network  # noqa: E402

LEVELS = [0.1, 0.5, 0.9]
INPUTS = {
    "kind": "record",
    "fields": [{"name": "value", "type": "number", "mean": 10.0, "std": 4.0}],
}
OUTPUTS = {
    "kind": "forecast",
    "name": "forecast",
    "field": "value",
    "horizon": 3,
    "quantiles": LEVELS,
}
STEP = 0.05
# Float32 rounding of numbers around 10, added up over some hundred events.
TOLERANCE = 1e-4


def correct(values, forecasts, levels, step):
    """Correct quantiles in float64, an event at a time: (events, horizon, levels)."""
    horizon = forecasts.shape[1]
    offsets = np.zeros(forecasts.shape[1:])
    made = np.zeros_like(forecasts)
    for now, value in enumerate(values):
        for ahead in range(min(now, horizon)):
            past = made[now - ahead - 1, ahead]
            width = max(past[-1] - past[0], MIN_WIDTH) if len(levels) > 1 else 1.0
            hit = np.clip((past - value) / (RAMP * width) + 0.5, 0, 1)
            offsets[ahead] += step * (levels - hit)
        width = np.ones((horizon, 1))
        if len(levels) > 1:
            width = np.maximum(np.ptp(forecasts[now], axis=1), MIN_WIDTH)[:, None]
        moved = forecasts[now] + offsets * width
        made[now] = np.maximum.accumulate(moved, axis=1)
    return made


def run(layer, values, forecasts):
    """Run the layer over one sequence, as a graph: a loop in Python takes minutes."""
    call = tf.function(layer)
    tensors = (tf.constant(x[None], tf.float32) for x in (values, forecasts))
    return call(*tensors).numpy()[0]


@pytest.mark.parametrize("levels", [LEVELS, [0.05, 0.95], [0.8]])
def test_layer_equals_the_rule_in_numpy(levels):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 1))
    forecasts = np.sort(rng.normal(size=(200, 3, len(levels))), axis=-1)
    layer = AdaptiveIntervals(3, levels, STEP, 0.0, 1.0)

    got = run(layer, values, forecasts)

    expected = correct(values[:, 0], forecasts, np.array(levels), STEP)
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)
    assert np.abs(expected - forecasts).max() > 0.1


@pytest.fixture(scope="module")
def network():
    """Build a network that forecasts quantiles, and the same with corrections."""
    keras.utils.set_random_seed(3)
    trained = build_network(INPUTS, OUTPUTS, cell="gru", units=(4,))
    field, value = find_field(trained.input, INPUTS, "value")
    return trained, adapt_intervals(trained, value, field, OUTPUTS, STEP)


@pytest.fixture(scope="module")
def streamed(network):
    """The corrected network as a stream, a sequence, and what it makes of the whole.

    Called as graphs of any length: a loop in Python takes seconds.
    """
    _, adapted = network
    streaming = stream_network(adapted, OUTPUTS)
    given = {
        "sequence": tf.TensorSpec((None, None, 1)),
        "length": tf.TensorSpec((None,), tf.int32),
        **{n: tf.TensorSpec((None, *s)) for n, s in streaming.memory.items()},
    }
    advance = tf.function(streaming.advance, autograph=False, input_signature=[given])
    values = np.random.default_rng(1).normal(10, 4, (2, 40, 1)).astype("float32")
    return streaming, advance, values, np.asarray(adapted(values))


@pytest.mark.parametrize("split", [0, 1, 2, 17, 39])
def test_any_split_with_memory_carried_equals_one_pass(streamed, split):
    streaming, advance, values, whole = streamed
    names = [name for name in streaming.memory if name.startswith("interval_")]
    assert names == ["interval_offsets_0", "interval_pending_0", "interval_count_0"]

    memory = {n: np.zeros((2, *s), "float32") for n, s in streaming.memory.items()}
    parts = []
    for part in (values[:, :split], values[:, split:]):
        if part.shape[1]:
            padded = np.pad(part, [(0, 0), (0, 2), (0, 0)])
            length = np.full(2, part.shape[1], "int32")
            results = advance({"sequence": padded, "length": length, **memory})
            memory = {name: np.asarray(results[name]) for name in memory}
            parts.append(np.asarray(results["forecast"])[:, : part.shape[1]])

    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=TOLERANCE)
    assert np.asarray(memory["interval_count_0"]).ravel().tolist() == [3, 3]


def test_before_the_first_value_comes_back_nothing_is_corrected(network):
    trained, adapted = network
    values = np.array([[[9.0], [14.0]]], "float32")

    before, after = (np.asarray(one(values))[0] for one in (trained, adapted))

    np.testing.assert_allclose(after[0], before[0], atol=TOLERANCE)
    np.testing.assert_allclose(after[1, 1:], before[1, 1:], atol=TOLERANCE)
    assert np.abs(after[1, 0] - before[1, 0]).max() > 10 * TOLERANCE


def test_intervals_keep_their_promise_on_a_series_that_shifts():
    rng = np.random.default_rng(5)
    # Twice as wide from the middle on, and a level that drifts: unlike in training.
    wide = np.where(np.arange(6_000) < 3_000, 1.0, 2.0)
    values = rng.normal(size=6_000) * wide + np.linspace(0, 1, 6_000)
    exact = np.array([-1.2816, 0.0, 1.2816])
    forecasts = np.broadcast_to(exact, (6_000, 2, 3)).copy()
    layer = AdaptiveIntervals(2, LEVELS, STEP, 0.0, 1.0)

    made = run(layer, values[:, None], forecasts)

    for ahead in (1, 2):
        target = values[3_000 + ahead :]
        before, after = (one[3_000:-ahead, ahead - 1] for one in (forecasts, made))
        assert cover(target, before) < 0.60
        assert 0.78 <= cover(target, after) <= 0.82
        assert pinball(target, after) < pinball(target, before)
        # Where nothing had shifted it costs next to nothing.
        calm = values[ahead:3_000]
        first, second = (
            pinball(calm, one[: 3_000 - ahead, ahead - 1]) for one in (forecasts, made)
        )
        assert second < 1.03 * first


def cover(target, quantiles):
    return ((quantiles[:, 0] <= target) & (target <= quantiles[:, -1])).mean()


def pinball(target, quantiles):
    error, levels = target[:, None] - quantiles, np.array(LEVELS)
    return np.maximum(levels * error, (levels - 1) * error).mean()


def test_numbers_that_wait_are_counted_only_for_quantiles():
    assert count_pending(OUTPUTS) == 3 * 3 * 3
    assert count_pending({**OUTPUTS, "quantiles": None}) == 0
    assert count_pending({"kind": "label"}) == 0
