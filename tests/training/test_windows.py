"""Truncated back-propagation: state is carried between windows, gradients are not."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from models.networks import build_network  # noqa: E402
from tests.servers import ROOT  # noqa: E402
from training.batches import Batches  # noqa: E402
from training.data.dataset import Examples, Sequences  # noqa: E402
from training.fit import Plan, fit_network, make_deterministic  # noqa: E402
from training.losses import build_loss  # noqa: E402
from training.training_section import TrainingConfig  # noqa: E402

EVENTS = {"kind": "event", "vocabulary": ["a", "b"]}
LABEL = {"kind": "label", "name": "probabilities", "labels": ["even", "odd"]}
TIME = {"kind": "duration", "name": "seconds", "quantiles": [0.1, 0.5], "std": 1.0}
TIME |= {"mean": 2.0}
RECORDS = {
    "kind": "record",
    "fields": [
        {"name": "at", "type": "time", "features": ["time_since_previous"]},
        {"name": "value", "type": "number", "mean": 0.0, "std": 1.0},
    ],
}
FORECAST = {"kind": "forecast", "name": "forecast", "field": "value", "horizon": 2}
TRAINING = TrainingConfig(epochs=2, batch_size=4, learning_rate=0.05)
STILL = dataclasses.replace(TRAINING, epochs=1, learning_rate=1e-12)


def offsets_of(rng):
    """Lengths of short sequences and a long one, as offsets."""
    return np.concatenate([[0], np.cumsum([*rng.integers(1, 9, 9), 30])])


def draw_labels(rng):
    """Draw sequences, with the parity of b's after each event."""
    offsets = offsets_of(rng)
    events = rng.integers(0, 2, offsets[-1])
    odd = np.concatenate(
        [np.cumsum(part) % 2 for part in np.split(events, offsets[1:-1])]
    )
    return Sequences(events, odd, np.ones(len(events), np.uint8), offsets)


def draw_padded(rng):
    return draw_labels(rng).pad()


def draw_long(rng):
    """Sequences of one length, so that every batch has several windows."""
    events = rng.integers(0, 2, 80)
    return Sequences(events, events, np.ones(80, np.uint8), np.arange(0, 81, 10))


def draw_heads(rng):
    one = draw_labels(rng)
    targets = np.stack([one.targets, rng.random(len(one.targets)) * 100], axis=-1)
    weights = np.stack([one.weights, rng.integers(0, 2, len(one.weights))], axis=-1)
    return one._replace(targets=targets.astype(np.float32), weights=weights)


def draw_records(rng):
    offsets = offsets_of(rng)
    rows = offsets[-1]
    seconds = np.sort(rng.random(rows)) * 80_000
    inputs = np.stack([np.full(rows, 9.0), seconds, rng.normal(size=rows)], axis=-1)
    targets = rng.normal(size=(rows, 2)).astype(np.float32)
    return Sequences(inputs, targets, np.ones(rows, np.uint8), offsets)


KINDS = {
    "layers": (draw_labels, EVENTS, LABEL),
    "labels": (draw_labels, EVENTS, LABEL),
    "pieces": (lambda rng: draw_labels(rng).cut(4), EVENTS, LABEL),
    "long": (draw_long, EVENTS, LABEL),
    "padded": (draw_padded, EVENTS, LABEL),
    "heads": (draw_heads, EVENTS, {**LABEL, "heads": [TIME]}),
    "records": (draw_records, RECORDS, FORECAST),
}


class Killed(Exception):
    pass


def train(path, kind="labels", training=TRAINING, kill_after=None, **options):
    """Train; return the weights and the history."""
    draw, inputs, outputs = KINDS[kind]
    make_deterministic(1)
    units = (3, 2) if kind == "layers" else (3,)
    network = build_network(inputs, outputs, units=units, **options)
    validation = draw(np.random.default_rng(9)) if kind != "padded" else None

    def watch(epoch):
        if epoch.number == kill_after:
            raise Killed

    history = fit_network(
        network,
        build_loss(inputs, outputs),
        Plan(draw, training, 1, validation),
        checkpoint=path,
        on_epoch=watch,
    )
    return network.get_weights(), history


def in_windows(bptt, training=TRAINING):
    return dataclasses.replace(training, bptt=bptt)


def is_equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_windows_of_a_batch_continue_their_rows_and_lose_those_that_ended():
    examples = draw_labels(np.random.default_rng(0))
    batches = Batches(examples, 4, np.random.default_rng(1), bptt=5)

    found, rows, count = [], [], 0
    for window in batches:
        count += 1
        batch, lengths = window.examples, window.lengths
        if window.carried is None:
            rows = [[] for _ in lengths]
            found += rows
        else:
            rows = [rows[k] for k in window.carried]
        for k, length in enumerate(lengths):
            rows[k] += batch.sequences[k, :length].tolist()
            assert not batch.weights[k, length:].any()
        assert batch.weights.shape[1] <= 5
        assert lengths.min() > 0

    whole = [
        part.tolist() for part in np.split(examples.inputs, examples.offsets[1:-1])
    ]
    assert sorted(found) == sorted(whole)
    assert count == batches.count == 1 + 2 + 6


def test_every_event_weighs_the_same_in_windows_too():
    examples = draw_labels(np.random.default_rng(0))
    batches = list(Batches(examples, 4, np.random.default_rng(1), bptt=5))

    shares = [
        (one.examples.weights / one.examples.weights.size)[one.examples.weights > 0]
        for one in batches
    ]

    assert np.ptp(np.concatenate(shares)) < 1e-6
    assert np.concatenate(shares).sum() / len(batches) == pytest.approx(1)


def test_pieces_are_joined_and_cut_again():
    examples = draw_labels(np.random.default_rng(0))

    pieces = examples.cut(7).cut(4)

    assert max(pieces.lengths) == 4
    assert pieces.join().offsets.tolist() == examples.offsets.tolist()
    assert pieces.join().uncut is None
    assert examples.join() is examples


@pytest.mark.usefixtures("op_by_op")
@pytest.mark.parametrize("kind", ["labels", "padded", "heads"])
def test_a_window_as_long_as_the_longest_sequence_changes_no_bit(tmp_path, kind):
    plain = train(tmp_path / "plain.npz", kind, dropout=0.3)

    windowed = train(tmp_path / "30.npz", kind, in_windows(30), dropout=0.3)

    assert is_equal(plain[0], windowed[0])
    assert str(plain[1]) == str(windowed[1])


@pytest.mark.usefixtures("op_by_op")
@pytest.mark.parametrize(
    ("kind", "cell"),
    [("layers", "gru"), ("padded", "rnn"), ("heads", "lstm"), ("records", "peephole")],
)
def test_state_is_carried_so_that_losses_are_those_of_whole_sequences(
    tmp_path, kind, cell
):
    _, plain = train(tmp_path / "plain.npz", kind, STILL, cell=cell)

    _, windowed = train(tmp_path / "4.npz", kind, in_windows(4, STILL), cell=cell)

    assert windowed.losses == pytest.approx(plain.losses, rel=1e-5)
    if kind != "padded":
        assert windowed.validation == pytest.approx(plain.validation, rel=1e-5)


@pytest.mark.usefixtures("op_by_op")
def test_pieces_begin_with_nothing_where_no_state_is_carried(tmp_path):
    """The comparison above can fail: pieces as `data.window` cuts them differ."""
    _, plain = train(tmp_path / "plain.npz", "labels", STILL)
    _, pieces = train(tmp_path / "pieces.npz", "pieces", STILL)
    _, joined = train(tmp_path / "joined.npz", "pieces", in_windows(4, STILL))

    assert pieces.losses != pytest.approx(plain.losses, rel=1e-5)
    assert joined.losses == pytest.approx(plain.losses, rel=1e-5)


def test_gradients_stop_at_the_border(tmp_path):
    """Two windows of one sequence, compared with Keras's layers called by hand."""
    make_deterministic(1)
    events = np.random.default_rng(3).integers(0, 2, (1, 8)).astype(np.int32)
    targets = (np.cumsum(events, axis=1) % 2).astype(np.int32)
    examples = Examples(events, targets, np.ones((1, 8), np.float32))
    network = build_network(EVENTS, LABEL, units=(3,))
    before = network.get_weights()
    training = TrainingConfig(1, 1, 0.1, schedule="constant", clip_norm=0, bptt=4)
    plan = Plan(lambda rng: examples, training, 1)

    def fit_by_hand():
        layer = keras.layers.LSTM(3, return_sequences=True, return_state=True)
        head = keras.layers.Dense(2, activation="softmax")
        one_hot = tf.one_hot(events, 2)
        head(layer(one_hot)[0])
        layer.set_weights(before[:3])
        head.set_weights(before[3:])
        optimizer = keras.optimizers.Adam(0.1)
        variables = [*layer.trainable_variables, *head.trainable_variables]
        state = None
        for part in (slice(0, 4), slice(4, 8)):
            with tf.GradientTape() as tape:
                hidden, *after = layer(one_hot[:, part], initial_state=state)
                made = head(hidden)
                loss = tf.reduce_mean(
                    keras.losses.sparse_categorical_crossentropy(targets[:, part], made)
                )
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            state = [tf.stop_gradient(one) for one in after]
        return [*layer.get_weights(), *head.get_weights()]

    expected = fit_by_hand()
    loss = build_loss(EVENTS, LABEL)
    fit_network(network, loss, plan, checkpoint=tmp_path / "run.npz")

    for one, other in zip(network.get_weights(), expected, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)


@pytest.mark.usefixtures("op_by_op")
def test_dropout_drops_in_windows_of_training_and_not_of_validation(tmp_path):
    training = in_windows(4, STILL)
    # Both have the layer, and so the same first weights.
    _, faint = train(tmp_path / "0.npz", "long", training, dropout=1e-6)
    _, dropped = train(tmp_path / "5.npz", "long", training, dropout=0.5)

    assert dropped.validation == pytest.approx(faint.validation, rel=1e-5)
    assert dropped.losses != pytest.approx(faint.losses, rel=1e-3)


def test_killed_between_epochs_it_resumes_to_the_same_bits(tmp_path):
    training = in_windows(4)
    whole, history = train(tmp_path / "whole.npz", training=training, dropout=0.3)

    with pytest.raises(Killed):
        train(tmp_path / "run.npz", training=training, kill_after=1, dropout=0.3)
    resumed, again = train(tmp_path / "run.npz", training=training, dropout=0.3)

    assert is_equal(resumed, whole)
    assert again == history


MEASURE = textwrap.dedent(
    """
    import resource, sys, tempfile
    from pathlib import Path
    import numpy as np
    from models.networks import build_network
    from training.data.dataset import Sequences
    from training.fit import Plan, fit_network, make_deterministic
    from training.losses import build_loss
    from training.training_section import TrainingConfig

    EVENTS = {"kind": "event", "vocabulary": ["a", "b"]}
    LABEL = {"kind": "label", "name": "p", "labels": ["even", "odd"]}

    def fit(longest):
        def draw(rng):
            lengths = np.append(rng.integers(1, 60, 47), longest)
            events = rng.integers(0, 2, lengths.sum())
            weights = np.ones(len(events), np.uint8)
            offsets = np.append(0, np.cumsum(lengths))
            return Sequences(events, events, weights, offsets)

        make_deterministic(1)
        network = build_network(EVENTS, LABEL, units=(64,))
        training = TrainingConfig(1, 16, 0.01, bptt=BPTT)
        plan = Plan(draw, training, 1, draw(np.random.default_rng(2)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.npz"
            fit_network(network, build_loss(EVENTS, LABEL), plan, checkpoint=path)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    before = fit(400)
    print("grown by", fit(4_000) - before, "MB")
    """
)


def measure_growth(bptt):
    """MB of resident memory that a case of 4,000 events adds to one of 400."""
    code = MEASURE.replace("BPTT", str(bptt))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(re.search(r"grown by (-?\d+) MB", done.stdout)[1])


def test_memory_is_that_of_a_window_however_long_a_case_is():
    assert measure_growth(200) < 60
