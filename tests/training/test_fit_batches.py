"""Batches of an epoch: every weighted timestep once, of like length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

# With graphs the same is tested of whole commands and of windows.
pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("op_by_op")]

from models.networks import build_network  # noqa: E402
from tests.training.epochs import INPUTS, OUTPUTS, TRAINING, draw_epoch, draw_sequences  # noqa: E402
from training.baselines import predict_with  # noqa: E402
from training.batches import Batches  # noqa: E402
from training.data.dataset import Sequences  # noqa: E402
from training.fit import Plan, fit_network, make_deterministic  # noqa: E402
from training.losses import build_loss  # noqa: E402


def cut_batches(examples, batch_size, rng):
    """The batches of an epoch, each as padded examples."""
    return (window.examples for window in Batches(examples, batch_size, rng))


def test_batches_hold_every_weighted_timestep_exactly_once():
    examples = draw_epoch(np.random.default_rng(0))

    batches = list(cut_batches(examples, 3, np.random.default_rng(1)))

    assert sum(batch.weights.sum() for batch in batches) == examples.weights.sum()
    assert sum(len(batch.weights) for batch in batches) == len(examples.weights)
    weighted = [batch.sequences[batch.weights > 0].sum() for batch in batches]
    assert sum(weighted) == examples.sequences[examples.weights > 0].sum()


def test_batches_end_with_their_longest_sequence():
    examples = draw_epoch(np.random.default_rng(0))

    for batch in cut_batches(examples, 3, np.random.default_rng(1)):
        assert batch.lengths.max() == batch.weights.shape[1]


def test_order_of_batches_follows_from_the_generator():
    examples = draw_epoch(np.random.default_rng(0))

    first, again, other = (
        [b.sequences.tolist() for b in cut_batches(examples, 3, rng)]
        for rng in (np.random.default_rng(seed) for seed in (1, 1, 2))
    )

    assert first == again
    assert first != other


def test_every_event_of_sequences_weighs_the_same():
    lengths = np.array([1] * 8 + [9] * 8)
    flat = np.zeros(lengths.sum(), np.int32)
    sequences = Sequences(
        flat, flat, np.ones_like(flat), np.concatenate([[0], np.cumsum(lengths)])
    )

    batches = list(cut_batches(sequences, 4, np.random.default_rng(0)))

    shares = [
        batch.weights[batch.weights > 0] / batch.weights.size for batch in batches
    ]
    assert np.ptp(np.concatenate(shares)) < 1e-6
    # So the mean of the batches' losses is the mean over all events.
    assert np.concatenate(shares).sum() / len(batches) == pytest.approx(1)


@pytest.mark.parametrize("draw", [draw_epoch, draw_sequences])
def test_printed_loss_is_the_mean_of_all_events(tmp_path, draw):
    make_deterministic(1)
    network = build_network(INPUTS, OUTPUTS, units=(3,))
    still = dataclasses.replace(TRAINING, epochs=1, learning_rate=1e-12)
    plan = Plan(draw, still, 1)
    examples = draw_epoch(np.random.default_rng((1, 0)))
    shares = predict_with(network)(examples.sequences)

    (loss,), _ = fit_network(
        network, build_loss(INPUTS, OUTPUTS), plan, checkpoint=tmp_path / "run.npz"
    )

    came = np.take_along_axis(shares, examples.targets[..., None], -1)[..., 0]
    expected = -np.log(came[examples.weights > 0]).mean()
    assert loss == pytest.approx(expected, rel=1e-5)


def test_batches_of_an_epoch_are_padded_one_at_a_time(tmp_path):
    class Watched(Sequences):
        def take(self, *window):
            events.append("cut")
            return super().take(*window)

    class Stopped(Exception):
        pass

    def train_on_batch(*_, **__):
        events.append("trained")
        if len(events) == 6:
            raise Stopped
        return 1.0

    events = []
    make_deterministic(1)
    network = build_network(INPUTS, OUTPUTS, units=(3,))
    network.train_on_batch = train_on_batch
    plan = Plan(lambda rng: Watched(*draw_sequences(rng)), TRAINING, 1)
    with pytest.raises(Stopped):
        fit_network(network, "mse", plan, checkpoint=tmp_path / "run.npz")

    assert events == ["cut", "trained"] * 3


def test_sequences_of_like_length_share_a_batch():
    rng = np.random.default_rng(0)
    lengths = np.append(rng.geometric(1 / 5, 5_000), 2_000)
    flat = np.zeros(lengths.sum(), np.int32)
    offsets = np.append(0, np.cumsum(lengths))
    sequences = Sequences(flat, flat, np.ones(len(flat), np.uint8), offsets)

    batches = cut_batches(sequences.cut(500), 32, np.random.default_rng(0))

    sizes = [batch.weights.size for batch in batches]
    # Padded to the longest it would be 5,001 x 2,000 places for 27,000 events.
    assert sum(sizes) < 1.5 * len(flat)
    assert max(sizes) <= 32 * 500
