"""Keras models of every kind of input and output, as playgrounds are given them."""

from string import ascii_lowercase

from tests import networks


def make_indices(keras):
    """Whole numbers in, as many numbers without names out."""
    events = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(5, 4)(events)
    hidden = keras.layers.GRU(6, return_sequences=True)(hidden)
    return keras.Model(events, keras.layers.Dense(5, activation="softmax")(hidden))


def make_sensors(keras):
    """Lists of numbers in, two outputs."""
    layers = keras.layers
    sensors = keras.Input((None, 3))
    hidden = layers.SimpleRNN(6, return_sequences=True)(sensors)
    outputs = [layers.Dense(2, name="position"), layers.Dense(1, name="alarm")]
    return keras.Model(sensors, [output(hidden) for output in outputs])


def make_machines(keras):
    """Records of a list of numbers and a whole number in, one number out."""
    layers = keras.layers
    sensors = keras.Input((None, 2), name="sensors")
    machine = keras.Input((None,), dtype="int32", name="machine")
    joined = layers.Concatenate()([sensors, layers.Embedding(4, 3)(machine)])
    hidden = layers.LSTM(6, return_sequences=True)(joined)
    return keras.Model([sensors, machine], layers.Dense(1)(hidden))


def make_characters(keras):
    """Letters in and out."""
    letters = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(26, 4)(letters)
    hidden = keras.layers.LSTM(6, return_sequences=True)(hidden)
    return keras.Model(letters, keras.layers.Dense(26, activation="softmax")(hidden))


def make_orders(keras):
    """Events with names of several words."""
    return make_indices(keras)


ORDERS = [f"{verb} the large white plate" for verb in ("remove", "pay", "send")]
NAMES = {
    "characters": {
        "events": [*ascii_lowercase[:-1], " "],
        "task": "next_event",
    },
    "orders": {"events": [*ORDERS, "close", "open"], "task": "next_event"},
}

PAIR = (networks.EVENTS, networks.NEXT_EVENT)
KERAS = (make_indices, make_sensors, make_machines, make_characters, make_orders)
