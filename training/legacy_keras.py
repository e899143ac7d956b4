"""Files of Keras 2, TF 1 and TF 2.0 to 2.15, translated to the form of Keras 3.

Rules for the arguments of layers; `legacy_nodes` has those for calls, `load_keras`
those for weights. What a rule cannot translate is refused: a layer that is loaded as
another is a wrong number nobody sees.
Initializers, regularizers and constraints are dropped, because they only matter in
training and their names changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops
from keras.src.legacy import layers as legacy_layers

from training.errors import ModelError
from training.legacy_nodes import MODELS, translate_graph

Config = dict[str, Any]

# Layers under other names.
RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "UnifiedLSTM": "LSTM",
    "UnifiedGRU": "GRU",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
}
# Arguments that Keras 3 has not, with the one value that changes nothing.
DROPPED: Mapping[str, Any] = {
    "time_major": False,
    "renorm": False,
    "sparse": False,
    "ragged": False,
    "virtual_batch_size": None,
    "adjustment": None,
    "stateful_metrics": None,
}
# Arguments that never changed a number.
IGNORED: tuple[str, ...] = ("fused", "input_length", "implementation", "batch_size")
IGNORED += ("autocast", "experimental_autocast", "batch_input_shape")
IGNORED += ("query_shape", "key_shape", "value_shape", "softmax_robust_masking")
IGNORED += ("rng_type",)
TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
# The functions of `tf.nn` that tf.keras wrote by other names.
ACTIVATIONS = {
    "softmax_v2": "softmax",
    "swish": "silu",
    "sigmoid_v2": "sigmoid",
    "tanh_v2": "tanh",
    "relu_v2": "relu",
}
# What Keras 2 noted beside the code of a Lambda.
LAMBDA_EXTRA = ("module", "function_type", "output_shape_")
# Layers that hold layers, and under which keys.
INNER = ("layer", "backward_layer", "forward_layer", "cell")
# What Keras 1 called its arguments, and the one that is called so to this day.
KEPT = ("Embedding", "output_dim")
KERAS_1 = (
    "output_dim",
    "inner_activation",
    "nb_filter",
    "border_mode",
    "W_regularizer",
)


@keras.saving.register_keras_serializable(package="carryover")
def keras_2_hard_sigmoid(x: Any) -> Any:
    """Compute `hard_sigmoid` as Keras 2 and TF 1 do: 0.2 x + 0.5, from 0 to 1.

    Keras 3 has x / 6 + 0.5. It was the recurrent activation of every LSTM and GRU
    saved before Keras 2.3 unless another was named.
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


HARD_SIGMOID = {
    "module": None,
    "class_name": "function",
    "config": "carryover>keras_2_hard_sigmoid",
    "registered_name": "carryover>keras_2_hard_sigmoid",
}


def translate(config: Config, *, is_legacy: bool) -> Config:
    """Translate the description of a model, or of a layer, with all it contains.

    Args:
        config: As a file has it: `class_name` and `config`.
        is_legacy: Whether a Keras before 3 wrote it, so that its rules apply; else
            only the form of an HDF5 file is brought up to date.

    Raises:
        ModelError: It uses what no rule translates.
    """
    if "module" in config and not is_legacy:
        return config
    name, options = config["class_name"], config["config"]
    rest = {k: v for k, v in config.items() if k not in ("class_name", "config")}
    if name in MODELS or "layers" in options or isinstance(options, list):
        options = translate_model(options, is_legacy=is_legacy)
    else:
        options = translate_layer(name, dict(options), is_legacy=is_legacy)
    return {**rest, **locate(name), "config": options}


def locate(name: str) -> Config:
    """Say where Keras 3 finds a class."""
    name = RENAMED.get(name, name)
    if name in MODELS:
        is_sequential = name == "Sequential"
        kept = name if is_sequential else "Model"
        return {"module": "keras.models", "class_name": kept, "registered_name": None}
    if hasattr(keras.layers, name):
        return {"module": "keras.layers", "class_name": name, "registered_name": None}
    if hasattr(legacy_layers, name):
        module = legacy_layers.__name__
        return {"module": module, "class_name": name, "registered_name": None}
    plain = name.rpartition(">")[2]
    return {"module": None, "class_name": plain, "registered_name": name}


def translate_model(options: Any, *, is_legacy: bool) -> Config:
    """Translate the layers of a model; Keras 2.2 wrote a Sequential as a list."""
    if isinstance(options, list):
        options = {"name": "sequential", "layers": options}
    layers = options["layers"]
    translated = [translate(layer, is_legacy=is_legacy) for layer in layers]
    is_sequential = "input_layers" not in options
    shape = find_shape(layers, options) if is_sequential and is_legacy else None
    if shape and translated[0]["class_name"] != "InputLayer":
        translated.insert(0, make_input(layers[0], shape))
    ends = ("input_layers", "output_layers")
    kept = {key: unwrap(options[key]) for key in ends if key in options}
    if is_legacy and not is_sequential:
        translated = translate_graph(layers, translated)
    extra = {} if is_legacy else {k: v for k, v in options.items() if k != "layers"}
    name = options.get("name", "sequential")
    return {"name": name, **extra, **kept, "layers": translated}


def unwrap(ends: Any) -> Any:
    """Take the one input or output out of a list, which Keras 3 would want again."""
    return ends[0] if isinstance(ends, list) and len(ends) == 1 else ends


def find_shape(layers: list[Config], options: Config) -> Any:
    """Find the input shape of a Sequential that begins without an InputLayer."""
    inner: Any = layers[0]["config"] if layers else {}
    while isinstance(inner, list) or "layers" in inner:
        parts = inner if isinstance(inner, list) else inner["layers"]
        inner = parts[0]["config"] if parts else {}
    shape = inner.get("batch_input_shape") or options.get("build_input_shape")
    if shape is None and isinstance(inner.get("layer"), dict):
        shape = inner["layer"].get("config", {}).get("batch_input_shape")
    return shape or inner.get("batch_shape")


def make_input(first: Config, shape: Any) -> Config:
    """Describe the InputLayer that a Sequential of Keras 2 did without."""
    options = first["config"]
    options = options if isinstance(options, dict) else {}
    name, dtype = options.get("name", "sequential"), options.get("dtype", "float32")
    dtype = dtype if isinstance(dtype, str) and "mixed" not in dtype else "float32"
    config = {"batch_shape": shape, "dtype": dtype, "name": f"{name}_input"}
    return {**locate("InputLayer"), "config": config}


def translate_layer(name: str, options: Config, *, is_legacy: bool) -> Config:
    """Translate the arguments of one layer.

    Raises:
        ModelError: The layer is of Keras 1, or no rule translates an argument.
    """
    for key in INNER:
        if isinstance(options.get(key), dict):
            options[key] = translate(options[key], is_legacy=is_legacy)
    if isinstance(options.get("cells"), list):
        cells = options["cells"]
        options["cells"] = [translate(cell, is_legacy=is_legacy) for cell in cells]
    if isinstance(options.get("axis"), list) and len(options["axis"]) == 1:
        options["axis"] = int(options["axis"][0])
    if not is_legacy:
        return options
    if any(key in options for key in KERAS_1 if (name, key) != KEPT):
        raise refuse_keras_1(f"layer {options.get('name', name)!r}")
    shape = options.get("batch_input_shape")
    options = {
        key: translate_value(key, value)
        for key, value in drop(name, options).items()
        if not key.endswith(TRAINING_ONLY)
    }
    if name == "InputLayer" and shape is not None:
        options["batch_shape"] = shape
    rule = RULES.get(name)
    return rule(options) if rule else options


def drop(name: str, options: Config) -> Config:
    """Leave out what Keras 3 has no argument for.

    Raises:
        ModelError: It has a value that matters.
    """
    for key, harmless in DROPPED.items():
        if key in options and options[key] != harmless:
            raise ModelError(
                f"layer {options.get('name', name)!r} ({name}) has {key} = "
                f"{options[key]!r}, which Keras 3 has no counterpart for; expected "
                f"{harmless!r}. Build the layer without it and save the model again."
            )
    return {k: v for k, v in options.items() if k not in DROPPED and k not in IGNORED}


def translate_value(key: str, value: Any) -> Any:
    """Translate the value of an argument: an activation, a type, an array."""
    if key.endswith("activation"):
        return translate_activation(value)
    if key == "dtype" and isinstance(value, dict):
        return value.get("config", {}).get("name", "float32")
    if isinstance(value, dict) and value.get("type") == "ndarray":
        return value["value"]
    return value


def translate_activation(value: Any) -> Any:
    """Translate an activation: a name, or a layer used as one."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    if isinstance(value, dict) and "class_name" in value:
        return translate(value, is_legacy=True)
    if value == "hard_sigmoid":
        return dict(HARD_SIGMOID)
    return ACTIVATIONS.get(value, value)


def refuse_keras_1(where: str) -> ModelError:
    """Say what becomes of a file of Keras 1."""
    return ModelError(
        f"{where} is of Keras 1, which Keras 3 cannot read. Load the file with "
        "Keras 2.2 (keras.models.load_model), which translates it, and save it again."
    )


def translate_cudnn_lstm(options: Config) -> Config:
    """Give a CuDNNLSTM what it computes with: tanh and sigmoid."""
    return {**options, "activation": "tanh", "recurrent_activation": "sigmoid"}


def translate_cudnn_gru(options: Config) -> Config:
    """Give a CuDNNGRU what it computes with, `reset_after` too."""
    return {**translate_cudnn_lstm(options), "reset_after": True}


def translate_gru(options: Config) -> Config:
    """Keep the old default: the reset gate before the product; Keras 3: after it."""
    return {"reset_after": False, "recurrent_activation": dict(HARD_SIGMOID), **options}


def translate_lstm(options: Config) -> Config:
    """Keep the old default of the gates where a file names none."""
    return {"recurrent_activation": dict(HARD_SIGMOID), **options}


def translate_leaky_relu(options: Config) -> Config:
    """Keep the slope, under its new name, and its old default, 0.3."""
    slope = options.pop("alpha", 0.3)
    return {"negative_slope": float(slope), **options}


def translate_thresholded_relu(options: Config) -> Config:
    """Keep the threshold, under its new name, and its old default, 1."""
    return {"theta": 1.0, **options}


def translate_spatial_dropout(options: Config) -> Config:
    """Leave out what matters in training only."""
    return {k: v for k, v in options.items() if k in ("name", "rate", "dtype")}


def translate_discretization(options: Config) -> Config:
    """Leave out what Keras 3 has no argument for: it has no weights."""
    return {k: v for k, v in options.items() if k != "trainable"}


def translate_upsampling(options: Config) -> Config:
    """Keep nearest; bilinear samples other points since TF 2.

    Raises:
        ModelError: It is bilinear.
    """
    if options.get("interpolation", "nearest") != "nearest":
        raise ModelError(
            f"layer {options.get('name')!r} (UpSampling2D) has interpolation "
            f"{options['interpolation']!r}, which samples other points in Keras 3. "
            'Use interpolation="nearest".'
        )
    return options


def translate_lambda(options: Config) -> Config:
    """Write the code of a Lambda as Keras 3 does, which then asks for --allow-code."""
    kept = {k: v for k, v in options.items() if not k.startswith(LAMBDA_EXTRA)}
    function = options.get("function")
    if isinstance(function, list):
        code = dict(zip(("code", "defaults", "closure"), function, strict=True))
        kept["function"] = {"class_name": "__lambda__", "config": code}
    return kept


# Layers with defaults or arguments that differ.
RULES: Mapping[str, Callable[[Config], Config]] = {
    "CuDNNLSTM": translate_cudnn_lstm,
    "CuDNNGRU": translate_cudnn_gru,
    "Discretization": translate_discretization,
    "GRU": translate_gru,
    "GRUCell": translate_gru,
    "LSTM": translate_lstm,
    "LSTMCell": translate_lstm,
    "ConvLSTM2D": translate_lstm,
    "Lambda": translate_lambda,
    "LeakyReLU": translate_leaky_relu,
    "SpatialDropout1D": translate_spatial_dropout,
    "SpatialDropout2D": translate_spatial_dropout,
    "SpatialDropout3D": translate_spatial_dropout,
    "ThresholdedReLU": translate_thresholded_relu,
    "UpSampling2D": translate_upsampling,
}
