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

from models.export import HOT_FORMS, export_network  # noqa: E402
from models.export.comparison import check_differences, compare_programs  # noqa: E402
from models.export.compilation import (  # noqa: E402
    Form,
    compile_programs,
    convert,
    trace,
)
from models.export.running import STEPS, advance, begin, load_program  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from tests import networks  # noqa: E402
from tests.models.program_files import add_programs, export  # noqa: E402
from tests.models.programs import (  # noqa: E402
    FEW_FORMS,
    NETWORKS,
    ROUNDING,
    compiled,
    real_sequences,
)

# The names of the operations by their numbers in a compiled program.
BUILTIN = {
    number: name
    for name, number in vars(schema.BuiltinOperator).items()
    if isinstance(number, int)
}


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
