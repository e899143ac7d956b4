"""Compiled programs compared with the network in float64."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


from models.export import export_network, export_programs  # noqa: E402
from models.export.comparison import (  # noqa: E402
    Errors,
    check_as_near,
    check_differences,
    check_errors,
)
from models.export.compilation import CannotCompile  # noqa: E402
from models.export.running import Distance  # noqa: E402
from models.export.truth import truth_call, widen_network  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from tests import networks, reference  # noqa: E402
from tests.models.programs import FEW_FORMS, NETWORKS, real_sequences  # noqa: E402


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
