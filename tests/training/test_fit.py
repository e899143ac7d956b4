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
from tests.training.epochs import INPUTS, OUTPUTS, TRAINING, draw_epoch, draw_sequences  # noqa: E402
from training.baselines import (  # noqa: E402
    keep_num_updates,
    predict_with,
    predict_without_memory,
    separate_events,
)
from training.checkpoint import Progress, load_checkpoint, save_checkpoint  # noqa: E402
from training.config import NetworkConfig, load_config  # noqa: E402
from training.errors import CheckpointError, Diverged  # noqa: E402
from training.fit import (  # noqa: E402
    Plan,
    fit_network,
    make_deterministic,
    seed_dropout,
)
from training.losses import build_loss  # noqa: E402

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


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
