"""A model that mixes the sequences of a batch is refused, with the layer that does."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from models.refusals import CannotStream  # noqa: E402
from tests.training.keras_files import randomise  # noqa: E402
from tests.training.test_proof import attempt, functional  # noqa: E402
from training.errors import ModelError  # noqa: E402

WINDOW = 4


@keras.saving.register_keras_serializable(package="tests")
class Scaled(layers.Layer):
    """Scales by the largest number of all sequences, not of each."""

    def call(self, inputs):
        return inputs / (1 + keras.ops.max(keras.ops.abs(inputs)))


def share_softmax(x):
    """A softmax over axis 1 of what has no such axis but the batch."""
    last = layers.GRU(2)(x)
    return keras.ops.softmax(last, axis=0)


def join_rows(x):
    """Broadcasts a value of each sequence over the batch of another tensor."""
    return layers.GRU(2)(x) * layers.Dense(2)(x)


MIXING = {
    "scaled": (lambda x: layers.GRU(2)(Scaled(name="own")(x)), None, "'own' (Scaled)"),
    "softmax": (share_softmax, WINDOW, "(Softmax) mixes"),
    "picture": (
        lambda x: layers.AutoContrast(name="own")(x),
        WINDOW,
        "'own' (AutoContrast) mixes",
    ),
    "broadcast": (join_rows, WINDOW, "on one sequence and fails"),
}
JOINING = {
    "crop": (lambda x: layers.CenterCrop(2, 2)(x), WINDOW, "sequences of a batch"),
    "loudest": (
        lambda x: layers.MelSpectrogram(fft_length=4, sequence_stride=2)(x),
        WINDOW,
        "power_to_db=False",
    ),
    "row": (lambda x: layers.GRU(2)(x)[1], None, "sequences of a batch"),
    "unbatched": (lambda x: layers.AutoContrast()(x), None, "rows of one picture"),
    "list": (
        lambda x: layers.GRU(2)(layers.Activation("tanh")([x, x])[1]),
        None,
        "list of 2 tensors and makes (2, 2, 2, 3)",
    ),
    "list in a window": (
        lambda x: layers.GRU(2)(layers.Activation("tanh")([x, x])[1]),
        WINDOW,
        "Call it on each tensor",
    ),
    "encoding": (
        lambda x: layers.CategoryEncoding(3)(keras.ops.cast(x, "int32")),
        None,
        'output_mode="one_hot"',
    ),
}


@pytest.mark.parametrize("name", MIXING)
def test_a_model_that_mixes_sequences_is_refused_with_the_layer(name):
    build, window, words = MIXING[name]

    with pytest.raises(ModelError) as refused:
        attempt(randomise(functional(build)), window)

    assert words in str(refused.value)
    assert "several clients in one batch" in str(refused.value)


@pytest.mark.parametrize("name", JOINING)
def test_an_operation_on_the_whole_batch_is_refused(name):
    build, window, words = JOINING[name]

    with pytest.raises(CannotStream) as refused:
        attempt(randomise(functional(build)), window)

    assert words in str(refused.value)


def test_layers_that_augment_pictures_do_nothing_when_served():
    def augment(x):
        last = layers.Reshape((1, 2, 2, 1))(layers.Dense(4)(layers.GRU(2)(x)))
        return layers.TimeDistributed(layers.RandomTranslation(0.3, 0.3))(last)

    assert attempt(randomise(functional(augment)), None).difference <= 1e-6
