"""What stands behind a layer that gives only its last output, in a stream.

There every event may be the last, so the rest of the network is applied to each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from models.gates import Tensor
from models.refusals import CannotStream
from models.stream import Stream


def is_tensor(value: Any) -> bool:
    """Tell a tensor of the graph from an argument that is not."""
    return isinstance(value, keras.KerasTensor)


def advance_per_sequence(
    operation: Any,
    stream: Stream,
    tensors: Sequence[Tensor],
    late: Sequence[Tensor],
    args: Any,
    kwargs: Any,
) -> Any:
    """Apply what stood behind a last output to the output of every timestep."""
    if len(late) < len(tensors):
        raise CannotStream(
            f"layer {operation.name!r} joins an output of the whole sequence with one "
            "per timestep; at the first timestep of a stream the sequence is not whole "
            "yet. Use return_sequences=True in the recurrent layer before it."
        )
    result = PerTimestep(operation)(*args, **kwargs)
    for tensor in keras.tree.flatten(result):
        stream.per_sequence[id(tensor)] = tensor
    return result


class PerTimestep(keras.layers.Layer):
    """Applies an operation to every timestep as if each were a batch's row.

    Args:
        operation: A layer or an operation of `keras.ops` on (batch, ...); its weights
            are borrowed.

    Call arguments:
        Those of the operation, with tensors of shape (batch, timesteps, ...).
    """

    def __init__(self, operation: Any, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # the operation casts, if any
        self.operation = operation

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Fold timesteps into the batch, apply, and unfold."""
        first = next(x for x in keras.tree.flatten((args, kwargs)) if is_array(x))
        batch, timesteps = ops.shape(first)[0], ops.shape(first)[1]

        def fold(x: Any) -> Any:
            return ops.reshape(x, (-1, *x.shape[2:])) if is_array(x) else x

        def unfold(x: Tensor) -> Tensor:
            return ops.reshape(x, (batch, timesteps, *x.shape[1:]))

        args, kwargs = keras.tree.map_structure(fold, (args, kwargs))
        return keras.tree.map_structure(unfold, self.operation(*args, **kwargs))


def is_array(value: Any) -> bool:
    """Tell a tensor inside a layer's call from an argument that is not."""
    return hasattr(value, "shape") and hasattr(value, "dtype")
