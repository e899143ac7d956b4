"""Random layers of every class that `keras.layers` has, and ways to call one."""

from __future__ import annotations

import inspect

import keras
from keras import layers
from keras.src.layers.input_spec import assert_input_compatibility

FEATURES, VOCABULARY = 4, 6
# Values of the parameters that layers insist on, by their names.
VALUES = {
    "units": [3, 4],
    "filters": [4],
    "kernel_size": [1, 2, 3],
    "pool_size": [2],
    "input_dim": [VOCABULARY],
    "output_dim": [3],
    "rate": [0.3],
    "stddev": [0.3],
    "n": [2],
    "dims": [(2, 1), (1, 2)],
    "target_shape": [(-1, 2), (-1, 2, 2), (-1,), (-1, 4)],
    "axes": [-1, 1, 2],
    "num_heads": [1],
    "key_dim": [2],
    "head_dim": [2],
    "num_query_heads": [2],
    "num_key_value_heads": [1],
    "scale": [2.0],
    "num_bins": [VOCABULARY],
    "activation": ["tanh", "softmax"],
    "output_size": [2],
    "output_shape": [(None, 3)],
    "equation": ["abc,cd->abd"],
    "max_number": [2],
    "height_factor": [0.1],
    "width_factor": [0.1],
    "height": [2],
    "width": [2],
    "factor": [0.1],
}
# Values of the parameters that layers have a default for, drawn now and then.
OPTIONS = {
    "activation": ["relu", "tanh", "sigmoid", "softmax"],
    "recurrent_activation": ["hard_sigmoid", "relu"],
    "padding": ["same", "causal", "valid"],
    "strides": [2],
    "dilation_rate": [2],
    "data_format": ["channels_first"],
    "merge_mode": ["sum", "ave", None],
    "axis": [1, 2, (1, 2)],
    "shared_axes": [[1]],
    "max_value": [1.0],
    "negative_slope": [0.2],
    "mask_value": [1.0],
    "recurrent_dropout": [0.2],
    "dtype": ["float16", "float64"],
}
# What a layer is not given at random, but always.
ALWAYS = {
    "CategoryEncoding": {"num_tokens": VOCABULARY},
    "Cropping3D": {"cropping": ((0, 0), (0, 1), (0, 1))},
    "Discretization": {"bin_boundaries": [-1.0, 0.0, 1.0]},
    "GroupNormalization": {"groups": 2},
    "IntegerLookup": {"vocabulary": [1, 2, 3, 4]},
    "MelSpectrogram": {"fft_length": 4, "sequence_stride": 2},
    "Normalization": {"mean": 0.5, "variance": 2.0},
    "RandomPosterization": {"factor": 4},
    "STFTSpectrogram": {
        "frame_length": 2,
        "frame_step": 1,
        "fft_length": 4,
        "window": None,
    },
}
# A layer that is drawn needs no reason.
NOT_DRAWN = {
    **dict.fromkeys(["Layer", "Wrapper"], "a base of others"),
    **dict.fromkeys(
        ["GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"], "drawn inside RNN"
    ),
    "InputLayer": "every graph has one",
    **dict.fromkeys(
        ["FlaxLayer", "JaxLayer", "TorchModuleWrapper"], "code of another library"
    ),
    "TFSMLayer": "a SavedModel on disk, not part of the file",
    "Lambda": "code: tests/training/test_model_file.py",
    "Pipeline": "not a layer of a functional graph",
    **dict.fromkeys(
        ["StringLookup", "TextVectorization", "HashedCrossing"],
        "takes text, which read_ports refuses",
    ),
    **dict.fromkeys(
        ["CutMix", "MixUp", "MaxNumBoundingBoxes"],
        "takes images with their labels or boxes, as a dict",
    ),
}


def find_layers():
    """Map the name of every layer class that Keras exports to the class."""
    return {
        kind.__name__: kind
        for _, kind in sorted(vars(layers).items())
        if inspect.isclass(kind) and issubclass(kind, layers.Layer)
    }


def make_layer(kind, rng, oddity):
    """Make a layer, its required parameters from `VALUES`.

    Args:
        kind: Its class.
        rng: Decides.
        oddity: How probable a value other than the default is, for each parameter.
    """
    given = {**ALWAYS.get(kind.__name__, {})}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name == "self" or parameter.kind in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            continue
        if parameter.default is parameter.empty and name not in given:
            given[name] = fill_parameter(kind, name, rng)
        elif name not in given and rng.random() < oddity:
            given |= choose_option(name, parameter.default, rng)
    if has_sequences(kind):
        given["return_sequences"] = rng.random() < 0.6
    if kind is layers.Conv1D and rng.random() < 0.6:
        given["padding"] = "causal"
    return kind(**given)


def has_sequences(kind):
    """Return whether a layer may give its last output only."""
    parameters = inspect.signature(kind.__init__).parameters
    return "return_sequences" in parameters or issubclass(kind, layers.RNN)


def choose_option(name, default, rng):
    """Choose another value than the default: the other one of a bool."""
    if isinstance(default, bool):
        return {name: not default}
    if name in OPTIONS and (name != "padding" or isinstance(default, str)):
        return {name: rng.choice(OPTIONS[name])}
    return {}


def fill_parameter(kind, name, rng):
    """Choose what a required parameter gets."""
    if name == "layer":
        if kind is layers.Bidirectional:
            return layers.LSTM(3, return_sequences=rng.random() < 0.6)
        inner = [layers.Dense(3), layers.LayerNormalization(), layers.Dropout(0.2)]
        return inner[0] if "Spectral" in kind.__name__ else rng.choice(inner)
    if name == "cell":
        return rng.choice([layers.GRUCell(3), [layers.LSTMCell(2), layers.GRUCell(3)]])
    return rng.choice(VALUES[name])


def call_alone(make, hidden, other):
    """Call a layer on what came before it."""
    del other
    return make()(hidden)


def call_on_list(make, hidden, other):
    """Call a layer that merges."""
    return make()([hidden, other])


def call_on_two(make, hidden, other):
    """Call a layer that takes a query and a value."""
    return make()(hidden, other)


def distribute(layer, hidden):
    """Apply a layer to every timestep, if it takes one: Keras does not look."""
    timestep = keras.KerasTensor((None, *hidden.shape[2:]), hidden.dtype)
    assert_input_compatibility(layer.input_spec, timestep, layer.name)
    return layers.TimeDistributed(layer)(hidden)


def call_in_time(make, hidden, other):
    """Apply a layer to every timestep."""
    del other
    return distribute(make(), hidden)


def call_on_index(make, hidden, other):
    """Call a layer on whole numbers."""
    del other
    return make()(keras.ops.cast(hidden, "int32"))


def call_on_picture(make, hidden, other):
    """Make a picture of 2 x 2 of every timestep, and apply a layer to each."""
    del other
    pictures = layers.Reshape((-1, 2, 2, 3))(layers.Dense(12)(hidden))
    return distribute(make(), pictures)


def call_on_solid(make, hidden, other):
    """Make a solid of 2 x 2 x 2 of every timestep, and apply a layer to each."""
    del other
    solids = layers.Reshape((-1, 2, 2, 2, 1))(layers.Dense(8)(hidden))
    return distribute(make(), solids)


def call_on_rows(make, hidden, other):
    """Take timesteps for the rows of a picture."""
    del other
    return make()(layers.Reshape((-1, hidden.shape[-1], 1))(hidden))


def call_on_planes(make, hidden, other):
    """Take pictures of every timestep for the planes of a solid."""
    del other
    return make()(layers.Reshape((-1, 2, 2, 1))(layers.Dense(4)(hidden)))


def call_on_solids(make, hidden, other):
    """Call a layer on a solid of every timestep."""
    del other
    return make()(layers.Reshape((-1, 2, 2, 2, 1))(layers.Dense(8)(hidden)))


CALLS = [call_alone, call_on_list, call_on_two, call_in_time, call_on_index]
CALLS += [call_on_picture, call_on_solid, call_on_rows, call_on_planes]
CALLS += [call_on_solids]
