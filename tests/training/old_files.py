"""Files of Keras 2 and TF 1, made of a file of today by rewriting what it says.

The weights stay; `model_config` and the attributes become what those versions wrote.
"""

from __future__ import annotations

import json

import h5py

VERSIONS = {
    "Keras 2.1": "2.1.6",
    "Keras 2.2": "2.2.4",
    "TF 1": "2.1.6-tf",
    "TF 2.0": "2.2.4-tf",
    "TF 2.15": "2.15.0",
}
# Arguments of Keras 3 that older files have not.
NEW = ("module", "registered_name", "build_config", "compile_config")
NEW_OPTIONS = ("seed", "zero_output_for_mask", "quantization_config", "autocast")
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell")


def write_old(path, version, change=lambda config: config):
    """Rewrite an HDF5 file of Keras 3 as an older version would have written it.

    Args:
        path: The file.
        version: The value of `keras_version`.
        change: Applied to the old description of the model.
    """
    with h5py.File(path, "r+") as file:
        config = make_old(json.loads(file.attrs["model_config"]), version)
        file.attrs["model_config"] = json.dumps(change(config))
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"] = version.encode()
    return path


def make_old(part, version):
    """Take what is new out of a description, and add what was there."""
    if isinstance(part, list):
        return [make_old(one, version) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("class_name") == "DTypePolicy":
        return part["config"]["name"]
    part = {k: make_old(v, version) for k, v in part.items() if k not in NEW}
    if "class_name" in part and isinstance(part.get("config"), dict):
        part["config"] = make_old_options(part["class_name"], part["config"], version)
    return part


def make_old_options(name, options, version):
    """Write the arguments of a layer as an older version had them."""
    options = {k: v for k, v in options.items() if k not in NEW_OPTIONS}
    if "batch_shape" in options:
        options["batch_input_shape"] = options.pop("batch_shape")
        options["sparse"] = options["ragged"] = False
    if name in RECURRENT:
        options["implementation"] = 1 if version.startswith("2.1") else 2
        if not name.endswith("Cell") and version.endswith(("-tf", ".0")):
            options["time_major"] = False
    if name == "LeakyReLU":
        options["alpha"] = options.pop("negative_slope")
    for key, value in options.items():
        if key.endswith("_initializer"):
            # TF 1 gave initializers a type, which Keras 3 does not take.
            value["config"] = {**value["config"], "dtype": "float32"}
    return options


def without_input_layer(config):
    """Move the shape of a Sequential to its first layer, as Keras 2 did."""
    layers = config["config"]["layers"]
    shape = layers[0]["config"]["batch_input_shape"]
    layers[1]["config"]["batch_input_shape"] = shape
    config["config"]["layers"] = layers[1:]
    return config


def as_a_list(config):
    """Write a Sequential as Keras before 2.2.3 did."""
    layers = without_input_layer(config)["config"]["layers"]
    return {"class_name": "Sequential", "config": layers}
