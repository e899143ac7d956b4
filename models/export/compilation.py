"""Compilation: one signature of a network as a LiteRT program for one fixed shape.

The recurrent layers are unrolled and the weights are constants, so that nothing is left
to decide when it runs. Inputs and outputs keep the names of the signature.
Does not know whether a program computes the same: `models.export.comparison` does.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError
from tensorflow.lite.python.lite import TFLiteSavedModelConverterV2

from models.export.resources import find_resources
from models.features import Schema
from models.streaming import stream_network

# Memory of whole sequences is carried one event at a time, by as many sessions as are
# waiting: doubling sizes waste less than half of a batch on padding.
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
# For one sequence that arrives whole: a call instead of 16, in half the time. Not for
# more rows: measured on two LSTM-128, an event takes 14 us in a batch of 4 and 11 in a
# chunk of it, 11 and 9 in one of 16. A fifth is not worth compiling each for seconds.
CHUNK = 64
# What the converter raises when an operation has no counterpart or a shape is unknown.
CONVERTER_ERRORS = (ConverterError, NotImplementedError, RuntimeError, ValueError)
MAX_REASON_LENGTH = 300  # characters; the converter quotes whole graphs
UNCOMPILED = re.compile(r"'(tf\.\w+)' op is neither a custom op nor a flex op")


class CannotCompile(Exception):
    """A network has no compiled form that computes the same."""


class Form(NamedTuple):
    """Shape that a program is compiled for.

    Args:
        signature: `advance` or `explain`.
        batch: Rows of a call.
        timesteps: Timesteps of a call; `length` may be less.
    """

    signature: str
    batch: int
    timesteps: int

    @property
    def name(self) -> str:
        """Name of the program's file, without its ending."""
        return f"{self.signature}_{self.batch}x{self.timesteps}"


class Program(NamedTuple):
    """A form, its LiteRT flatbuffer and the shapes of its memory, without the batch."""

    form: Form
    content: bytes
    memory: dict[str, tuple[int, ...]]


FORMS = (
    *(Form("advance", batch, 1) for batch in BATCH_SIZES),
    Form("advance", 1, CHUNK),
    Form("explain", 1, 1),
)


def compile_programs(
    network: keras.Model,
    outputs: Schema,
    forms: Iterable[Form] = FORMS,
    *,
    quantize: str | None = None,
) -> Iterator[Program]:
    """Compile a trained network, one program per form.

    Args:
        network: As `models.streaming.stream_network` takes it.
        outputs: Its output schema.
        forms: Signature, batch size and timesteps of each program.
        quantize: None keeps float32; `int8` and `float16` store the weights so.

    Yields:
        The programs, in the order of `forms`.

    Raises:
        CannotCompile: LiteRT has no counterpart for something the network does; the
            message names it.
    """
    streams = {}
    for form in forms:
        if form.timesteps not in streams:
            streams[form.timesteps] = stream_network(network, outputs, form.timesteps)
        streaming = streams[form.timesteps]
        model = getattr(streaming, form.signature)
        try:
            content = convert(trace(model, form.batch), network, form, quantize)
        except CONVERTER_ERRORS as error:
            raise CannotCompile(
                f"{form.name} cannot be compiled: {shorten(str(error))}"
            ) from error
        yield Program(form, content, streaming.memory)


def trace(model: keras.Model, batch: int) -> Any:
    """Trace a model of named tensors for one batch size."""
    specs = {
        name: tf.TensorSpec((batch, *tensor.shape[1:]), tensor.dtype, name)
        for name, tensor in model._inputs_struct.items()
    }

    @tf.function(autograph=False)
    def signature(**tensors: Any) -> Any:
        return model(tensors, training=False)

    return signature.get_concrete_function(**specs)


def convert(
    function: Any, network: keras.Model, form: Form, quantize: str | None
) -> bytes:
    """Convert a traced function, weights frozen, to built-in operations alone.

    By way of a SavedModel, the only one that keeps the names of inputs and outputs.
    Not with the converter's public calls: before this same one they load the folder
    three times, for notes about the graph that take a third of the time.
    """
    module = tf.Module()
    module.network_variables = [variable.value for variable in network.variables]
    module.resources = find_resources(network)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={form.signature: function})
        converter = TFLiteSavedModelConverterV2(
            folder, {tf.saved_model.SERVING}, [form.signature]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        graph = function.graph.as_graph_def()
        content: bytes = converter._convert_from_saved_model(graph)
    return content


def shorten(reason: str) -> str:
    """Make one line of the converter's message, which quotes its graph as MLIR text."""
    operations = dict.fromkeys(UNCOMPILED.findall(reason))
    if operations:
        return f"LiteRT has no counterpart for {', '.join(operations)}."
    line = " ".join(reason.split())
    return (
        line
        if len(line) <= MAX_REASON_LENGTH
        else line[: MAX_REASON_LENGTH - 3] + "..."
    )
