from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

# With graphs the same is tested of whole commands and of windows.
pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("op_by_op")]

from models.networks import CELLS, build_network  # noqa: E402
from training.baselines import (  # noqa: E402
    keep_num_updates,
    predict_with,
    predict_without_memory,
    separate_events,
)
from training.batches import Batches  # noqa: E402
from training.checkpoint import (  # noqa: E402
    Progress,
    load_checkpoint,
    save_checkpoint,
)
from training.config import NetworkConfig, TrainingConfig, load_config  # noqa: E402
from training.data.dataset import Examples, Sequences  # noqa: E402
from training.errors import CheckpointError, Diverged  # noqa: E402
from training.fit import (  # noqa: E402
    Plan,
    fit_network,
    make_deterministic,
    seed_dropout,
)
from training.losses import build_loss  # noqa: E402

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
INPUTS = {"kind": "event", "vocabulary": ["a", "b"]}
OUTPUTS = {"kind": "label", "name": "probabilities", "labels": ["even", "odd"]}
TRAINING = TrainingConfig(epochs=3, batch_size=4, learning_rate=0.01)


def draw_epoch(rng):
    """Draw sequences of several lengths, with the parity of b's after each event."""
    sequences = rng.integers(0, 2, (20, 9), dtype=np.int32)
    lengths = rng.integers(1, 10, 20)
    weights = (np.arange(9) < lengths[:, None]).astype(np.float32)
    return Examples(sequences, np.cumsum(sequences, axis=1) % 2, weights)


def train(checkpoint, *, seed=1, training=TRAINING, draw=draw_epoch, **options):
    """Train a small network and return its weights."""
    make_deterministic(seed)
    network = build_network(INPUTS, OUTPUTS, cell="rnn", units=(3,), **options)
    loss = build_loss(INPUTS, OUTPUTS)
    fit_network(network, loss, Plan(draw, training, seed), checkpoint=checkpoint)
    return network.get_weights()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Train once with every option and no interruption; the weights."""
    folder = tmp_path_factory.mktemp("whole")
    return functools.cache(
        lambda dropout=0.0: train(folder / f"{dropout}.npz", dropout=dropout)
    )


def cut_batches(examples, batch_size, rng):
    """The batches of an epoch, each as padded examples."""
    return (window.examples for window in Batches(examples, batch_size, rng))


def is_equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_cells_of_the_configuration_are_the_cells_there_are():
    (rule,) = get_type_hints(NetworkConfig, include_extras=True)["cell"].__metadata__

    assert set(rule.words.removeprefix("one of ").split(", ")) == set(CELLS)


def test_same_seed_gives_the_same_weights(whole, tmp_path):
    assert is_equal(whole(), train(tmp_path / "second.npz"))


def test_other_seed_gives_other_weights(whole, tmp_path):
    assert not is_equal(whole(), train(tmp_path / "second.npz", seed=2))


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("done", [1, 2])
def test_training_continues_from_its_checkpoint_to_the_same_weights(
    whole, tmp_path, done, dropout
):
    class Interrupted(Exception):
        pass

    def draw_until_interrupted(rng):
        if len(drawn) == done:
            raise Interrupted
        drawn.append(rng)
        return draw_epoch(rng)

    drawn = []
    with pytest.raises(Interrupted):
        train(tmp_path / "broken.npz", draw=draw_until_interrupted, dropout=dropout)
    resumed = train(tmp_path / "broken.npz", dropout=dropout)

    assert is_equal(resumed, whole(dropout))


def test_dropout_follows_from_the_epoch_not_from_what_ran_before():
    network = build_network(INPUTS, OUTPUTS, units=(8, 8), dropout=0.5)
    events = np.ones((2, 9), np.int32)

    def draw(epoch, *rank):
        seed_dropout(network, 1, epoch, *rank)
        return np.asarray(network(events, training=True))

    first, other, again = draw(0), draw(1), draw(0)

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(first, draw(0, 0))
    assert not np.array_equal(first, draw(0, 1))


def test_label_of_a_sequence_is_learnt_from_the_last_event_alone(tmp_path):
    def draw_last(rng):
        examples = draw_epoch(rng)
        last = np.arange(9) == examples.lengths[:, None] - 1
        return examples._replace(weights=last.astype(np.float32))

    def draw_last_and_wrong_elsewhere(rng):
        examples = draw_last(rng)
        wrong = np.where(examples.weights > 0, examples.targets, 0)
        return examples._replace(targets=wrong)

    first = train(tmp_path / "first.npz", draw=draw_last)
    other = train(tmp_path / "other.npz", draw=draw_last_and_wrong_elsewhere)

    assert is_equal(first, other)


def test_finished_training_is_not_repeated(tmp_path):
    first = train(tmp_path / "run.npz")

    def refuse(rng):
        raise AssertionError("no epoch is left to draw")

    assert is_equal(first, train(tmp_path / "run.npz", draw=refuse))


def test_diverged_training_names_the_fix_and_keeps_no_such_weights(tmp_path):
    def draw_nan(rng):
        examples = draw_epoch(rng)
        return examples._replace(weights=examples.weights * np.float32("nan"))

    with pytest.raises(Diverged, match=r"epoch 1.*Lower training\.learning_rate"):
        train(tmp_path / "run.npz", draw=draw_nan)

    assert not (tmp_path / "run.npz").exists()


def test_damaged_checkpoint_is_refused_with_the_way_out(tmp_path):
    train(tmp_path / "run.npz")
    content = (tmp_path / "run.npz").read_bytes()
    (tmp_path / "run.npz").write_bytes(content[: len(content) // 2])

    with pytest.raises(CheckpointError, match="Delete it"):
        train(tmp_path / "run.npz")


def test_checkpoint_of_another_network_is_refused(tmp_path):
    networks = [build_network(INPUTS, OUTPUTS, units=(units,)) for units in (3, 4)]
    for network in networks:
        network.compile("adam", "sparse_categorical_crossentropy")
        network.optimizer.build(network.trainable_variables)
    save_checkpoint(tmp_path / "run.npz", networks[0], Progress([0.5], [0.4], []))

    with pytest.raises(CheckpointError, match="this network has"):
        load_checkpoint(tmp_path / "run.npz", networks[1])


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


def test_forecast_loss_is_the_absolute_error_in_standard_deviations():
    field = {"name": "value", "type": "number", "mean": 10.0, "std": 2.0}
    loss = build_loss(
        {"kind": "record", "fields": [field]}, {"kind": "forecast", "field": "value"}
    )

    error = loss(np.array([[[1.0, 3.0]]]), np.array([[[5.0, 3.0]]]))

    assert np.asarray(error).tolist() == [[1.0]]


@pytest.mark.parametrize("quantiles", [[0.1, 0.5, 0.9], [0.25]])
def test_quantiles_are_trained_with_the_pinball_loss(quantiles):
    field = {"name": "value", "type": "number", "mean": 10.0, "std": 2.0}
    inputs = {"kind": "record", "fields": [field]}
    outputs = {"kind": "forecast", "field": "value", "horizon": 2}
    outputs |= {"quantiles": quantiles}
    network = build_network(inputs, outputs, units=(3,))
    network.compile("sgd", loss=build_loss(inputs, outputs))
    rng = np.random.default_rng(0)
    values = rng.normal(10, 2, (4, 5, 1)).astype("float32")
    target = rng.normal(10, 2, (4, 5, 2)).astype("float32")

    error = target[..., None] - np.asarray(network(values))
    loss = network.train_on_batch(values, target, sample_weight=np.ones((4, 5)))

    level = np.array(quantiles)
    expected = np.maximum(level * error, (level - 1) * error).mean() / 2
    assert loss == pytest.approx(expected, rel=1e-5)


def test_memoryless_prediction_ignores_what_came_before():
    network = build_network(INPUTS, OUTPUTS, cell="lstm", units=(3,))
    sequences = np.array([[0, 1, 1], [1, 0, 1]], np.int32)

    alone = predict_without_memory(network)(sequences)

    first = predict_with(network)(np.array([[0], [1]], np.int32))[:, 0]
    assert np.abs(alone - first[sequences]).max() < 1e-6


def test_memoryless_examples_are_the_weighted_events_one_by_one():
    examples = draw_epoch(np.random.default_rng(0))

    alone = separate_events(examples)

    assert alone.sequences.shape == (int(examples.weights.sum()), 1)
    assert np.all(alone.weights == 1)


def test_memoryless_network_takes_as_many_updates_as_the_network():
    config = load_config(CONFIGS / "roommate.toml")
    config = dataclasses.replace(config, training=TRAINING)
    examples = draw_epoch(np.random.default_rng(0))

    adapted = keep_num_updates(config, examples).training.batch_size

    num_updates = len(separate_events(examples).weights) / adapted
    assert num_updates == pytest.approx(20 / TRAINING.batch_size, rel=0.1)


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


def draw_sequences(rng):
    """The same examples as `draw_epoch`, without padding."""
    examples = draw_epoch(rng)
    lengths = examples.lengths
    flat = [array[examples.weights > 0] for array in examples]
    return Sequences(*flat, np.concatenate([[0], np.cumsum(lengths)]))


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


def test_validation_is_measured_after_every_epoch_and_changes_no_weight(tmp_path):
    def fit(name, validation):
        make_deterministic(1)
        network = build_network(INPUTS, OUTPUTS, units=(3,), dropout=0.3)
        plan = Plan(draw_sequences, TRAINING, 1, validation)
        loss = build_loss(INPUTS, OUTPUTS)
        return network, fit_network(network, loss, plan, checkpoint=tmp_path / name)

    validation = draw_sequences(np.random.default_rng(9))
    plain, without = fit("plain.npz", None)
    network, history = fit("validated.npz", validation)
    again = fit_network(
        network,
        build_loss(INPUTS, OUTPUTS),
        Plan(draw_sequences, TRAINING, 1, validation),
        checkpoint=tmp_path / "validated.npz",
    )

    assert is_equal(plain.get_weights(), network.get_weights())
    assert without.losses == history.losses
    assert np.isnan(without.validation).all()
    examples = validation.pad()
    shares = predict_with(network)(examples.sequences)
    came = np.take_along_axis(shares, examples.targets[..., None], -1)[..., 0]
    expected = -np.log(came[examples.weights > 0]).mean()
    assert history.validation[-1] == pytest.approx(expected, rel=1e-5)
    assert again == history  # read from the checkpoint
