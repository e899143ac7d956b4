import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import tensorflow as tf  # noqa: E402
from ai_edge_litert import schema_py_generated as schema  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402

from models.export import (  # noqa: E402
    FORMS,
    HOT_FORMS,
    export_network,
    export_programs,
)
from models.export.comparison import (  # noqa: E402
    Errors,
    check_as_near,
    check_differences,
    check_errors,
    compare_programs,
)
from models.export.compilation import (  # noqa: E402
    CannotCompile,
    Form,
    Program,
    compile_programs,
    convert,
    trace,
)
from models.export.running import (  # noqa: E402
    STEPS,
    Distance,
    advance,
    begin,
    load_program,
)
from models.export.truth import truth_call, widen_network  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from tests import networks, reference  # noqa: E402

# The names of the operations by their numbers in a compiled program.
BUILTIN = {
    number: name
    for name, number in vars(schema.BuiltinOperator).items()
    if isinstance(number, int)
}
# Between LiteRT and Keras on one event: rounding of a few float32 operations.
ROUNDING = 1e-6
FEW_FORMS = (Form("advance", 2, 1), Form("advance", 2, 4), Form("explain", 1, 1))
NETWORKS = {
    "rnn next event": (networks.EVENTS, networks.NEXT_EVENT, {"cell": "rnn"}),
    "gru next event": (networks.EVENTS, networks.NEXT_EVENT, {"cell": "gru"}),
    "two lstm labels": (networks.EVENTS, networks.LABEL, {"units": (8, 6)}),
    "peephole labels": (networks.EVENTS, networks.LABEL, {"cell": "peephole"}),
    "lstm forecast": (networks.SERIES, networks.FORECAST, {}),
    "mixed records": (networks.SHOP, networks.QUANTILES, {"embedding": 3}),
}


def real_sequences(inputs):
    """Sequences that are not the export's own random ones."""
    if inputs is networks.EVENTS:
        return networks.random_events(2, 40, seed=3)
    if inputs is networks.SERIES:
        return networks.half_hours(40, seed=3)
    return networks.shop_visits(2, 40)


def compiled(network, outputs, forms):
    return {p.form: p for p in compile_programs(network, outputs, forms)}


@pytest.mark.parametrize("case", NETWORKS)
def test_programs_equal_the_saved_model_after_a_thousand_carried_steps(tmp_path, case):
    inputs, outputs, options = NETWORKS[case]
    network = networks.build(inputs, outputs, **options)
    real = real_sequences(inputs)
    export_network(network, inputs, outputs, tmp_path / "1", real=real)
    programs = list(compile_programs(network, outputs, FEW_FORMS))

    differences = compare_programs(tmp_path / "1", programs, inputs, outputs, real=real)

    assert STEPS == 1_000
    assert outputs["name"] in differences
    assert set(programs[0].memory) < set(differences)
    check_differences(differences, outputs["name"])


@pytest.fixture(scope="module")
def lstm():
    """A network, and its programs by form."""
    network = networks.build(networks.EVENTS, networks.NEXT_EVENT)
    return network, compiled(network, networks.NEXT_EVENT, FEW_FORMS)


@pytest.mark.parametrize("form", FEW_FORMS)
def test_programs_have_the_signature_and_its_names(lstm, form):
    _, programs = lstm
    memory = {"short_term_0", "long_term_0", "expected"}

    interpreter = Interpreter(model_content=programs[form].content)
    (signature,) = interpreter.get_signature_list().items()

    name, tensors = signature
    assert name == form.signature
    assert set(tensors["inputs"]) == {"sequence", "length"} | memory
    assert set(tensors["outputs"]) >= {"probabilities", "surprise"} | memory
    assert ("forget_0" in tensors["outputs"]) == (form.signature == "explain")


@pytest.mark.parametrize("form", FEW_FORMS)
def test_programs_have_a_loop_for_chunks_only_and_nothing_of_tensorflow(lstm, form):
    _, programs = lstm

    operations = list_operations(programs[form].content)

    assert ("WHILE" in operations) == (form.timesteps > 1)
    assert not {"READ_VARIABLE", "CUSTOM"} & operations
    assert not [name for name in operations if name.startswith("Flex")]


def list_operations(content):
    """List the operations that a compiled program uses, custom ones by their names."""
    model = schema.Model.GetRootAs(content)
    codes = [model.OperatorCodes(k) for k in range(model.OperatorCodesLength())]
    return {BUILTIN[c.BuiltinCode()] for c in codes} | {
        c.CustomCode().decode() for c in codes if c.CustomCode()
    }


def test_a_row_of_length_zero_keeps_its_memory(lstm):
    _, programs = lstm
    program = programs[FEW_FORMS[0]]
    rng = np.random.default_rng(1)
    memory = {
        name: rng.uniform(0.1, 0.9, array.shape).astype("float32")
        for name, array in begin(program, 2).items()
    }

    results = load_program(program)(
        sequence=np.zeros((2, 1), "int32"), length=np.array([1, 0], "int32"), **memory
    )

    for name in memory:
        np.testing.assert_array_equal(results[name][1], memory[name][1])
        assert not np.array_equal(results[name][0], memory[name][0])


def test_chunks_of_rows_of_different_length_equal_the_network(lstm):
    network, programs = lstm
    program = programs[FEW_FORMS[1]]
    sequence = networks.random_events(2, 4)

    results = load_program(program)(
        sequence=sequence, length=np.array([4, 2], "int32"), **begin(program, 2)
    )

    whole = network(sequence).numpy()
    got = results["probabilities"]
    np.testing.assert_allclose(got[0], whole[0], atol=ROUNDING)
    np.testing.assert_allclose(got[1, :2], whole[1, :2], atol=ROUNDING)
    np.testing.assert_allclose(results["expected"][1], whole[1, 1], atol=ROUNDING)


def test_explaining_changes_no_prediction(lstm):
    _, programs = lstm
    advancing, explaining = programs[FEW_FORMS[0]], programs[FEW_FORMS[2]]
    sequence = networks.random_events(2, 30)

    plain, _ = advance(load_program(advancing), sequence, begin(advancing, 2), 1)
    shown, _ = advance(load_program(explaining), sequence[:1], begin(explaining, 1), 1)

    np.testing.assert_allclose(
        shown["probabilities"], plain["probabilities"][:1], atol=ROUNDING
    )


def export(path, network):
    real = networks.random_events(2, 6)
    export_network(network, networks.EVENTS, networks.LABEL, path, real=real)


def add_programs(path, network, forms=HOT_FORMS[:1], **options):
    real = networks.random_events(2, 6)
    schemas = networks.EVENTS, networks.LABEL
    return export_programs(network, *schemas, path, real=real, forms=forms, **options)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network with weights worth quantizing, and its SavedModel."""
    network = networks.build(networks.EVENTS, networks.LABEL, units=(48,))
    # Smaller, or 48 units are chaotic: then rounding alone grows without bound.
    network.set_weights([0.2 * weights for weights in network.get_weights()])
    path = tmp_path_factory.mktemp("programs") / "1"
    export(path, network)
    return network, path


def test_every_program_is_written_and_described_with_its_hash(exported):
    network, path = exported

    programs = add_programs(path, network, FEW_FORMS)

    entries = programs.describe()["programs"]
    keys = ("signature", "batch", "timesteps")
    assert [tuple(entry[key] for key in keys) for entry in entries] == list(FEW_FORMS)
    for entry in entries:
        content = (path / entry["file"]).read_bytes()
        assert list(entry) == ["file", *keys, "sha256", "bytes"]
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)


# What a service does with a manifest's entry: no TensorFlow, nothing of ours.
RUN_ENTRIES = """
import hashlib, json, sys
from pathlib import Path
sys.modules["tensorflow"] = None
import numpy as np
from ai_edge_litert.interpreter import Interpreter
version, said = Path(sys.argv[1]), json.loads(sys.argv[2])
for entry in said["programs"]:
    content = (version / entry["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    call = Interpreter(model_content=content).get_signature_runner(entry["signature"])
    batch, timesteps = entry["batch"], entry["timesteps"]
    inputs = {
        "sequence": np.zeros((batch, timesteps), "int32"),
        "length": np.full(batch, timesteps, "int32"),
        **{n: np.zeros((batch, *s), "float32") for n, s in said["memory"].items()},
    }
    assert set(call.get_input_details()) == set(inputs)
    outputs = call(**inputs)
    assert set(said["memory"]) < set(outputs) == set(call.get_output_details())
    print(entry["signature"], outputs["probabilities"].shape)
"""


def test_entries_are_all_a_service_needs_to_run_programs(exported):
    network, path = exported
    forms = (Form("advance", 4, 1), Form("advance", 1, 64), Form("explain", 1, 1))
    programs = add_programs(path, network, forms)
    memory = {"short_term_0": [48], "long_term_0": [48]}
    said = json.dumps({"memory": memory, **programs.describe()})

    done = subprocess.run(
        [sys.executable, "-c", RUN_ENTRIES, str(path), said],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "advance (4, 1, 2)",
        "advance (1, 64, 2)",
        "explain (1, 1, 2)",
    ]


def test_predictions_by_programs_equal_the_networks(exported):
    network, path = exported
    sequences = networks.random_events(9, 9)

    programs = add_programs(path, network, HOT_FORMS[:3])

    for rows in (1, 3, 9):  # fewer than a batch, and more than the largest
        np.testing.assert_allclose(
            programs.predict(sequences[:rows]),
            network(sequences[:rows]).numpy(),
            atol=ROUNDING,
        )


@pytest.mark.parametrize("quantize", ["int8", "float16"])
def test_quantized_programs_are_smaller_and_their_difference_is_reported(
    exported, quantize
):
    network, path = exported

    (exact, smaller) = (
        add_programs(path, network, quantize=kind) for kind in (None, quantize)
    )

    assert smaller.entries[0]["bytes"] < 0.7 * exact.entries[0]["bytes"]
    assert exact.difference < smaller.difference < 0.1
    assert smaller.entries[0]["file"].endswith(f"/advance_1x1.{quantize}.tflite")
    assert exact.entries[0]["file"].endswith("/advance_1x1.tflite")


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_a_program_is_what_the_public_converter_makes(exported, tmp_path, quantize):
    network, _ = exported
    form = Form("advance", 2, 1)
    function = trace(stream_network(network, networks.LABEL, 1).advance, form.batch)
    module = tf.Module()
    module.variables_of = [variable.value for variable in network.variables]
    signatures = {form.signature: function}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    public = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    public.exclude_conversion_metadata = True
    public.optimizations = [tf.lite.Optimize.DEFAULT] if quantize else []

    assert convert(function, network, form, quantize) == public.convert()


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


@pytest.mark.parametrize("difference", [2e-5, float("nan"), float("inf")])
def test_a_difference_above_the_tolerance_is_refused(difference):
    with pytest.raises(CannotCompile, match="probabilities differs"):
        check_differences({"probabilities": difference}, "probabilities")


def test_truth_is_the_network_in_float64():
    network = networks.build(networks.EVENTS, networks.LABEL, units=(8, 6))
    sequence = networks.random_events(2, 30)

    wide = widen_network(network)(sequence).numpy()

    assert wide.dtype == "float64"
    first, second, dense = split_layers(network.get_weights())
    one_hot = np.eye(5)[sequence[0]]
    hs, _ = reference.lstm(one_hot, *first, np.zeros(8), np.zeros(8))
    hs, _ = reference.lstm(hs, *second, np.zeros(6), np.zeros(6))
    np.testing.assert_allclose(
        wide[0], reference.softmax(hs @ dense[0] + dense[1]), atol=1e-12
    )


def split_layers(weights):
    """Part the weights of two LSTMs and a Dense."""
    return weights[:3], weights[3:6], weights[6:]


@pytest.mark.parametrize("case", ["gru next event", "peephole labels", "mixed records"])
def test_truth_streams_as_the_network_does(case):
    inputs, outputs, options = NETWORKS[case]
    network = networks.build(inputs, outputs, **options)
    sequence = real_sequences(inputs)
    wide = widen_network(network)
    call = truth_call(wide, outputs, "explain")
    stream = stream_network(wide, outputs)

    first = call(sequence=sequence[:, :7], **start(stream, sequence[:, :7]))
    memory = {name: first[name] for name in stream.memory}
    length = np.full(len(sequence), 33, "int32")
    second = call(sequence=sequence[:, 7:], length=length, **memory)

    whole = wide(sequence).numpy()
    parts = [part[outputs["name"]] for part in (first, second)]
    assert parts[0].dtype == memory["short_term_0"].dtype == "float64"
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-9)


def start(stream, sequence):
    """Length and memory of whole sequences from their beginning."""
    batch, timesteps = sequence.shape[:2]
    memory = {n: np.zeros((batch, *shape)) for n, shape in stream.memory.items()}
    return {"length": np.full(batch, timesteps, "int32"), **memory}


def off(typical, largest=None):
    """Distances of 100 numbers, of which one may be far off."""
    return {"probabilities": Distance(largest or typical, 100 * typical**2, 100)}


def test_rounding_that_adds_up_in_all_alike_is_no_reason_to_refuse():
    errors = Errors([off(1e-7), off(2e-7, largest=4e-5)], off(1e-7, largest=2e-5))

    check_errors(errors, "probabilities")


@pytest.mark.parametrize(
    "errors",
    [
        Errors([off(1e-7), off(2e-6)], off(1e-7)),
        Errors([off(1e-7, largest=2e-4)], off(1e-7)),
        Errors([off(1e-7)], off(2e-6)),
        Errors([off(float("nan"))], off(1e-7)),
    ],
    ids=["a program", "a moment", "the saved model", "not a number"],
)
def test_an_error_against_the_truth_is_refused(errors):
    with pytest.raises(CannotCompile, match="off the network in float64"):
        check_errors(errors, "probabilities")


def test_where_rounding_parts_them_the_truth_decides(exported, monkeypatch):
    network, path = exported
    # Below what any two implementations in float32 agree to.
    monkeypatch.setattr("models.export.comparison.TOLERANCE", 1e-12)
    monkeypatch.setattr("models.export.comparison.OTHERS_TOLERANCE", 1e-4)
    monkeypatch.setattr("models.export.comparison.TYPICAL", 1e6)
    monkeypatch.setattr("models.export.comparison.RARE", 1e7)

    description = add_programs(path, network).describe()

    assert len(description["programs"]) == 1
    assert 0 < description["programs_error"]["root_mean_square"] < ROUNDING
    assert 0 < description["saved_model_error"]["root_mean_square"] < ROUNDING


def make_chaotic():
    """Build a network with a memory that magnifies every rounding as steps go by."""
    network = networks.build(
        networks.EVENTS, networks.LABEL, cell="rnn", units=(24,), noise=0.0
    )
    rng = np.random.default_rng(4)
    weights = network.get_weights()
    weights[1] = rng.normal(0, 1.5 / np.sqrt(24), weights[1].shape)
    network.set_weights(weights)
    return network


@pytest.fixture(scope="module")
def chaotic(tmp_path_factory):
    """The SavedModel of a chaotic network, and the real sequences it was proved on."""
    path = tmp_path_factory.mktemp("chaotic") / "1"
    real = networks.random_events(2, 12)
    schemas = networks.EVENTS, networks.LABEL
    export_network(make_chaotic(), *schemas, path, real=real)
    return path, real


@pytest.mark.parametrize(("made_for", "compiles"), [(None, False), (12, True)])
def test_programs_are_judged_at_the_lengths_a_model_is_for(chaotic, made_for, compiles):
    path, real = chaotic

    programs = export_programs(
        make_chaotic(),
        networks.EVENTS,
        networks.LABEL,
        path,
        real=real,
        forms=FEW_FORMS[:1],
        made_for=made_for,
    )

    assert bool(programs.entries) == compiles, programs.note


def test_programs_that_compute_something_else_are_refused_at_any_length(chaotic):
    path, real = chaotic
    network = make_chaotic()
    network.set_weights([weights + 0.01 for weights in network.get_weights()])

    programs = export_programs(
        network,
        networks.EVENTS,
        networks.LABEL,
        path,
        real=real,
        forms=FEW_FORMS[:1],
        made_for=12,
    )

    assert programs.entries == []
    assert "within 12 carried steps" in programs.note


def test_programs_farther_from_the_truth_than_the_saved_model_are_refused():
    with pytest.raises(CannotCompile, match="off the network in float64"):
        check_as_near(Errors([off(3e-3)], off(1e-3)))

    check_as_near(Errors([off(1.5e-3)], off(1e-3)))
