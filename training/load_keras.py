"""A Keras file as a model, its weights and no optimizer.

The description is built without values first, so that its size is known before a byte
of it is allocated. Knows nothing of what is done with a model.
"""

from __future__ import annotations

import contextlib
import copy
import math
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.utils import python_utils

# Imported for the layers they register, so that files with them can be read.
import models.clock
import models.networks  # noqa: F401
from training.errors import (
    MAX_REASON_LENGTH,
    ModelError,
    TrainingError,
    find_layer,
    quote,
    shorten,
)
from training.legacy_keras import refuse_keras_1, translate
from training.model_file import (
    SMALL,
    ModelFile,
    limit_weights,
    read_model_file,
    show_bytes,
)

# A file may have its weights in half of the model's precision.
MAX_GROWTH = 4
# CuDNN layers have as many gates as theirs on a CPU, and two biases for each.
CUDNN_GATES = (3, 4)


def load_model(path: Path, *, allow_code: bool) -> Any:
    """Load a Keras model, without its optimizer.

    Args:
        path: Of a .keras or .h5 file.
        allow_code: Whether Python code stored in the file may run.

    Raises:
        ModelError: The file contains code, a class that is not known, or cannot be
            read.
    """
    file = read_model_file(path)
    if file.keras_version.startswith("1."):
        raise refuse_keras_1(str(path))
    try:
        model = build_model(file, allow_code=allow_code)
        load_weights(file, model, allow_code=allow_code)
    except TrainingError as error:
        raise ModelError(f"{path}: {error}") from error
    except Exception as error:
        raise refuse_loading(path, error) from error
    if not allow_code:
        refuse_lambdas(path, model)
    return model


def build_model(file: ModelFile, *, allow_code: bool) -> keras.Model:
    """Build a model from its description, once its size is known.

    Raises:
        ModelError: It is larger than its weights, or than what can be exported.
    """
    config = file.config
    if file.is_legacy or not file.is_zip:
        config = translate(config, is_legacy=file.is_legacy)
    if allow_code and file.is_legacy:
        lend_modules()
    check_size(file, count_bytes(config, allow_code=allow_code))
    return revive(config, allow_code=allow_code)


def lend_modules() -> None:
    """Give the code of Lambda layers what it finds by these names in Keras 2."""
    import tensorflow as tf
    from keras.src.legacy import backend

    vars(python_utils).update(tf=tf, K=backend, np=np, keras=keras)


def count_bytes(config: dict[str, Any], *, allow_code: bool) -> int:
    """Build a model without values, and return the size of its weights.

    0 where a layer cannot be built so: it brings values of its own from the file.
    """
    with keras.StatelessScope(initialize_variables=False):
        try:
            model = revive(forget_states(config), allow_code=allow_code)
            return sum(measure(variable) for variable in model.variables)
        except ValueError as error:
            if "in a stateless scope" not in str(error):
                raise
            return 0
        finally:
            # Nothing was allocated, and the next scope would allocate all of it.
            global_state.set_global_attribute("uninitialized_variables", [])


def forget_states(part: Any) -> Any:
    """Copy a description without `stateful`: states are values, not weights."""
    if isinstance(part, list):
        return [forget_states(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {k: False if k == "stateful" else forget_states(v) for k, v in part.items()}


def revive(config: dict[str, Any], *, allow_code: bool) -> keras.Model:
    """Let Keras build what a description says; it empties what it is given.

    Raises:
        ModelError: The description is not of a model.
    """
    described = {**copy.deepcopy(config), "compile_config": None}
    model = keras.saving.deserialize_keras_object(described, safe_mode=not allow_code)
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"it describes a {type(model).__name__}; expected a model of Keras."
        )
    return model


def check_size(file: ModelFile, size: int) -> None:
    """Refuse a description of more weights than the file has.

    Raises:
        ModelError: It is one.
    """
    limit_weights(file.path, size)
    if size > max(SMALL, MAX_GROWTH * file.weight_bytes):
        raise ModelError(
            f"its layers have weights of {show_bytes(size)} and the file contains "
            f"{show_bytes(file.weight_bytes)}. Save model and weights together with "
            "model.save."
        )


def measure(variable: Any) -> int:
    """Return the size of a variable in bytes."""
    bits = re.search(r"\d+$", str(variable.dtype))
    size: int = math.prod(variable.shape)
    return size * max(1, int(bits[0] if bits else 8) // 8)


def load_weights(file: ModelFile, model: keras.Model, *, allow_code: bool) -> None:
    """Read the weights of a file into its model."""
    with named_as_keras_wants(file) as path:
        if file.has_assets:
            # Only the whole of it reads what lookups have.
            whole = keras.saving.load_model(
                path, compile=False, safe_mode=not allow_code
            )
            model.set_weights(whole.get_weights())
        else:
            model.load_weights(path)


@contextlib.contextmanager
def named_as_keras_wants(file: ModelFile) -> Iterator[Path]:
    """Give a file the name that Keras knows its kind by, and CPU layers' weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("model.keras" if file.is_zip else "model.h5")
        if "CuDNN" in str(file.config):
            shutil.copyfile(file.path, path)
            with h5py.File(path, "r+") as content:
                convert_cudnn(content["model_weights"])
        else:
            path.symlink_to(file.path.resolve())
        yield path


def convert_cudnn(group: Any) -> None:
    """Turn the weights of CuDNN layers, in place, into those of LSTM and GRU.

    Their kernels are transposed, gate by gate, and each gate has two biases: an LSTM
    adds them up, a GRU with `reset_after` has them in two rows.
    """
    parts = {name.partition(":")[0]: name for name in group}
    if {"kernel", "recurrent_kernel", "bias"} <= set(parts):
        kernel, recurrent, bias = (
            group[parts[name]] for name in ("kernel", "recurrent_kernel", "bias")
        )
        units = recurrent.shape[0]
        gates = recurrent.shape[1] // units
        if gates in CUDNN_GATES and bias.shape == (2 * gates * units,):
            both = np.reshape(bias[...], (2, -1))
            biases = both.sum(axis=0) if gates == max(CUDNN_GATES) else both
            kernel[...] = np.hstack(
                [part.T.reshape(part.shape, order="F") for part in split(kernel, gates)]
            )
            recurrent[...] = np.hstack([part.T for part in split(recurrent, gates)])
            del group[parts["bias"]]
            group[parts["bias"]] = biases
    for part in group.values():
        if isinstance(part, h5py.Group):
            convert_cudnn(part)


def split(kernel: Any, gates: int) -> list[Any]:
    """Split a kernel into those of its gates."""
    return np.hsplit(kernel[...], gates)


def refuse_lambdas(path: Path, model: keras.Model) -> None:
    """Refuse layers with code that an HDF5 file let in.

    Raises:
        ModelError: There is one.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Lambda):
            raise refuse_code(path, f"layer {layer.name!r} (Lambda)")


def refuse_loading(path: Path, error: Exception) -> ModelError:
    """Say why Keras could not load a file, and what to do."""
    reason = quote(error)
    if "enable_unsafe_deserialization" in reason:
        return refuse_code(path, "a Lambda layer")
    for pattern, sentence in REASONS:
        found = re.search(pattern, reason)
        if found:
            return ModelError(f"{path} " + sentence.format(*found.groups()))
    kind = type(error).__name__
    # A lookup that failed says no more than what was looked up.
    reason = f"{kind} {reason}".strip() if isinstance(error, LookupError) else reason
    return ModelError(
        f"{path} cannot be read by Keras {keras.__version__}{find_layer(error)}: "
        f"{shorten(reason, MAX_REASON_LENGTH) or kind}. Load it in the "
        "Keras that wrote it and save it as .keras, or give --debug for the trace."
    )


MISSING_CODE = (
    "needs {0!r}, which is neither in Keras nor, as code, in the file. A model "
    "class of your own on a graph of layers loads without it: save "
    "keras.Model(model.inputs, model.outputs) instead. Of one with a call() of its own "
    "make a graph: save keras.Model(x, model.call(x)), where x is keras.Input(shape). "
    "For a layer or a function, use one of Keras's."
)
# What Keras says, and the sentence for it.
REASONS = (
    (r"Could not locate (?:class|function) '([^']*)'", MISSING_CODE),
    (r"Unknown (?:layer|\w+): '([^']*)'", MISSING_CODE),
    (
        r"Could not interpret activation function identifier: [{]",
        "has a lambda for an activation, and Keras does not read its code back. Use "
        "one of keras.activations, such as tanh, or an operation of keras.ops after "
        "the layer, and save the model again.",
    ),
    (
        r"Could not interpret activation function identifier: (\S+)",
        "has the activation {0!r}, which Keras 3 does not know. Use one of "
        "keras.activations, such as tanh, and save the model again.",
    ),
    (
        r"name '(\w+)' is not defined",
        "has a Lambda that uses {0!r}, which is not in the file. Use layers of Keras "
        "in its place, or import it inside of the function.",
    ),
    (
        r"(bad marshal data|code\(\) |marshal data too short|unknown opcode)",
        "has a Lambda compiled by another version of Python ({0}). Load the model in "
        "that version, use layers of Keras in its place, and save it again.",
    ),
    (
        r"(?:mismatch|expected \d+ variables|Weight count|Layer count)(.*)",
        "has weights that do not fit its layers{0:.160}. Save the model again with "
        'model.save("my_model.keras").',
    ),
)


def refuse_code(path: Path, where: str) -> ModelError:
    """Say why a file with code in it is not loaded."""
    return ModelError(
        f"{path} has {where}, which is Python code stored in the file: loading it runs "
        "whatever its author put there, with your rights. Give --allow-code "
        "if you trust where it comes from, or save the model with layers of Keras "
        "instead, such as Rescaling or an operation of keras.ops."
    )
