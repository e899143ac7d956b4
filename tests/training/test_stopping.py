"""Early stopping: when a training ends, which weights it takes, and resuming it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

from models.networks import build_network  # noqa: E402
from training.data.dataset import Dataset, Sequences  # noqa: E402
from training.errors import ConfigError  # noqa: E402
from training.fit import (  # noqa: E402
    Losses,
    Plan,
    Stopped,
    find_best,
    fit_network,
    make_deterministic,
    should_stop,
    validate,
)
from training.losses import build_loss  # noqa: E402
from training.trainer import check_data, shorten  # noqa: E402
from training.training_section import TrainingConfig  # noqa: E402
from training.windows import WindowRunner  # noqa: E402

INPUTS = {"kind": "event", "vocabulary": ["a", "b"]}
OUTPUTS = {"kind": "label", "name": "probabilities", "labels": ["even", "odd"]}
# A rate at which the few validation events are soon forgotten.
TRAINING = TrainingConfig(
    epochs=12, batch_size=4, learning_rate=0.05, schedule="constant", patience=2
)


def draw(rng, odd=False):
    """Labels that are the event; in validation the other way round for some."""
    lengths = rng.integers(1, 9, 12)
    events = rng.integers(0, 2, lengths.sum())
    targets = np.where(rng.random(len(events)) < 0.4, 1 - events, events)
    if odd:
        targets = 1 - targets
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Sequences(events, targets, np.ones(len(events), np.uint8), offsets)


VALIDATION = draw(np.random.default_rng(99), odd=True)


class Killed(Exception):
    pass


def train(checkpoint, training=TRAINING, kill_after=None, dropout=0.3):
    """Train; return the network, its history and where it stopped."""
    make_deterministic(1)
    network = build_network(INPUTS, OUTPUTS, units=(4,), dropout=dropout)
    plan = Plan(draw, training, 1, VALIDATION)
    stops, by_epoch = [], []

    def watch(epoch):
        by_epoch.append(network.get_weights())
        if epoch.number == kill_after:
            raise Killed

    history = fit_network(
        network,
        build_loss(INPUTS, OUTPUTS),
        plan,
        checkpoint=checkpoint,
        on_epoch=watch,
        on_stop=stops.append,
    )
    return network, history, stops, by_epoch


def measure(network):
    """The loss on the validation part."""
    runner = WindowRunner(network, is_training=False)
    return validate(runner, Plan(draw, TRAINING, 1, VALIDATION))


def is_equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that was never killed."""
    return train(tmp_path_factory.mktemp("whole") / "run.npz")


def test_training_ends_once_validation_has_not_fallen_for_its_patience(whole):
    network, history, stops, by_epoch = whole

    best = int(np.argmin(history.validation))
    assert len(history.losses) == best + 1 + TRAINING.patience < TRAINING.epochs
    assert stops == [Stopped(best + 1 + TRAINING.patience, best + 1)]
    # The best epoch's weights, not the last one's.
    assert is_equal(network.get_weights(), by_epoch[best])
    assert not is_equal(network.get_weights(), by_epoch[-1])
    measured = measure(network)
    assert measured == pytest.approx(min(history.validation), rel=1e-6)


def test_killed_again_and_again_it_resumes_to_the_same_bits(whole, tmp_path):
    network, history, stops, by_epoch = whole
    best = stops[0].best

    # At its best epoch, while its patience runs out, and when nothing is left to do.
    for epoch in (best, best + 1, len(by_epoch)):
        with pytest.raises(Killed):
            train(tmp_path / "run.npz", kill_after=epoch)
    resumed, again, stopped, more = train(tmp_path / "run.npz")

    assert is_equal(resumed.get_weights(), network.get_weights())
    assert (again, stopped, more) == (history, stops, [])


def test_with_much_patience_all_epochs_run_and_the_best_weights_are_taken(tmp_path):
    patient = dataclasses.replace(TRAINING, patience=100, epochs=4)
    network, history, stops, by_epoch = train(tmp_path / "run.npz", patient)

    assert len(history.losses) == 4
    assert stops == []
    best = int(np.argmin(history.validation))
    assert is_equal(network.get_weights(), by_epoch[best])


def test_without_patience_the_last_weights_are_taken_and_no_others_kept(tmp_path):
    plain = dataclasses.replace(TRAINING, patience=None, epochs=3)
    network, _, stops, by_epoch = train(tmp_path / "run.npz", plain)

    assert stops == []
    assert is_equal(network.get_weights(), by_epoch[-1])
    with np.load(tmp_path / "run.npz") as archive:
        assert not [name for name in archive.files if name.startswith("best")]


@pytest.mark.parametrize(
    ("validation", "patience", "over"),
    [
        ([], 1, False),
        ([1.0], 1, False),
        ([1.0, 1.0], 1, True),  # equal is not lower
        ([1.0, 0.9], 1, False),
        ([0.9, 1.0, 0.95], 2, True),
        ([0.9, 1.0, 0.8], 2, False),
        ([np.nan, 1.0, np.nan], 2, False),
        ([1.0, np.inf, np.nan], 2, True),
        ([1.0] * 9, None, False),
    ],
)
def test_patience_counts_from_the_first_best_epoch(validation, patience, over):
    assert should_stop(validation, patience) is over


def test_best_epoch_is_the_first_of_equals():
    assert find_best([2.0, 1.0, np.nan, 1.0]) == 1


def test_validation_loss_is_measured_without_smoothing(tmp_path):
    make_deterministic(1)
    network = build_network(INPUTS, OUTPUTS, units=(4,))
    plain = build_loss(INPUTS, OUTPUTS)
    losses = Losses(build_loss(INPUTS, OUTPUTS, 0.2), plain)
    training = dataclasses.replace(TRAINING, epochs=1, label_smoothing=0.2)
    plan = Plan(draw, training, 1, VALIDATION)

    history = fit_network(network, losses, plan, checkpoint=tmp_path / "run.npz")

    network.compile(loss=plain)
    expected = measure(network)
    assert history.validation == [pytest.approx(expected, rel=1e-6)]


def test_patience_without_a_validation_part_is_refused_before_training():
    dataset = Dataset(INPUTS, OUTPUTS, draw, None, np.zeros((1, 1)), {})

    with pytest.raises(ConfigError, match=r"^training\.patience is 2; expected a val"):
        check_data(dataset, TRAINING)
    check_data(dataclasses.replace(dataset, validation=VALIDATION), TRAINING)


def test_baselines_follow_the_schedule_in_fewer_epochs_and_all_of_them():
    training = dataclasses.replace(
        TRAINING, schedule="step", decay_epochs=6, warmup_epochs=3
    )

    shorter = shorten(training, 1 / 3)

    assert (shorter.epochs, shorter.patience) == (4, None)
    assert (shorter.decay_epochs, shorter.warmup_epochs) == (2, 1)
