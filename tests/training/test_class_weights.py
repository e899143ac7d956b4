"""Weights of labels, label smoothing and clipping: what they change of a training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from models.networks import build_network  # noqa: E402
from training.baselines import predict_with  # noqa: E402
from training.class_weights import check_classified, weigh  # noqa: E402
from training.data.dataset import Dataset, Examples, Sequences  # noqa: E402
from training.errors import ConfigError  # noqa: E402
from training.fit import Plan, fit_network, make_deterministic  # noqa: E402
from training.losses import build_loss  # noqa: E402
from training.training_section import TrainingConfig  # noqa: E402

INPUTS = {"kind": "event", "vocabulary": ["a"]}
LABELS = ["often", "rare", "never"]
OUTPUTS = {"kind": "label", "name": "probabilities", "labels": LABELS}
TIMES = {"kind": "duration", "name": "seconds", "quantiles": [0.5], "std": 1.0}
TRAINING = TrainingConfig(epochs=150, batch_size=16, learning_rate=0.1)


def draw_sequences(rng):
    """Nine events `often` and one `rare`, in sequences of one; one row is not asked."""
    targets = np.array([0] * 9 + [1, 1])
    weights = np.array([1] * 10 + [0], np.uint8)
    return Sequences(np.zeros(11, int), targets, weights, np.arange(12))


def draw_examples(rng):
    return Examples(*(np.asarray(a) for a in draw_sequences(rng).pad()))


@pytest.mark.parametrize("draw", [draw_sequences, draw_examples])
def test_balanced_weighs_all_labels_the_same_and_events_one_on_average(draw):
    weighed = weigh(draw, OUTPUTS, "balanced", 1)(np.random.default_rng(0))

    assert weighed.weights.ravel() == pytest.approx([10 / 18] * 9 + [5, 0])
    assert weighed.weights.sum() == pytest.approx(10)


def test_given_weights_count_and_others_are_one():
    weighed = weigh(draw_sequences, OUTPUTS, {"rare": 4}, 1)(np.random.default_rng(0))

    assert weighed.weights.tolist() == [1] * 9 + [4, 0]


def test_only_heads_with_labels_are_weighed():
    outputs = {**OUTPUTS, "heads": [TIMES]}

    def draw(rng):
        one = draw_sequences(rng)
        targets = np.stack([one.targets, np.full(11, 7)], axis=-1).astype(np.float32)
        return one._replace(
            targets=targets, weights=np.stack([one.weights] * 2, axis=-1)
        )

    weights = weigh(draw, outputs, "balanced", 1)(np.random.default_rng(0)).weights

    assert weights[:, 0] == pytest.approx([10 / 18] * 9 + [5, 0])
    assert weights[:, 1].tolist() == [1] * 10 + [0]


def test_without_weights_epochs_stay_as_they_are():
    assert weigh(draw_sequences, OUTPUTS, None, 1) is draw_sequences


def learn(tmp_path, weights=None, smoothing=0.0):
    """Train and return the probabilities after an event."""
    make_deterministic(1)
    network = build_network(INPUTS, OUTPUTS, units=(2,))
    draw = weigh(draw_sequences, OUTPUTS, weights, 1)
    plan = Plan(draw, TRAINING, 1)
    loss = build_loss(INPUTS, OUTPUTS, smoothing)
    fit_network(network, loss, plan, checkpoint=tmp_path / f"{weights}{smoothing}.npz")
    return predict_with(network)(np.zeros((1, 1), np.int32))[0, 0]


def test_a_rare_label_becomes_as_probable_as_it_weighs(tmp_path):
    plain, balanced = (learn(tmp_path, weights) for weights in (None, "balanced"))

    assert plain[:2] == pytest.approx([0.9, 0.1], abs=0.03)
    assert balanced[:2] == pytest.approx([0.5, 0.5], abs=0.05)


def test_smoothing_keeps_a_network_from_certainty(tmp_path):
    smoothed = learn(tmp_path, smoothing=0.3)

    # Share of a label times 0.7, and a third of 0.3.
    assert smoothed == pytest.approx([0.73, 0.17, 0.1], abs=0.03)


def test_smoothed_loss_is_the_cross_entropy_with_a_spread_target():
    loss = build_loss(INPUTS, OUTPUTS, 0.3)
    rng = np.random.default_rng(0)
    made = rng.dirichlet([1, 1, 1], (4, 5)).astype(np.float32)
    target = rng.integers(0, 3, (4, 5))

    spread = 0.7 * np.eye(3)[target] + 0.1
    expected = keras.losses.categorical_crossentropy(spread, made)

    assert np.asarray(loss(target, made)) == pytest.approx(np.asarray(expected), 1e-5)


@pytest.mark.parametrize(
    ("keys", "outputs", "sentence"),
    [
        (
            {"class_weights": {"rear": 2.0}},
            OUTPUTS,
            r"^training\.class_weights names 'rear', which is not a label; expected "
            r"labels such as 'rare'\. Correct the name\.$",
        ),
        (
            {"class_weights": "balanced"},
            TIMES,
            r"^training\.class_weights is 'balanced'; expected a task with labels .*",
        ),
        (
            {"label_smoothing": 0.1},
            TIMES,
            r"^training\.label_smoothing is 0\.1; expected a task .* is duration\.",
        ),
    ],
)
def test_keys_about_labels_are_refused_where_there_are_none(keys, outputs, sentence):
    dataset = Dataset(INPUTS, outputs, draw_sequences, None, np.zeros((1, 1)), {})
    training = dataclasses.replace(TRAINING, **keys)

    with pytest.raises(ConfigError, match=sentence):
        check_classified(dataset, training)


def first_step(tmp_path, clip_norm, clip_global_norm=0):
    """Return how far each array moved in one update of a plain gradient."""
    make_deterministic(1)
    network = build_network(INPUTS, OUTPUTS, units=(2,))
    training = dataclasses.replace(TRAINING, epochs=1)
    training = dataclasses.replace(
        training, clip_norm=clip_norm, clip_global_norm=clip_global_norm
    )
    before = network.get_weights()
    plan = Plan(draw_sequences, training, 1)
    path = tmp_path / f"{clip_norm}-{clip_global_norm}.npz"
    fit_network(network, build_loss(INPUTS, OUTPUTS), plan, checkpoint=path)
    assert network.optimizer.clipnorm == (clip_norm or None)
    assert network.optimizer.global_clipnorm == (clip_global_norm or None)
    pairs = zip(network.get_weights(), before, strict=True)
    return [np.abs(a - b).max() for a, b in pairs]


def test_gradients_are_clipped_to_the_norm_given(tmp_path):
    # Adam's epsilon, 1e-7, is no longer small against gradients clipped to 1e-9.
    assert max(first_step(tmp_path, 1e-9)) < 0.1 * max(first_step(tmp_path, 0))


def test_a_global_norm_clips_all_arrays_by_one_factor(tmp_path):
    assert max(first_step(tmp_path, 0, 1e-9)) < 0.1 * max(first_step(tmp_path, 0))
