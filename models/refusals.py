"""Which layers cannot stream, why, and what to use instead."""

from __future__ import annotations

from typing import Any

import keras

FUTURE = "at the first event of a stream the later ones have not come yet"

# Kind: what it does that a stream cannot, and the way out.
REFUSED: dict[str, tuple[str, str]] = {
    "Bidirectional": (
        "reads the sequence backwards too",
        "Use its forward layer alone.",
    ),
    "Attention": ("looks at all timesteps at once", "Use a recurrent layer."),
    "AdditiveAttention": ("looks at all timesteps at once", "Use a recurrent layer."),
    "MultiHeadAttention": ("looks at all timesteps at once", "Use a recurrent layer."),
    "GroupedQueryAttention": (
        "looks at all timesteps at once",
        "Use a recurrent layer.",
    ),
    "GlobalAveragePooling1D": (
        "averages over all timesteps",
        "Use return_sequences=False in the recurrent layer before it.",
    ),
    "GlobalMaxPooling1D": (
        "takes the largest over all timesteps",
        "Use return_sequences=False in the recurrent layer before it.",
    ),
    "AveragePooling1D": ("joins neighbouring timesteps", "Use a causal Conv1D."),
    "MaxPooling1D": ("joins neighbouring timesteps", "Use a causal Conv1D."),
    "UpSampling1D": ("makes more timesteps than came", "Leave it out."),
    "ZeroPadding1D": ("adds timesteps", 'Use padding="causal" in the Conv1D.'),
    "Cropping1D": ("drops timesteps", "Leave it out."),
    "SeparableConv1D": ("reaches for later timesteps", "Use a causal Conv1D."),
    "DepthwiseConv1D": ("reaches for later timesteps", "Use a causal Conv1D."),
    "Conv1DTranspose": ("reaches for other timesteps", "Use a causal Conv1D."),
    "ConvLSTM1D": ("has a memory with an extent in space", "Use an LSTM."),
    "ConvLSTM2D": ("has a memory with an extent in space", "Use an LSTM."),
    "ConvLSTM3D": ("has a memory with an extent in space", "Use an LSTM."),
    "Flatten": (
        "joins all timesteps",
        "Use return_sequences=False in the recurrent layer before it.",
    ),
    "Reshape": ("moves timesteps", "Reshape inside TimeDistributed."),
    "Permute": ("moves timesteps", "Leave the timesteps where they are."),
    "RepeatVector": (
        "repeats the last output over a new sequence",
        "Predict per timestep with return_sequences=True.",
    ),
}


class CannotStream(ValueError):
    """A layer needs events that have not come yet, or has no streaming form."""


def refuse_unstreamable(operation: Any) -> None:
    """Refuse a layer that cannot stream.

    Raises:
        CannotStream: Names the layer, the reason and the way out.
    """
    for kind in type(operation).__mro__:
        is_keras = kind.__module__.startswith("keras.")
        if is_keras and kind.__name__ in REFUSED:
            does, instead = REFUSED[kind.__name__]
            raise CannotStream(f"{describe(operation)} {does}; {FUTURE}. {instead}")
    if isinstance(operation, keras.layers.RNN):
        refuse_recurrent(operation)
    if isinstance(operation, keras.layers.Conv1D):
        refuse_convolution(operation)


def refuse_recurrent(layer: keras.layers.RNN) -> None:
    """Refuse a recurrent layer that runs backwards or hands its states on."""
    if layer.go_backwards:
        raise CannotStream(
            f"{describe(layer)} has go_backwards=True and begins at the end; {FUTURE}. "
            "Train it forwards."
        )
    if layer.return_state:
        raise CannotStream(
            f"{describe(layer)} has return_state=True and hands its memory to other "
            "layers, as encoders do; a stream keeps the memory. Use its output alone."
        )


def refuse_convolution(layer: keras.layers.Conv1D) -> None:
    """Refuse a convolution that reaches forward or skips timesteps."""
    is_causal = layer.padding == "causal" or layer.kernel_size == (1,)
    if not is_causal or layer.strides != (1,):
        raise CannotStream(
            f"{describe(layer)} has padding={layer.padding!r} and strides "
            f"{layer.strides[0]}, so an output waits for later timesteps or is left "
            'out. Use padding="causal" and strides=1.'
        )


def describe(operation: Any) -> str:
    """Name a layer by its name and kind."""
    return f"layer {operation.name!r} ({type(operation).__name__})"
