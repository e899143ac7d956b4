"""Keras files that cannot be served are refused in one sentence, nothing published."""

from __future__ import annotations

import zipfile

import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from tests.training.keras_files import (  # noqa: E402
    FEATURES,
    NAMES,
    change_archive,
    export,
    make_next_event,
    save,
    sequential,
)
from training.__main__ import main  # noqa: E402
from training.errors import ModelError  # noqa: E402
from training.export_keras import ExportRequest, export_file  # noqa: E402


@keras.saving.register_keras_serializable(package="tests")
class Average(layers.Layer):
    """A layer nobody knows, which mixes timesteps."""

    def call(self, inputs):
        return inputs - keras.ops.mean(inputs, axis=1, keepdims=True)


def write(folder, names):
    path = folder / "names.txt"
    path.write_text("\n".join(names) + "\n")
    return str(path)


def make_bidirectional():
    return sequential(layers.Bidirectional(layers.LSTM(3), name="both"))


def make_static():
    inputs = keras.Input((5,), name="age")
    return keras.Model(inputs, layers.Dense(2)(inputs))


def make_reserved():
    inputs = keras.Input((None, FEATURES))
    step = layers.LSTM(3, return_sequences=True, name="step")(inputs)
    return keras.Model(inputs, [step, layers.Dense(2, name="fine")(step)])


def make_text():
    names = keras.Input((None,), dtype="string")
    index = layers.StringLookup(vocabulary=["a", "b"])(names)
    return keras.Model(names, layers.LSTM(2)(layers.Embedding(3, 2)(index)))


def make_fixed():
    return sequential(layers.Bidirectional(layers.LSTM(3)), shape=(5, FEATURES))


def make_rounded():
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(3, 2)(inputs // 2)
    return keras.Model(inputs, layers.LSTM(3)(hidden))


def make_encoded():
    inputs = keras.Input((None,), dtype="int32", name="code")
    encode = layers.CategoryEncoding(6, output_mode="one_hot")
    return keras.Model(inputs, layers.LSTM(3)(encode(inputs)))


def make_lookup():
    inputs = keras.Input((None, FEATURES))
    index = keras.ops.cast(inputs[..., 0], "int32")
    return keras.Model(inputs, layers.GRU(3)(layers.Embedding(6, 2)(index)))


def make_shortened():
    inputs = keras.Input((None, FEATURES))
    return keras.Model(inputs, layers.LSTM(3, return_sequences=True)(inputs)[:, 1:])


def make_summed():
    inputs = keras.Input((None, FEATURES))
    hidden = layers.LSTM(3, return_sequences=True)(inputs)
    return keras.Model(inputs, keras.ops.cumsum(hidden, axis=1))


def make_numbers():
    return sequential(layers.Reshape((7, 1)), layers.LSTM(2), shape=(7,))


def make_shifted():
    """A record with a second Embedding that lacks the last index of the first."""
    machine = keras.Input((None,), dtype="int32", name="machine")
    sensors = keras.Input((None, FEATURES), name="sensors")
    tables = [layers.Embedding(4, 2, name="own"), layers.Embedding(4, 2, name="next")]
    looked = [tables[0](machine), tables[1](machine + 1), sensors]
    hidden = layers.LSTM(3)(layers.Concatenate()(looked))
    return keras.Model([sensors, machine], hidden)


def make_partly_stateful():
    return keras.Sequential(
        [
            keras.Input(batch_shape=(1, 1, FEATURES)),
            layers.LSTM(3, stateful=True, return_sequences=True),
            layers.GRU(2),
        ]
    )


def make_lines():
    """Text of whole lines, without an axis of timesteps."""
    lines = layers.TextVectorization(vocabulary=["a"], output_sequence_length=4)
    hidden = layers.Embedding(3, 2)(lines(text := keras.Input((1,), dtype="string")))
    return keras.Model(text, layers.LSTM(2)(hidden))


def make_consecutive():
    """Stateful, and not for a number of timesteps: its calls may be of any length."""
    inputs = keras.Input(batch_shape=(1, None, FEATURES))
    hidden = layers.LSTM(3, stateful=True, return_sequences=True)(inputs)
    return keras.Model(inputs, layers.GRU(2)(hidden))


def make_unknown_shape():
    """Keras cannot run the code to find out."""
    return sequential(layers.Lambda(lambda x: NOT_THERE * x, name="code"))  # noqa: F821


REFUSED = {
    "encoded": (make_encoded, [], "CategoryEncoding declare it as keras.Input((None"),
    "shifted": (make_shifted, [], "to 4 before layer 'next'"),
    "partly stateful": (
        make_partly_stateful,
        [],
        "Make all recurrent layers stateful, or none",
    ),
    "consecutive": (make_consecutive, [], "the stateful model in consecutive calls"),
    "number of the window": (make_fixed, [], "its last 5 events with --window 5."),
    "numbers": (make_numbers, [], "with --window 7."),
    "lines": (make_lines, [], "takes text"),
    "unknown shape": (
        make_unknown_shape,
        ["--allow-code"],
        "the shape after layer 'code' (Lambda) is not known",
    ),
    "code in an activation": (
        lambda: sequential(layers.LSTM(2, activation=lambda x: x)),
        [],
        "a lambda for an activation",
    ),
    "padding": (make_fixed, ["--padding=1"], "no window to pad"),
    "padding of infinity": (
        make_fixed,
        ["--window=5", "--padding=inf"],
        "--padding is inf; expected a number",
    ),
    "window of one": (
        lambda: sequential(layers.GRU(2)),
        ["--window=1"],
        "number of timesteps, 2 to 4096",
    ),
    "padding with no event": (
        make_next_event,
        ["--window=4", "--padding=0.5"],
        "the index of an event, 0 to 4",
    ),
    "shortened": (make_shortened, [], "some of the timesteps"),
    "summed": (make_summed, [], "works along the timesteps"),
    "window": (make_fixed, ["--window=4"], "--window is 4"),
    "lookup": (make_lookup, [], "the indices -100 to 100"),
    "rounded": (make_rounded, ["--events", "3"], "the same index"),
    "Bidirectional": (make_bidirectional, [], "'both'"),
    "vocabulary": (make_next_event, ["--events", "3"], "3 names"),
    "labels": (make_next_event, ["--labels", "3"], "3 labels"),
    "logits": (lambda: sequential(layers.LSTM(3)), ["--labels", "3"], "softmax"),
    "task": (make_next_event, ["--task", "next-event"], "--events"),
    "mixing": (
        lambda: sequential(Average(), layers.GRU(3)),
        [],
        "layer 'average' (Average) is not",
    ),
    "static": (make_static, [], "'age'"),
    "reserved": (make_reserved, [], "'step'"),
    "text": (make_text, [], "text"),
}


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_served_is_refused_in_one_sentence(tmp_path, capsys, case):
    make, options, words = REFUSED[case]
    path = save(tmp_path, make())
    options = [
        write(tmp_path, NAMES[: int(option)]) if option.isdecimal() else option
        for option in options
    ]

    status = export(path, tmp_path, *options)

    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error
    assert not list((tmp_path / "artifacts").glob("mine/*"))


@pytest.mark.parametrize("name", ["", "a b", "../x", "..", "ü", "x" * 65])
def test_name_that_is_no_address_is_refused(tmp_path, capsys, name):
    assert main(["export", str(tmp_path / "m.keras"), "--name", name]) == 2
    assert "--name is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("none.keras", None, "is not a file"),
        ("model.txt", b"x", "is not a Keras file"),
        ("text.keras", b"hello", "is not a Keras file"),
        ("text.h5", b"hello", "is not a Keras file"),
        ("empty.keras", b"PK\x05\x06" + bytes(18), "without config.json"),
    ],
)
def test_what_is_no_keras_file_is_refused(tmp_path, capsys, file, content, words):
    if content is not None:
        (tmp_path / file).write_bytes(content)

    status = export(tmp_path / file, tmp_path)

    error = capsys.readouterr().err
    assert status == 2
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [("a\n\nb\n", "line 2 is empty"), ("a\nb\na\n", "line 3"), ("", "is empty")],
)
def test_vocabulary_that_names_no_index_is_refused(tmp_path, capsys, text, words):
    path = save(tmp_path, make_next_event())
    (tmp_path / "words.txt").write_text(text)

    status = export(path, tmp_path, "--events", str(tmp_path / "words.txt"))

    assert status == 2
    assert words in capsys.readouterr().err


def test_unknown_class_is_named_with_ways_out(tmp_path):
    class Unregistered(keras.Model):
        """Not registered anywhere, with code of its own."""

        def __init__(self):
            super().__init__()
            self.remember = layers.LSTM(3)

        def call(self, inputs):
            return self.remember(inputs)

    model = Unregistered()
    model(keras.ops.zeros((1, 2, FEATURES)))
    path = save(tmp_path, model)

    with pytest.raises(ModelError, match=r"'Unregistered'.*save keras\.Model\(x, "):
        export_file(ExportRequest(path, "mine"), tmp_path)

    inputs = keras.Input((None, FEATURES))
    keras.Model(inputs, model.call(inputs)).save(path)
    assert export_file(ExportRequest(path, "mine", compiled=False), tmp_path)


def make_own_layer():
    class Own(layers.Layer):
        """Not registered anywhere."""

    return sequential(Own(), layers.LSTM(3))


def make_own_function():
    def own(x):
        return x

    return sequential(layers.LSTM(3, activation=own))


@pytest.mark.parametrize(
    ("make", "name"), [(make_own_layer, "Own"), (make_own_function, "own")]
)
def test_code_of_ones_own_is_named_with_a_way_out(tmp_path, capsys, make, name):
    path = save(tmp_path, make())

    assert export(path, tmp_path) == 2

    error = capsys.readouterr().err
    assert (
        f"needs {name!r}, which is neither in Keras nor, as code, in the file" in error
    )
    assert "use one of Keras's" in error
    assert error.count("\n") == 1


def test_unknown_activation_is_named(tmp_path, capsys):
    path = save(tmp_path, sequential(layers.LSTM(3)))
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").replace(b'"tanh"', b'"wobble"')
    change_archive(path, {"config.json": config})

    assert export(path, tmp_path) == 2

    error = capsys.readouterr().err
    assert "has the activation 'wobble', which Keras 3 does not know" in error
    assert error.count("\n") == 1
