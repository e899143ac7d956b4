"""The inputs of somebody's Keras model, as kinds of events a client can send.

An input of integers (batch, timesteps) takes an index, one of floats (batch, timesteps,
features) a vector; several inputs are the fields of a record. Knows no layers but the
size an `Embedding` gives an index.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from keras import ops

from models.gates import Tensor
from models.schemas import Schema, brief
from models.statics import StaticValue
from models.timesteps import FeatureReshape

# Every whole number up to here is exact in float32, so an index can be a column.
MAX_INDEX = 2**24


class CannotServe(ValueError):
    """A Keras model's inputs or outputs have no form a client could send or read."""


@dataclass(frozen=True)
class Port:
    """One input of a model.

    Args:
        name: Its name in the model.
        type: `index` or `vector`.
        size: How many indices there are, 0 where nothing says; or numbers in a vector.
        dtype: What the model takes.
        has_features: Whether there is an axis of features after the timesteps.
        is_static: Whether there are no timesteps: an event may leave it out, and the
            newest value counts.
        shape: Of an event with several axes, such as a picture; a client sends its
            numbers as one list, the last axis first to vary.
        indices: How many there are where a vector is made of indices, else 0.
    """

    name: str
    type: str
    size: int
    dtype: str
    has_features: bool
    is_static: bool = False
    shape: tuple[int, ...] = ()
    indices: int = 0

    @property
    def field(self) -> Schema:
        """The field of a record it is."""
        field = {"name": self.name, "type": self.type, **self.sizes}
        return {**field, "static": True} if self.is_static else field

    @property
    def sizes(self) -> Schema:
        """Number of its columns, and the values that each may have."""
        indices = {"indices": self.indices} if self.indices else {}
        boolean = {"boolean": True} if self.dtype == "bool" else {}
        return {"size": self.size, **indices, **boolean}

    @property
    def columns(self) -> int:
        """Columns it takes in a sequence of records."""
        return self.size if self.type == "vector" else 1


def read_ports(
    inputs: Sequence[Tensor], sizes: Mapping[int, int], *, is_window: bool = False
) -> list[Port]:
    """Describe what each input takes.

    Args:
        inputs: The model's symbolic inputs.
        sizes: `input_dim` of the Embedding after an input, by the input's position.
        is_window: Whether a lone input of shape (batch, n) is a window of n numbers.

    Raises:
        CannotServe: An input has no timesteps, takes text, or has further axes.
    """
    for tensor in inputs:
        refuse_text(tensor)
    if is_window and len(inputs) == 1 and len(inputs[0].shape) == 2:
        return [read_port(inputs[0], sizes.get(0))]
    static = {
        k
        for k in range(len(inputs))
        if is_static(k, inputs, sizes) and not is_mask(inputs[k], inputs)
    }
    if len(static) == len(inputs) or any(len(inputs[k].shape) < 2 for k in static):
        tensor = inputs[min(static)]
        raise CannotServe(
            f"input {tensor.name!r} has shape {show(tensor.shape)} and no timesteps; a "
            "stream takes inputs of shape (batch, timesteps, features). Give it that "
            "axis, or serve whole windows of N values with --window N."
        )
    lengths = {x.shape[1] for k, x in enumerate(inputs) if k not in static}
    if len(lengths) > 1:
        raise CannotServe(
            f"the inputs have different numbers of timesteps ({show(lengths)}); one "
            "event has all of them at once. Give them all shape[1] = None."
        )
    ports = [read_port(tensor, sizes.get(k)) for k, tensor in enumerate(inputs)]
    return [
        read_static(tensor, port) if k in static else port
        for k, (tensor, port) in enumerate(zip(inputs, ports, strict=True))
    ]


def is_static(k: int, inputs: Sequence[Tensor], sizes: Mapping[int, int]) -> bool:
    """Return whether an input has no timesteps while others have."""
    shape = inputs[k].shape
    others = {len(x.shape) for x in inputs}
    lengths = {x.shape[1] for x in inputs if len(x.shape) > 1}
    is_flat = len(shape) == 2 and shape[1] and not is_index(inputs[k], sizes.get(k))
    is_one = len(shape) == 2 and shape[1] == 1 and (len(lengths) > 1 or 3 in others)
    return len(shape) < 2 or bool(is_flat) or is_one


def refuse_text(tensor: Tensor) -> None:
    """Refuse an input of text.

    Raises:
        CannotServe: The input is text.
    """
    if tensor.dtype == "string":
        raise CannotServe(
            f"input {tensor.name!r} takes text; look the names up before the model "
            "instead: save the part after its StringLookup or TextVectorization and "
            "give the names with --events."
        )


def is_mask(tensor: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Return whether an input says of every timestep of others whether it counts."""
    lengths = {x.shape[1] for x in inputs if len(x.shape) > 2}
    return tensor.dtype == "bool" and tensor.shape[1:] in {(n,) for n in lengths}


def read_static(tensor: Tensor, port: Port) -> Port:
    """Describe what an input without timesteps takes: (batch, size)."""
    if port.type == "index":
        return replace(port, is_static=True)
    size, has_features = tensor.shape[1], True
    return replace(port, size=size, has_features=has_features, is_static=True)


def is_index(tensor: Tensor, size: int | None) -> bool:
    """Return whether an input holds whole numbers, as it must before an Embedding."""
    return size is not None or tensor.dtype.lstrip("u").startswith("int")


def read_port(tensor: Tensor, size: int | None) -> Port:
    """Describe what one input takes.

    Raises:
        CannotServe: An axis after the timesteps has no size, or indices are too many.
    """
    shape, dtype, where = tensor.shape, tensor.dtype, f"input {tensor.name!r}"
    if None in shape[2:]:
        raise CannotServe(
            f"{where} has shape {show(shape)}; expected (batch, timesteps) or (batch, "
            "timesteps, features) with a known number of features. Give every axis "
            "after the timesteps a size."
        )
    indices = size or 0
    if indices > MAX_INDEX:
        raise CannotServe(f"{where} has {size} indices; at most {MAX_INDEX} are exact.")
    if len(shape) == 2 and is_index(tensor, size):
        return Port(tensor.name, "index", indices, dtype, False)
    own = tuple(shape[2:])
    axes = own if len(own) > 1 else ()
    numbers = math.prod(own)
    return Port(tensor.name, "vector", numbers, dtype, bool(own), False, axes, indices)


def describe_inputs(ports: Sequence[Port], events: Sequence[str] | None) -> Schema:
    """Write the input schema of a model.

    Args:
        ports: Its inputs.
        events: The names of the indices or of the one-hot features, if there are any.

    Raises:
        CannotServe: The names do not fit, or nothing says how many indices there are.
    """
    if events is not None:
        check_events(ports, events)
        return {"kind": "event", "vocabulary": list(events)}
    for port in ports:
        if not port.size:
            raise CannotServe(
                f"input {port.name!r} takes whole numbers, and no Embedding after it "
                "says how many there are. Give their names with --events; before "
                "IntegerLookup, Hashing or CategoryEncoding declare it as "
                "keras.Input((None, 1)) instead; its events are plain numbers."
            )
    if len(ports) == 1:
        return {"kind": ports[0].type, **ports[0].sizes}
    return {"kind": "record", "fields": [port.field for port in ports]}


def check_events(ports: Sequence[Port], events: Sequence[str]) -> None:
    """Refuse names that are not as many as the model has events.

    Raises:
        CannotServe: There are more or fewer names than events.
    """
    if len(ports) > 1:
        raise CannotServe(
            "--events names the events of a model with one input; this one has "
            f"{brief([port.name for port in ports])}. Leave it out: an event is an "
            "object with these fields."
        )
    (port,) = ports
    if port.size not in (0, len(events)):
        what = (
            "Embedding has input_dim" if port.type == "index" else "input has features"
        )
        raise CannotServe(
            f"--events has {len(events)} names and the model's {what} {port.size}; "
            "they must be as many, line k naming index k. An index kept for padding "
            "or for unknown events needs a name too, such as [PAD] or [UNK]."
        )


def split_sequence(
    sequence: Tensor, ports: Sequence[Port], inputs: Schema
) -> list[Tensor]:
    """Turn an encoded sequence into what a model's inputs take.

    Args:
        sequence: int32 of shape (batch, timesteps) for kinds `event` and `index`, else
            float32 of shape (batch, timesteps, columns).
        ports: The inputs.
        inputs: The input schema.

    Returns:
        A tensor per input, of shape (batch, timesteps) or (batch, timesteps, features).
    """
    if inputs["kind"] in ("event", "index"):
        (port,) = ports
        if port.type == "vector":
            return [ops.one_hot(sequence, port.size, dtype=port.dtype)]
        return [ops.cast(sequence, port.dtype)]
    tensors, start = [], 0
    for port in ports:
        part = sequence[..., start : start + port.columns]
        part = StaticValue()(part) if port.is_static else part
        is_wide = port.has_features or port.is_static
        part = part if is_wide else part[..., 0]
        part = FeatureReshape(port.shape)(part) if port.shape else part
        tensors.append(cast_numbers(part, port.dtype))
        start += port.columns
    return tensors


def cast_numbers(part: Tensor, dtype: str) -> Tensor:
    """Cast numbers to what an input takes, the nearest it has for those outside.

    Without the limits, what -1 or 300 becomes as uint8 differs from machine to machine.
    """
    if "int" in dtype:
        limits = np.iinfo(dtype)
        # The largest float32 that the type has: 2**31 - 1 rounds to one too many.
        above = np.float32(limits.max + 1)
        high = min(limits.max, float(np.nextafter(above, np.float32(0))))
        part = ops.clip(part, float(limits.min), float(high))
    return ops.cast(part, dtype)


def sequence_of(inputs: Schema, columns: int) -> Tensor:
    """Build the Keras input named `sequence` that an input schema asks for."""
    if inputs["kind"] in ("event", "index"):
        return keras.Input((None,), dtype="int32", name="sequence")
    return keras.Input((None, columns), dtype="float32", name="sequence")


def show(sizes: Iterable[int | None]) -> str:
    """Write a shape or sizes, None as `any`."""
    words = ["any" if size is None else str(size) for size in sizes]
    return f"({', '.join(words)})"
