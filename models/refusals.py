"""Layers that cannot stream, with the reason and the alternative."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import keras

from models.gates import Tensor
from models.layer_kinds import BATCH, OUTSIDE_TIME, REFUSED, ROWS, WINDOW
from models.stream import Stream

FUTURE = "at the first event of a stream the later ones have not come yet"
PAST = "to attend to all events so far, a memory would grow with every event"
# Operations that make an axis; its number counts the axes after it.
MAKES_AXIS = ("Stack", "ExpandDims", "OneHot")
# Axes of one picture, without that of a batch.
UNBATCHED = 3
# The longest part of a message of Keras that is repeated.
MAX_CAUSE_LENGTH = 160
# What Keras puts around it.
COLOURS = re.compile(r"\x1b\[\d*m")
WRAPS = re.compile(r"Exception encountered when calling|Could not automatically infer")


class CannotStream(ValueError):
    """A layer needs events that have not come yet, or has no streaming form."""


def refuse_unstreamable(operation: Any, tensors: Sequence[Tensor]) -> None:
    """Refuse a layer that cannot stream.

    Args:
        operation: A layer or an operation of `keras.ops`.
        tensors: What it gets, all of shape (batch, timesteps, ...).

    Raises:
        CannotStream: Names the layer, the reason and the way out.
    """
    for kind in type(operation).__mro__:
        is_keras = kind.__module__.startswith("keras.")
        if is_keras and kind.__name__ in REFUSED:
            if keeps_timesteps(operation, tensors):
                return
            does, instead = REFUSED[kind.__name__]
            if does == ROWS and len(tensors[0].shape) == UNBATCHED:
                does, instead = BATCH
            why = (
                ""
                if does in OUTSIDE_TIME
                else f"; {PAST if is_causal(operation) else FUTURE}"
            )
            raise CannotStream(f"{describe(operation)} {does}{why}. {instead}")
    known = [
        refuse for kind, refuse in CONDITIONS.items() if isinstance(operation, kind)
    ]
    if known:
        known[0](operation)
    elif tensors:
        refuse_axis(operation, len(tensors[0].shape))


def is_causal(operation: Any) -> bool:
    """Return whether a layer of attention is called so that it looks back only."""
    return any(
        node.arguments.kwargs.get("use_causal_mask")
        for node in operation._inbound_nodes
    )


def keeps_timesteps(operation: Any, tensors: Sequence[Tensor]) -> bool:
    """Return whether an operation moves the axes of features only."""
    moved = MOVES.get(type(operation).__name__)
    if moved is None or not tensors:
        return False
    rank = len(tensors[0].shape)
    return all(axis % rank > 1 for axis in moved(operation, rank))


def list_axes(axis: Any) -> list[int]:
    """List axes that Keras takes as one number or several; None stands for all."""
    if axis is None:
        return [0]
    return list(axis) if isinstance(axis, (list, tuple)) else [axis]


def find_permuted(order: Sequence[int]) -> list[int]:
    """List the axes that a permutation puts elsewhere."""
    return [place for place, axis in enumerate(order) if axis != place]


# The axes that an operation moves, or moves along: (operation, rank) to a list.
MOVES: dict[str, Callable[[Any, int], list[int]]] = {
    "Permute": lambda layer, _: find_permuted([0, *layer.dims]),
    "Transpose": lambda op, rank: find_permuted(
        [axis % rank for axis in op.axes or range(rank)[::-1]]
    ),
    "Swapaxes": lambda op, _: [op.axis1, op.axis2],
    "Moveaxis": lambda op, _: [*list_axes(op.source), *list_axes(op.destination)],
    "Roll": lambda op, _: list_axes(op.axis),
    "Flip": lambda op, _: list_axes(op.axis),
}


def refuse_encoding(layer: keras.layers.CategoryEncoding) -> None:
    """Refuse an encoding that Keras makes of axis 1, whatever the axes are.

    Raises:
        CannotStream: The encoding joins the timesteps.
    """
    if layer.output_mode != "one_hot":
        raise CannotStream(
            f"{describe(layer)} has output_mode={layer.output_mode!r} and joins all "
            'timesteps. Use output_mode="one_hot", which encodes each alone.'
        )


def refuse_batch(operation: Any, tensors: Sequence[Any], results: Any) -> None:
    """Refuse an operation after which the sequences of a batch are others.

    Raises:
        CannotStream: Its result has a first axis of its own.
    """
    if getattr(operation, "power_to_db", False):
        raise CannotStream(
            f"{describe(operation)} has power_to_db=True and compares every spectrum "
            "with the loudest of its batch, which is that of several clients. Use "
            "power_to_db=False and take the logarithm with keras.ops.log."
        )
    given = [x for x in tensors if isinstance(x, keras.KerasTensor)]
    if not given or any(x.shape[:1] != (None,) for x in given):
        return
    for result in keras.tree.flatten(results):
        if isinstance(result, keras.KerasTensor) and result.shape[:1] != (None,):
            raise CannotStream(
                f"{describe(operation)} makes {tuple(result.shape)} of "
                f"{tuple(given[0].shape)}: it joins or picks sequences of a batch, "
                "which are those of several clients. Keep axis 0 unchanged, and give "
                "a layer for pictures an axis of channels."
            )


def refuse_list(operation: Any, args: Sequence[Any], results: Any) -> None:
    """Refuse a layer for one tensor that was called with a list of several.

    Keras declares as many outputs for an Activation; when it runs, it stacks them.

    Raises:
        CannotStream: It returns another number of tensors than the graph declares.
    """
    said = len(keras.tree.flatten(results))
    if said < 2 or not (args and isinstance(args[0], (list, tuple))):
        return
    try:
        made = keras.tree.flatten(operation(*keras.tree.map_structure(fill, args)))
    except Exception:
        return  # its failure has a sentence where the model itself runs
    if len(made) != said:
        raise CannotStream(
            f"{describe(operation)} is called with a list of {len(args[0])} tensors "
            f"and makes {tuple(made[0].shape)} of two sequences: it stacks what are "
            "sequences of several clients. Call it on each tensor."
        )


def fill(value: Any) -> Any:
    """Return zeros in the shape of a tensor of the graph, two where a size is open."""
    if not isinstance(value, keras.KerasTensor):
        return value
    return keras.ops.zeros([size or 2 for size in value.shape], value.dtype)


def refuse_recurrent(layer: keras.layers.RNN) -> None:
    """Refuse a recurrent layer that runs backwards.

    Raises:
        CannotStream: The layer runs backwards.
    """
    if layer.go_backwards:
        raise CannotStream(
            f"{describe(layer)} has go_backwards=True and begins at the end; {FUTURE}. "
            f"Train it forwards. {WINDOW}"
        )


def refuse_states(layer: Any, initial: Sequence[Tensor], stream: Stream) -> None:
    """Refuse a recurrent layer that begins at what a sequence led to.

    Args:
        layer: The layer.
        initial: The states it is given.
        stream: Has values of static inputs, which are known at the first event.

    Raises:
        CannotStream: Its initial states come from a sequence.
    """
    if all(map(stream.is_static, initial)):
        return
    raise CannotStream(
        f"{describe(layer)} is given its initial_state by a layer on a sequence; the "
        "memory of a session begins before its first event. Give it that of an input "
        "without timesteps, or concatenate the value to the layer's input instead. "
        f"{WINDOW}"
    )


def refuse_join(operation: Any) -> CannotStream:
    """Refuse an operation on a value of the whole sequence and one per timestep."""
    return CannotStream(
        f"{describe(operation)} joins a value of the whole sequence with one per "
        "timestep; at the first timestep of a stream the sequence is not whole yet. "
        "Use return_sequences=True in the recurrent layer before it; repeat an input "
        f"without timesteps with RepeatVector. {WINDOW}"
    )


def refuse_convolution(layer: keras.layers.Conv1D) -> None:
    """Refuse a convolution that reaches forward or skips timesteps.

    Raises:
        CannotStream: The convolution is not causal, or has a stride.
    """
    is_causal = layer.padding == "causal" or layer.kernel_size == (1,)
    is_last = layer.data_format == "channels_last"
    if is_causal and layer.strides == (1,) and is_last:
        return
    reach = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    why = f"data_format={layer.data_format!r} and strides {layer.strides[0]}"
    if is_last and layer.strides == (1,):
        what = "needs" if layer.padding == "same" else "gives no output for"
        events = f"later events, {reach} in all around each" * (what == "needs")
        why = f"{what} {events or f'the first {reach} events'}"
    raise CannotStream(
        f"{describe(layer)} has padding={layer.padding!r} and {why}, so a stream would "
        'not equal model.predict after each event. Use padding="causal", '
        f'data_format="channels_last" and strides=1. {WINDOW}'
    )


# Layers that stream with some of their options.
CONDITIONS: dict[type, Callable[[Any], None]] = {
    keras.layers.RNN: refuse_recurrent,
    keras.layers.Conv1D: refuse_convolution,
    keras.layers.CategoryEncoding: refuse_encoding,
}


def refuse_axis(operation: Any, rank: int) -> None:
    """Refuse an operation that works along the timesteps or across the batch.

    Raises:
        CannotStream: Its axis is that of the timesteps or of the batch.
    """
    axes = find_axes(operation, rank)
    shared = getattr(operation, "shared_axes", None)
    has_slopes = isinstance(operation, keras.layers.PReLU) and 1 not in (shared or [])
    if has_slopes or any(axis in (0, 1) for axis in axes):
        raise CannotStream(
            f"{describe(operation)} works along the timesteps or across the batch; "
            f"{FUTURE}. Use the axis of features, axis=-1. {WINDOW}"
        )


def find_axes(operation: Any, rank: int) -> list[int]:
    """List the axes an operation works along, counted from the first."""
    axis = getattr(operation, "axis", getattr(operation, "axes", 2))
    is_layer = isinstance(operation, keras.layers.Layer)
    if axis is None:
        return [] if is_layer else [0]  # an operation then takes all of them
    axes = axis if isinstance(axis, (list, tuple)) else [axis]
    rank += type(operation).__name__ in MAKES_AXIS
    return [a + rank if a < 0 else a for a in axes if isinstance(a, int)]


def refuse_failure(operation: Any, error: Exception) -> CannotStream:
    """Turn an exception of Keras on a stream's tensors into a sentence."""
    return CannotStream(
        f"{describe(operation)} cannot be run one event at a time, because the number "
        f"of timesteps is then open: {find_cause(error)}. Use a layer that treats "
        f"every timestep alone. {WINDOW}"
    )


def find_cause(error: Exception) -> str:
    """Return the line of an exception of Keras that says what was wrong."""
    plain = COLOURS.sub("", str(error)).partition("Arguments received by")[0]
    lines = [line.strip() for line in plain.splitlines()]
    lines = [line for line in lines if line and not WRAPS.match(line)]
    return (lines or [type(error).__name__])[0][:MAX_CAUSE_LENGTH].rstrip(".")


def describe(operation: Any) -> str:
    """Name a layer by its name and kind."""
    return f"layer {operation.name!r} ({type(operation).__name__})"
