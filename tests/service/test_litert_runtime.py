"""Compiled programs as the service runs them, compared with the SavedModel."""

import subprocess
import sys

import numpy as np
import pytest

from service.engine.execution import advance_batch
from service.registry.backends.selftest import draw_sequence, find_mismatch
from service.registry.catalog import load_model
from tests import networks
from tests.exported import export_model
from tests.servers import ROOT

pytestmark = pytest.mark.tensorflow
# Float32 rounding, carried over a few events.
TOLERANCE = 1e-5
MODELS = ("label", "next-gru", "next-lstm", "next-rnn", "series")
BATCHES = (1, 2, 4, 8, 16, 32, 64)


@pytest.fixture(scope="module")
def both(exported):
    """Open a model once on either runtime."""
    opened = {}

    def load(name, folder=exported[0]):
        if name not in opened:
            path = folder / name / "1"
            opened[name] = [
                load_model(path, 10_000, choice) for choice in ("litert", "tensorflow")
            ]
        return opened[name]

    return load


@pytest.fixture(scope="module")
def full(both, tmp_path_factory):
    """A model with programs of every form, on either runtime."""
    from models.export import FORMS

    folder = tmp_path_factory.mktemp("full")
    export_model(folder, "full", networks.EVENTS, networks.LABEL, forms=FORMS)
    return both("full", folder)


def make_calls(model, batch, timesteps, lengths, seed):
    """Random tensors of one call."""
    rng = np.random.default_rng(seed)
    drawn = draw_sequence(model.manifest.input, timesteps + batch)
    rows = [drawn[k : k + timesteps] for k in range(batch)]
    memory = {
        name: rng.uniform(-0.5, 0.5, (batch, *size)).astype("float32")
        for name, size in model.manifest.memory.items()
        # What the last event led to is a distribution, not any numbers.
        if name != "expected"
    }
    if "expected" in model.manifest.memory:
        size = model.manifest.memory["expected"]
        memory["expected"] = np.full((batch, *size), 1 / size[0], "float32")
    return {
        "sequence": np.stack(rows),
        "length": np.array(lengths, "int32"),
        **memory,
    }


def assert_same_call(models, signature, tensors):
    fast, reference = (model.runtime.run(signature, dict(tensors)) for model in models)
    lengths = tensors["length"]

    assert fast.keys() == reference.keys()
    for name, expected in reference.items():
        assert fast[name].shape == expected.shape, name
        for row, length in enumerate(lengths):
            count = slice(None) if name in tensors else slice(length)
            # Thousands that cancel out are right to a share of the thousands.
            scale = max(1.0, np.abs(expected[row][count]).max())
            np.testing.assert_allclose(
                fast[name][row][count],
                expected[row][count],
                atol=TOLERANCE * scale,
                rtol=TOLERANCE,
                err_msg=name,
            )


@pytest.mark.parametrize("batch", range(1, 65))
def test_every_batch_size_equals_tensorflow(full, batch):
    tensors = make_calls(full[0], batch, 1, [1] * batch, seed=batch)

    assert_same_call(full, "advance", tensors)


@pytest.mark.parametrize("length", [*range(1, 17), 63, 64])
@pytest.mark.parametrize("name", MODELS)
def test_every_chunk_length_equals_tensorflow(both, name, length):
    models = both(name)
    tensors = make_calls(models[0], 1, length, [length], seed=length)

    assert_same_call(models, "advance", tensors)


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@pytest.mark.parametrize("name", MODELS)
def test_odd_batches_of_every_network_equal_tensorflow(both, name, batch):
    models = both(name)
    tensors = make_calls(models[0], batch, 1, [1] * batch, seed=batch)

    assert_same_call(models, "advance", tensors)


@pytest.mark.parametrize("name", MODELS)
def test_explained_events_equal_tensorflow(both, name):
    models = both(name)

    assert_same_call(models, "explain", make_calls(models[0], 1, 1, [1], seed=1))


@pytest.mark.parametrize("name", MODELS)
def test_mixed_lengths_advanced_as_planned_equal_tensorflow(both, name):
    models = both(name)
    drawn = draw_sequence(models[0].manifest.input, 60)
    sequences = [drawn[:n] for n in (1, 40, 2, 17, 16, 5, 33, 1, 60)]

    fast, reference = (
        advance_batch(model, "advance", sequences, [None] * len(sequences))
        for model in models
    )

    for got, expected in zip(fast, reference, strict=True):
        got_memory, memory = (
            np.frombuffer(row.tensors, "<f4") for row in (got, expected)
        )
        scale = max(1.0, np.abs(memory).max())
        np.testing.assert_allclose(got_memory, memory, atol=TOLERANCE * scale)


def test_plan_takes_a_chunk_of_a_lone_row_and_one_event_of_many(full):
    runtime = full[0].runtime

    assert runtime.plan("advance", [1000]) == (1, 64)
    assert runtime.plan("advance", [7]) == (1, 7)
    assert runtime.plan("advance", [1000, 1]) == (2, 1)
    assert runtime.plan("advance", [3] * 1000) == (64, 1)
    assert runtime.plan("explain", [1000]) == (1, 1)
    assert runtime.plan("explain", [5] * 3) == (1, 1)


def test_a_call_no_program_takes_is_a_defect(full):
    tensors = make_calls(full[0], 2, 2, [2, 2], seed=0)

    with pytest.raises(ValueError, match="no advance program takes 2 rows of 2"):
        full[0].runtime.run("advance", tensors)


@pytest.mark.parametrize("name", MODELS)
def test_programs_as_exported_agree(both, name):
    model = both(name)[0]
    programs = [p for each in model.runtime.programs.values() for p in each]

    assert find_mismatch(model.manifest, programs) is None


def test_a_program_that_answers_no_number_does_not_agree(both):
    model = both("label")[0]
    single, *others = model.runtime.programs["advance"]

    class Broken:
        name, batch, timesteps = "advance_2x1", 2, 1

        def run(self, tensors):
            results = others[0].run(tensors)
            return {name: value * np.nan for name, value in results.items()}

    found = find_mismatch(model.manifest, [single, Broken()])

    assert found.program.name == "advance_2x1"


@pytest.mark.parametrize(
    "schema",
    [networks.EVENTS, networks.SERIES, networks.SHOP, {"kind": "index", "size": 3}],
    ids=["events", "series", "shop", "index"],
)
def test_drawn_sequences_are_what_the_encoder_could_have_made(schema):
    from service.registry.encoding.events import build_encoder

    drawn = draw_sequence(schema, 20)

    encoder = build_encoder(schema, max_events=20)
    assert drawn.shape == (20, *encoder.columns)
    assert drawn.dtype == encoder.dtype
    assert (drawn == draw_sequence(schema, 20)).all()


WITHOUT_TENSORFLOW = """
import sys
from service.app import build_services, create_app
from service.settings import read_settings
import os
services = build_services(read_settings(os.environ))
client = create_app(services).test_client()
row = {"sequence": ["open", "close"], "session": "s"}
for verb in ("predict", "explain"):
    answer = client.post("/v1/models/next-lstm:" + verb, json={"instances": [row]})
    assert answer.status_code == 200, answer.data
services.engine.sessions.close()
print(sorted({"tensorflow", "keras"} & set(sys.modules)))
"""


def test_a_service_on_litert_never_imports_tensorflow(exported, tmp_path):
    settings = {
        "MODELS": exported[0],
        "MEMORY": f"lmdb://{tmp_path}/memory",
        "TOKEN_KEY_FILE": tmp_path / "key",
        "STATE": tmp_path / "state",
    }
    environ = {f"CARRYOVER_{key}": str(value) for key, value in settings.items()}

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_what_an_earlier_call_left_in_a_program_changes_no_answer(full):
    model = full[0]
    call = make_calls(model, 3, 1, [1] * 3, seed=5)
    clean = model.runtime.run("advance", dict(call))
    poison = make_calls(model, 4, 1, [1] * 4, seed=6)
    for name in model.manifest.memory:
        poison[name] = np.full_like(poison[name], np.nan)

    poisoned = model.runtime.run("advance", poison)
    after = model.runtime.run("advance", dict(call))

    assert np.isnan(poisoned["probabilities"]).all()
    for name, expected in clean.items():
        assert after[name].tobytes() == expected.tobytes(), name
