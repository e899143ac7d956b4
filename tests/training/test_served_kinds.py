"""Kinds of models that people have, over HTTP: the numbers of the model itself.

One small model for several kinds each, because an export takes seconds.
"""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from tests.training.keras_files import FEATURES, sequential  # noqa: E402
from tests.training.served import ask, predict, publish, serve  # noqa: E402

TOLERANCE = 1e-5
WINDOW, PADDING = 3, -1.0
AGE = [0.75, -1.5]
WORDS = 5


def make_halves():
    """Mixed types, the states of a layer as outputs of its name, and a bool."""
    inputs = keras.Input((None, FEATURES))
    hidden = layers.GRU(3, return_sequences=True, dtype="mixed_bfloat16")(inputs)
    states = layers.LSTM(2, return_state=True, dtype="mixed_float16", name="cell")
    output, *rest = states(hidden)
    positive = layers.Identity(name="positive")(output > 0)
    return keras.Model(inputs, [output, *rest, positive])


def make_pictures():
    """Pictures of bytes."""
    return sequential(
        layers.Rescaling(1 / 255),
        layers.TimeDistributed(layers.Conv2D(2, 2)),
        layers.TimeDistributed(layers.Flatten()),
        layers.LSTM(2),
        shape=(None, 3, 3, 1),
        dtype="uint8",
    )


def make_window():
    """Backwards too, over padded windows, with an input that has no timesteps."""
    events = keras.Input((WINDOW, FEATURES), name="events")
    age = keras.Input((2,), name="age")
    hidden = layers.Bidirectional(layers.LSTM(2))(layers.Masking(PADDING)(events))
    joined = layers.Concatenate()([hidden, age])
    return keras.Model([events, age], layers.Dense(1)(joined))


def make_sentences():
    """Two words a timestep, looked up within it, as in networks of sentences."""
    words = layers.Embedding(WORDS, 3)
    return sequential(
        layers.TimeDistributed(keras.Sequential([keras.Input((2,)), words])),
        layers.TimeDistributed(layers.Flatten()),
        layers.GRU(2),
        shape=(None, 2),
        dtype="int32",
    )


def make_flags():
    """Bits alone, as of switches."""
    flags = keras.Input((None, FEATURES), dtype="bool")
    both = [keras.ops.where(flags, 2.0, -1.0), keras.ops.cast(flags, "float32")]
    return keras.Model(flags, layers.GRU(2)(layers.Concatenate()(both)))


def make_masked():
    """A mask of an Embedding, through all that hands it on, to a second layer."""
    words = keras.Input((None,), dtype="int32")
    looked = layers.Embedding(WORDS, 4, mask_zero=True)(words)
    hidden = layers.LSTM(4, return_sequences=True)(looked)
    hidden = layers.LayerNormalization()(layers.Dropout(0.2)(layers.Dense(4)(hidden)))
    hidden = layers.Concatenate()([layers.Add()([hidden, looked]), looked])
    return keras.Model(words, layers.LSTM(3)(hidden))


MODELS = {
    "flags": (make_flags, {}),
    "masked": (make_masked, {}),
    "sentences": (make_sentences, {}),
    "halves": (make_halves, {}),
    "pictures": (make_pictures, {}),
    "window": (make_window, {"window": WINDOW}),
}


def draw(name):
    """Draw events as the model takes them, one after another."""
    rng = np.random.default_rng(1)
    if name == "pictures":
        return rng.integers(0, 256, (4, 3, 3, 1)).astype("uint8")
    if name == "flags":
        return rng.integers(0, 2, (4, FEATURES)).astype("bool")
    if name == "masked":
        return np.array([0, 3, 0, 0, 2, 4, 0], "int32")
    if name == "sentences":
        return rng.integers(0, WORDS, (4, 2)).astype("int32")
    return rng.normal(size=(4, FEATURES)).round(2).astype("float32")


def list_events(name):
    """The same as a client sends them: what has no timesteps with the first only."""
    drawn = draw(name)
    if name == "masked":
        return drawn.tolist()
    drawn = drawn.astype("int32") if name == "flags" else drawn
    events = [event.ravel().tolist() for event in drawn]
    if name != "window":
        return events
    first, *others = [{"events": event} for event in events]
    return [{**first, "age": AGE}, *others]


def expect(name, model, stop):
    """Return what the model says of the first events."""
    events = draw(name)[:stop]
    if name == "halves":
        # Halves called without a graph have other last digits where the processor
        # computes with them itself.
        return [output[0] for output in model.predict(events[None], verbose=0)]
    if name == "window":
        missing = [(max(0, WINDOW - stop), 0), (0, 0)]
        events = np.pad(events[-WINDOW:], missing, constant_values=PADDING)
        return predict(model, events, np.array(AGE, "float32"))
    return predict(model, events)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    loaded = {
        name: publish(folder, name, make(), **options)
        for name, (make, options) in MODELS.items()
    }
    client = serve(*(version for _, version in loaded.values()))
    return {name: model for name, (model, _) in loaded.items()}, client


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("keeps", ["session", "memory"])
def test_events_sent_singly_give_what_the_model_says(served, name, keeps):
    models, client = served
    memory = {keeps: "one" if keeps == "session" else None}
    for stop, event in enumerate(list_events(name), 1):
        answer = ask(client, name, {"sequence": [event], **memory})
        memory = {keeps: answer[keeps]}

        expected = keras.tree.flatten(expect(name, models[name], stop))
        names = ["values"]
        if len(expected) > 1:
            names = ["cell", "cell_1", "cell_2", "positive"]
        for key, values in zip(names, expected, strict=True):
            np.testing.assert_allclose(
                answer[key], values.astype("float32"), rtol=0, atol=TOLERANCE
            )


def test_numbers_outside_a_type_are_the_nearest_it_has(served):
    _, client = served
    outside = [[-3.5, 300, 1e9, 12.7] * 2 + [0]]
    inside = [[0, 255, 255, 12] * 2 + [0]]

    answers = [
        ask(client, "pictures", {"sequence": events, "memory": None})["values"]
        for events in (outside, inside)
    ]

    assert answers[0] == answers[1]


def test_a_word_may_be_written_with_a_point(served):
    events = ([1, 2], [1.0, 2.0])
    whole, pointed = (ask(served[1], "sentences", {"sequence": [e]}) for e in events)

    assert whole == pointed


@pytest.mark.parametrize("word", [-1, WORDS, 0.5])
def test_a_word_that_the_embedding_lacks_is_refused(served, word):
    _, client = served

    problem = ask(client, "sentences", {"sequence": [[0, word]]}, status=400)

    assert f"whole numbers, 0 to {WORDS - 1}" in problem["error"]


@pytest.mark.parametrize(("words", "status"), [([0, 4], 200), ([0, 5], 400)])
def test_words_are_checked_in_tensors_too(served, words, status):
    tensor = {"name": "sequence", "datatype": "FP32", "shape": [1, 1, 2]}
    body = {"inputs": [{**tensor, "data": words}]}

    response = served[1].post("/v2/models/sentences/infer", json=body)

    assert response.status_code == status, response.text
