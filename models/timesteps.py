"""An operation applied to every timestep as if each were a row of the batch.

Needed after a layer that gives only its last output, where every event may be the last,
and for `TimeDistributed`. Timesteps are folded into the batch and unfolded again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from models.gates import Tensor


def is_tensor(value: Any) -> bool:
    """Distinguish a tensor of the graph from an argument that is not."""
    return isinstance(value, keras.KerasTensor)


def find_tensors(args: Any, kwargs: Any) -> list[Tensor]:
    """List the tensors among the arguments of a call."""
    return [x for x in keras.tree.flatten((args, kwargs)) if is_tensor(x)]


def bind(
    operation: Callable[..., Any], args: Any, kwargs: Any
) -> Callable[[Sequence[Tensor]], Any]:
    """Fix all arguments of a call but its tensors, as `x * 2.0` and `x[:, 1]` need."""

    def call(tensors: Sequence[Tensor]) -> Any:
        left = iter(tensors)

        def fill(value: Any) -> Any:
            return next(left) if is_tensor(value) else value

        filled, named = keras.tree.map_structure(fill, (args, kwargs))
        return operation(*filled, **named)

    return call


def at_rest(operation: Any) -> Callable[..., Any]:
    """Return an operation unchanged when nothing is trained.

    Layers that augment pictures take part in training by default.
    """
    if not getattr(operation, "_call_has_training_arg", False):
        call: Callable[..., Any] = operation
        return call
    return lambda *args, **kwargs: operation(*args, **{**kwargs, "training": False})


def apply_per_timestep(operation: Any, args: Any, kwargs: Any) -> Any:
    """Apply an operation on (batch, ...) to tensors (batch, timesteps, ...)."""
    call = bind(at_rest(operation), args, kwargs)
    return PerTimestep(operation, call)(find_tensors(args, kwargs))


class Unmasked(keras.layers.Layer):
    """A layer with an output without a mask, whatever came with its inputs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        """Hand no mask on."""
        del args, kwargs


class PerTimestep(Unmasked):
    """Applies an operation to every timestep as if each were a row of the batch.

    Args:
        operation: A layer or an operation of `keras.ops`; its weights are borrowed.
        apply: Calls it with a list of tensors.

    Call arguments:
        inputs: Tensors of shape (batch, timesteps, ...).
    """

    def __init__(self, operation: Any, apply: Callable[..., Any], **kwargs: Any):
        super().__init__(**kwargs)
        self.operation = operation
        self.apply = apply

    def call(self, inputs: Sequence[Tensor]) -> Any:
        """Fold timesteps into the batch, apply, and unfold."""
        batch, timesteps = ops.shape(inputs[0])[0], ops.shape(inputs[0])[1]

        def unfold(x: Tensor) -> Tensor:
            return ops.reshape(x, (batch, timesteps, *find_sizes(x, 1)))

        results = self.apply([fold(x) for x in inputs])
        return keras.tree.map_structure(unfold, results)


def distribute(
    layer: keras.layers.TimeDistributed, hidden: Tensor, mask: Any = None, **_: Any
) -> Tensor:
    """Apply the layer in a `TimeDistributed`, and hand the mask on as Keras does.

    Keras itself loops over timesteps, or fails where their number is not known.
    """
    own = keras.src.backend.get_keras_mask(hidden) if mask is None else mask
    takes_mask = own is not None and layer.layer._call_has_mask_arg
    given = {"mask": own} if takes_mask else {}
    result = apply_per_timestep(layer.layer, (hidden,), given)
    if own is not None:
        keras.src.backend.set_keras_mask(result, own)
    return result


class MaskedMerge(Unmasked):
    """Merges tensors by a layer that reads their masks inside of its call.

    A graph that runs again passes masks only as arguments, so they are arguments here.

    Args:
        merge: The layer, such as Multiply, which takes masked values for 1.

    Call arguments:
        inputs: Tensors of shape (batch, timesteps, ...).
        masks: Bool of shape (batch, timesteps) for each, or None.
    """

    def __init__(self, merge: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.merge = merge

    def call(self, inputs: Sequence[Tensor], masks: Sequence[Any]) -> Tensor:
        """Give copies of the tensors their masks, and merge them."""
        marked = [ops.copy(x) for x in inputs]
        for x, mask in zip(marked, masks, strict=True):
            keras.src.backend.set_keras_mask(x, mask)
        return self.merge(marked)


def merge_masked(layer: keras.layers.Layer, inputs: Sequence[Tensor], **_: Any) -> Any:
    """Merge tensors with the masks they have, and hand the mask on as Keras does."""
    result = layer(inputs)
    masks = [keras.src.backend.get_keras_mask(x) for x in inputs]
    if all(mask is None for mask in masks):
        return result
    own = keras.src.backend.get_keras_mask(result)
    merged = MaskedMerge(layer, name=layer.name)(inputs, masks)
    keras.src.backend.set_keras_mask(merged, own)
    return merged


def fold(x: Tensor) -> Tensor:
    """Make rows of timesteps: (batch, timesteps, ...) to (batch * timesteps, ...)."""
    return ops.reshape(x, (-1, *find_sizes(x, 2)))


def find_sizes(x: Tensor, first: int) -> Sequence[Any]:
    """Return the sizes of a tensor's axes from one on, also of those left open."""
    sizes: Sequence[Any] = x.shape[first:]
    return ops.shape(x)[first:] if None in sizes else sizes


class Flat(Unmasked):
    """Joins the axes of features: (batch, timesteps, ...) to (batch, timesteps, n)."""

    def call(self, inputs: Tensor) -> Tensor:
        """Reshape, by sizes that are known when it runs."""
        batch, timesteps = ops.shape(inputs)[0], ops.shape(inputs)[1]
        return ops.reshape(inputs, (batch, timesteps, math.prod(inputs.shape[2:])))


class Shaped(Unmasked):
    """Base of layers that give their results a shape.

    Args:
        shape: Of the result, without the axes that keep their size.
    """

    def __init__(self, shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "shape": self.shape}


class LastStep(Shaped):
    """Gives the last of a sequence's timesteps, its features as one axis if asked.

    Stands for `Flatten` and `Reshape` in models of one timestep a call. Its shape is
    without the batch.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Take the last timestep."""
        return ops.reshape(inputs[:, -1], (-1, *self.shape))


class FeatureReshape(Shaped):
    """Gives the features of every timestep other axes: those of its shape.

    Stands for a `Reshape` that leaves the timesteps where they are, and undoes `Flat`.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Reshape, by sizes that are known when it runs."""
        batch, timesteps = ops.shape(inputs)[0], ops.shape(inputs)[1]
        return ops.reshape(inputs, (batch, timesteps, *self.shape))
