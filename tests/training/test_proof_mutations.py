"""The proof is hard to pass: each streaming form, broken on purpose, is caught."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from models import (  # noqa: E402
    forms,
    keras_graph,
    layer_kinds,
    recurrent,
    running,
    windows,
)
from models.clock import TimeSincePrevious  # noqa: E402
from models.intervals import AdaptiveIntervals  # noqa: E402
from models.refusals import CannotStream  # noqa: E402
from models.running import RunningCell  # noqa: E402
from models.stream import Stream  # noqa: E402
from models.timesteps import PerTimestep  # noqa: E402
from tests.training.keras_files import FEATURES, randomise, sequential  # noqa: E402
from tests.training.test_proof import attempt, functional, masked  # noqa: E402
from training.errors import ModelError  # noqa: E402


def lose_mask(patch):
    advance = recurrent.advance_cell

    def broken(cell, layer, stream, hidden, own, initial):
        return advance(cell, layer, stream, hidden, None, initial)

    patch.setattr(recurrent, "advance_cell", broken)


def skip_count(patch):
    call = RunningCell.call

    def broken(self, inputs, states, training=False):
        output, (value, count) = call(self, inputs, states)
        return output, [value, count + 1]

    patch.setattr(RunningCell, "call", broken)


def double_timesteps(patch):
    call = PerTimestep.call
    patch.setattr(PerTimestep, "call", lambda self, inputs: call(self, inputs) * 2)


def pad_with_zeros(patch):
    recall = windows.recall

    def broken(layer, *args):
        layer.padding = 0.0
        return recall(layer, *args)

    patch.setattr(windows, "recall", broken)


def scale_distributed(patch):
    distribute = keras_graph.distribute
    patch.setattr(
        keras_graph, "distribute", lambda *args, **named: distribute(*args, **named) * 2
    )


def begin_at_zeros(patch):
    patch.setattr(Stream, "begin", lambda self, tensors, states: tensors)


def with_static(join, timesteps=None):
    """A model with an input that has no timesteps."""
    events, age = keras.Input((timesteps, FEATURES)), keras.Input((2,), name="age")
    return keras.Model([events, age], join(events, age))


def join_after(events, age):
    return layers.Concatenate()([layers.GRU(2)(events), age])


def repeat(events, age):
    return layers.GRU(2)(layers.Concatenate()([events, layers.RepeatVector(4)(age)]))


# The network, the window it is served on, and what is broken.
BROKEN = {
    "mask": (lambda: functional(masked), None, lose_mask),
    "initial state": (
        lambda: with_static(lambda x, age: layers.GRU(2)(x, initial_state=age)),
        None,
        begin_at_zeros,
    ),
    "reduction": (
        lambda: sequential(layers.GlobalAveragePooling1D()),
        None,
        skip_count,
    ),
    "per timestep": (
        lambda: sequential(layers.LSTM(3), layers.Dense(2)),
        None,
        double_timesteps,
    ),
    # A TimeDistributed of a file is replaced before it streams.
    "advance_distributed": (
        lambda: sequential(layers.TimeDistributed(layers.Dense(2))),
        None,
        scale_distributed,
    ),
    "window": (
        lambda: sequential(layers.Masking(-1.0), layers.LSTM(3), shape=(4, FEATURES)),
        4,
        pad_with_zeros,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_form_broken_on_purpose_is_caught(name, monkeypatch):
    make, window, break_it = BROKEN[name]
    model = randomise(make())
    attempt(model, window)

    break_it(monkeypatch)

    with pytest.raises((ModelError, CannotStream)):
        attempt(model, window)


# A network with each form, by the name of the function that is it, and its window.
def correct_quantiles(x):
    forecast = layers.Reshape((-1, 2, 1))(layers.Dense(2)(x))
    return AdaptiveIntervals(2, [0.9], 0.05, 0.0, 1.0)(x[..., :1], forecast)


EXAMPLES = {
    "advance_recurrent": (lambda: sequential(layers.GRU(3)), None),
    "advance_convolution": (
        lambda: sequential(layers.Conv1D(2, 2, padding="causal")),
        None,
    ),
    "advance_item": (lambda: functional(lambda x: x[:, -1]), None),
    "advance_last": (lambda: sequential(layers.Flatten(), shape=(1, FEATURES)), None),
    "advance_clock": (
        lambda: sequential(layers.Dense(2), TimeSincePrevious()),
        None,
    ),
    "advance_intervals": (lambda: functional(correct_quantiles), None),
    "advance_filling": (lambda: with_static(join_after), None),
    "advance_static": (lambda: with_static(join_after), None),
    "advance_repeated": (lambda: with_static(repeat, 4), None),
    "advance_reduction": (lambda: sequential(layers.GlobalMaxPooling1D()), None),
    "advance_window": (lambda: sequential(layers.GRU(2), shape=(4, FEATURES)), 4),
}
FOUND = {name for name in vars(forms) if name.startswith("advance_")}
FORGETFUL = {"advance_item", "advance_last", "advance_repeated", "advance_static"}
REMEMBERING = sorted(set(EXAMPLES) - FORGETFUL)


def break_form(patch, name, spoil):
    """Call a form, then spoil what it returned or kept."""
    form = getattr(forms, name)

    def broken(*args, **kwargs):
        (stream,) = (arg for arg in args if isinstance(arg, Stream))
        known = set(stream.after)
        result = form(*args, **kwargs)
        return spoil(stream, set(stream.after) - known, result)

    patch.setattr(forms, name, broken)
    for kind, other in forms.FORMS.items():
        if other is form:
            patch.setitem(forms.FORMS, kind, broken)


def scale_result(stream, names, result):
    """Make an output a little too large."""
    scaled = result * 1.001
    return stream.mark_late(scaled) if stream.is_late(result) else scaled


def forget(stream, names, result):
    """Keep the memory that came in."""
    assert names, "it has no memory: not one of REMEMBERING"
    stream.after |= {name: stream.before[name] * 1.0 for name in names}
    return result


def mix_rows(stream, names, result):
    """Give every sequence the memory of another."""
    for name in names:
        stream.after[name] = keras.ops.roll(stream.after[name], 1, axis=0)
    return result


# A network with each kind of layer or operation that has a memory.
KINDS = {
    "RNN": lambda: sequential(layers.RNN(layers.SimpleRNNCell(2))),
    "LSTM": lambda: sequential(layers.LSTM(2)),
    "GRU": lambda: sequential(layers.GRU(2, reset_after=False)),
    "SimpleRNN": lambda: sequential(layers.SimpleRNN(2)),
    "Conv1D": lambda: sequential(layers.Conv1D(2, 2, padding="causal")),
    "GlobalAveragePooling1D": lambda: sequential(layers.GlobalAveragePooling1D()),
    "GlobalMaxPooling1D": lambda: sequential(layers.GlobalMaxPooling1D()),
    "Mean": lambda: functional(lambda x: keras.ops.mean(x, axis=1)),
    "Sum": lambda: functional(lambda x: keras.ops.sum(x, axis=1)),
    "Max": lambda: functional(lambda x: keras.ops.max(x, axis=1)),
    "Min": lambda: functional(lambda x: keras.ops.min(x, axis=1)),
    "first": lambda: functional(lambda x: layers.GRU(2)(x - x[:, :1])),
}


def test_every_kind_with_a_memory_is_spoiled():
    assert set(KINDS) == {*layer_kinds.REMEMBERS, *running.REDUCTIONS, "first"}


@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_every_kind_spoiled_is_caught(kind, monkeypatch):
    keep = Stream.keep

    def broken(self, names, tensors):
        keep(self, names, [tensor * 1.01 for tensor in tensors])

    model = randomise(KINDS[kind]())
    monkeypatch.setattr(Stream, "keep", broken)

    with pytest.raises(ModelError, match=r"differs from model\.predict"):
        attempt(model, None)


def test_every_form_has_an_example():
    assert {form.__name__ for form in forms.FORMS.values()} <= FOUND
    assert not FOUND - {*EXAMPLES, *BROKEN}


@pytest.mark.parametrize(
    ("name", "spoil"),
    [(name, scale_result) for name in EXAMPLES]
    + [(name, spoil) for name in REMEMBERING for spoil in (forget, mix_rows)],
)
def test_every_form_spoiled_is_caught(name, spoil, monkeypatch):
    make, window = EXAMPLES[name]
    model = randomise(make())

    break_form(monkeypatch, name, spoil)

    with pytest.raises(ModelError, match=r"differs from model\.predict"):
        attempt(model, window)
