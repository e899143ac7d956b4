"""The proof is hard to pass: each streaming form, broken on purpose, is caught."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from models import forms, recurrent, windows  # noqa: E402
from models.refusals import CannotStream  # noqa: E402
from models.running import RunningCell  # noqa: E402
from models.stream import Stream  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from models.timesteps import PerTimestep  # noqa: E402
from models.wrapping import wrap_model  # noqa: E402
from tests.training.keras_files import FEATURES, randomise, sequential  # noqa: E402
from training.errors import ModelError  # noqa: E402
from training.hard_sequences import draw_hard  # noqa: E402
from training.proof import prove  # noqa: E402


def functional(build):
    inputs = keras.Input((None, FEATURES))
    return keras.Model(inputs, build(inputs))


def masked(x):
    masked = layers.Masking(-1.0)(x)
    hidden = layers.LSTM(3, return_sequences=True)(masked)
    return layers.LSTM(2)(layers.Dense(3)(hidden))


def lose_mask(patch):
    advance = recurrent.advance_cell

    def broken(cell, layer, stream, hidden, own):
        return advance(cell, layer, stream, hidden, None)

    patch.setattr(recurrent, "advance_cell", broken)


def forget_memory(patch):
    def broken(self, names, tensors):
        for name, _ in zip(names, tensors, strict=True):
            self.after[name] = self.before[name] * 1.0

    patch.setattr(Stream, "keep", broken)


def skip_count(patch):
    call = RunningCell.call

    def broken(self, inputs, states, training=False):
        output, (value, count) = call(self, inputs, states)
        return output, [value, count + 1]

    patch.setattr(RunningCell, "call", broken)


def reverse_item(patch):
    def broken(operation, stream, hidden, key):
        return stream.mark_late(hidden[:, :1] + 0 * hidden)

    patch.setitem(forms.FORMS, keras.src.ops.numpy.GetItem, broken)


def double_timesteps(patch):
    call = PerTimestep.call
    patch.setattr(PerTimestep, "call", lambda self, inputs: call(self, inputs) * 2)


def pad_with_zeros(patch):
    recall = windows.recall

    def broken(layer, *args):
        layer.padding = 0.0
        return recall(layer, *args)

    patch.setattr(windows, "recall", broken)


# The network, the window it is served on, and what is broken.
BROKEN = {
    "mask": (lambda: functional(masked), None, lose_mask),
    "recurrent": (lambda: sequential(layers.GRU(3)), None, forget_memory),
    "convolution": (
        lambda: sequential(layers.Conv1D(2, 2, padding="causal")),
        None,
        forget_memory,
    ),
    "reduction": (
        lambda: sequential(layers.GlobalAveragePooling1D()),
        None,
        skip_count,
    ),
    "last timestep": (
        lambda: functional(lambda x: x[:, -1] + layers.GRU(FEATURES)(x)),
        None,
        reverse_item,
    ),
    "per timestep": (
        lambda: sequential(layers.LSTM(3), layers.Dense(2)),
        None,
        double_timesteps,
    ),
    "window": (
        lambda: sequential(layers.Masking(-1.0), layers.LSTM(3), shape=(4, FEATURES)),
        4,
        pad_with_zeros,
    ),
}


def attempt(model, window):
    wrapped = wrap_model(model, window=window)
    return prove(model, wrapped, stream_network(wrapped.network, wrapped.outputs))


@pytest.mark.parametrize("name", BROKEN)
def test_a_form_broken_on_purpose_is_caught(name, monkeypatch):
    make, window, break_it = BROKEN[name]
    model = randomise(make())
    attempt(model, window)

    break_it(monkeypatch)

    with pytest.raises((ModelError, CannotStream)):
        attempt(model, window)


def test_every_form_is_broken_by_a_case():
    kinds = {kind.__name__ for kind in forms.FORMS}
    covered = {
        "RNN": "recurrent",
        "Conv1D": "convolution",
        "GetItem": "last timestep",
        "TimeDistributed": "per timestep",
        "Windowed": "window",
        # Of the bundled networks, and of models of one timestep a call.
        "TimeSincePrevious": "recurrent",
        "LastStep": "last timestep",
    }

    assert kinds == set(covered)
    assert set(covered.values()) <= set(BROKEN)


def test_sequences_hold_masked_events_at_the_beginning_inside_and_at_the_end():
    wrapped = wrap_model(functional(masked))

    sequence = draw_hard(wrapped, 3, 24)

    is_masked = (sequence == -1.0).all(axis=-1)
    assert is_masked[0, 0]
    assert is_masked[0, 12]
    assert is_masked[0, -1]
    assert not is_masked.all(axis=1).any()
    assert sequence.max() >= 100


def test_sequences_hold_every_event_of_a_small_vocabulary():
    model = sequential(layers.Embedding(9, 2), layers.LSTM(2), shape=(None,))

    sequence = draw_hard(wrap_model(model), 3, 24)

    assert set(sequence.ravel()) == set(range(9))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Bidirectional(layers.LSTM(3)),
        lambda: layers.Flatten(),
        lambda: layers.MaxPooling1D(2),
        lambda: layers.GlobalMaxPooling1D(),
    ],
)
def test_any_model_is_served_on_its_last_events(layer):
    model = sequential(layer(), shape=(4, FEATURES))

    assert attempt(model, 4).difference <= 1e-6


def test_numbers_reshaped_to_a_sequence_are_a_window_of_numbers():
    model = sequential(layers.Reshape((5, 1)), layers.LSTM(3), shape=(5,))

    wrapped = wrap_model(model, window=5)

    assert wrapped.inputs == {"kind": "vector", "size": 1}
    attempt(model, 5)
