"""Models that go without programs, and say why."""

import pytest

pytestmark = pytest.mark.tensorflow


from models.export import FORMS  # noqa: E402
from models.export.compilation import (  # noqa: E402
    CannotCompile,
    Program,
    compile_programs,
)
from tests import networks  # noqa: E402
from tests.models.program_files import add_programs, export  # noqa: E402


def build_uncompilable():
    """A network with an operation that LiteRT lacks."""
    import keras

    sequence = keras.Input((None,), dtype="int32", name="sequence")
    hidden = keras.ops.one_hot(sequence, len(networks.VOCABULARY))
    hidden = keras.layers.LSTM(4, return_sequences=True)(hidden)
    hidden = keras.ops.erfinv(hidden)
    return keras.Model(sequence, keras.layers.Dense(2, activation="softmax")(hidden))


def test_network_that_cannot_be_compiled_goes_without_and_says_why(tmp_path):
    network = build_uncompilable()
    export(tmp_path / "1", network)

    description = add_programs(tmp_path / "1", network).describe()

    assert description["programs"] == []
    assert "advance_1x1 cannot be compiled" in description["programs_note"]
    assert "Erfinv" in description["programs_note"]
    assert not list(tmp_path.rglob("*.tflite"))


def test_lookups_are_not_compiled_and_say_why():
    import keras

    numbers = keras.Input((None, 1), name="sequence")
    index = keras.layers.IntegerLookup(vocabulary=[1, 2])(
        keras.ops.cast(keras.layers.GRU(2)(numbers), "int64")
    )
    network = keras.Model(numbers, index)

    with pytest.raises(CannotCompile, match=r"no counterpart for tf\.HashTable"):
        list(compile_programs(network, {"kind": "values", "name": "values"}, FORMS[:1]))


def test_a_program_that_fails_is_a_reason_to_go_without(tmp_path, monkeypatch):
    network = networks.build(networks.EVENTS, networks.LABEL)
    export(tmp_path / "1", network)
    broken = [Program(FORMS[0], b"TFL3" * 8, {})]
    monkeypatch.setattr(
        "models.export.programs.compile_programs", lambda *_, **__: broken
    )

    made = add_programs(tmp_path / "1", network)

    assert made.entries == []
    assert made.note.startswith("a program fails: ")


def test_programs_that_compute_something_else_are_not_written(tmp_path):
    network = networks.build(networks.EVENTS, networks.LABEL)
    export(tmp_path / "1", network)
    network.set_weights([weights + 0.1 for weights in network.get_weights()])

    programs = add_programs(tmp_path / "1", network)

    assert programs.entries == []
    assert "off the network in float64" in programs.note
    assert not list(tmp_path.rglob("*.tflite"))
