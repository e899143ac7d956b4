"""Promises of `explain`, for every cell."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

from models.networks import CELLS  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from tests import networks, reference  # noqa: E402

# What the gates shown may be off the outputs they explain.
EXPLAINED = 1e-6
TIMESTEPS = 9


@pytest.fixture(scope="module", params=CELLS)
def explained(request):
    """A network of two layers, a sequence, and what advance and explain say of it."""
    network = networks.build(
        networks.EVENTS, networks.NEXT_EVENT, cell=request.param, units=(4, 3)
    )
    streaming = stream_network(network, networks.NEXT_EVENT)
    rng = np.random.default_rng(2)
    tensors = {
        "sequence": networks.random_events(2, TIMESTEPS),
        "length": np.array([TIMESTEPS, TIMESTEPS], "int32"),
        **{
            name: rng.uniform(0.1, 0.9, (2, *shape)).astype("float32")
            for name, shape in streaming.memory.items()
        },
    }
    advanced, shown = (
        {name: tensor.numpy() for name, tensor in model(tensors).items()}
        for model in (streaming.advance, streaming.explain)
    )
    return request.param, network, tensors, advanced, shown


def before(shown, tensors, kind, layer):
    """Return a memory before each event, by the memory after the one before it."""
    begun = tensors[f"{kind}_{layer}"][:, None]
    return np.concatenate([begun, shown[f"trace_{kind}_{layer}"][:, :-1]], axis=1)


def test_asking_for_an_explanation_changes_nothing(explained):
    _, _, _, advanced, shown = explained

    for name, value in advanced.items():
        np.testing.assert_array_equal(shown[name], value, err_msg=name)


@pytest.mark.parametrize("layer", [0, 1])
def test_gates_shown_reproduce_the_memories(explained, layer):
    cell, _, tensors, advanced, shown = explained
    h = shown[f"trace_short_term_{layer}"]

    if cell in ("lstm", "peephole"):
        c = shown[f"trace_long_term_{layer}"]
        kept = shown[f"forget_{layer}"] * before(shown, tensors, "long_term", layer)
        learned = shown[f"learn_{layer}"] * shown[f"candidate_{layer}"]
        np.testing.assert_allclose(c, kept + learned, atol=EXPLAINED)
        np.testing.assert_allclose(
            h, shown[f"use_{layer}"] * np.tanh(c), atol=EXPLAINED
        )
        np.testing.assert_allclose(
            advanced[f"long_term_{layer}"], c[:, -1], atol=EXPLAINED
        )
    if cell == "gru":
        z, g = shown[f"update_{layer}"], shown[f"candidate_{layer}"]
        h_prev = before(shown, tensors, "short_term", layer)
        np.testing.assert_allclose(h, z * h_prev + (1 - z) * g, atol=EXPLAINED)
    np.testing.assert_allclose(
        advanced[f"short_term_{layer}"], h[:, -1], atol=EXPLAINED
    )


def test_memories_shown_reproduce_the_outputs(explained):
    _, network, _, advanced, shown = explained
    kernel, bias = network.get_weights()[-2:]

    expected = reference.softmax(shown["trace_short_term_1"] @ kernel + bias)

    np.testing.assert_allclose(advanced["probabilities"], expected, atol=EXPLAINED)


def test_each_architecture_shows_its_own_gates(explained):
    cell, _, _, advanced, shown = explained
    lstm = {"learn", "candidate", "forget", "use", "trace_long_term"}
    gates = {
        "rnn": set(),
        "lstm": lstm,
        "peephole": lstm,
        "gru": {"update", "reset", "candidate"},
    }

    names = {name.rsplit("_", 1)[0] for name in set(shown) - set(advanced)}

    assert names == gates[cell] | {"trace_short_term", "alone"}


def test_an_event_alone_is_what_the_network_says_of_it_with_nothing_before(explained):
    _, network, tensors, _, shown = explained
    sequence = tensors["sequence"]

    expected = [[network(sequence[r, t : t + 1][None]) for t in (0, 4)] for r in (0, 1)]

    got = shown["alone_probabilities"][:, [0, 4]]
    np.testing.assert_allclose(got, np.array(expected)[:, :, 0, 0], atol=EXPLAINED)


def test_an_event_alone_equals_the_numpy_reference():
    network = networks.build(networks.EVENTS, networks.LABEL)
    explain = stream_network(network, networks.LABEL).explain
    sequence, empty = networks.random_events(1, 3), np.zeros((1, 8), "float32")

    shown = explain(
        {
            "sequence": sequence,
            "length": np.array([3], "int32"),
            "short_term_0": empty + 0.5,
            "long_term_0": empty - 0.5,
        }
    )

    *lstm, kernel, bias = network.get_weights()
    for t, event in enumerate(sequence[0]):
        h, _ = reference.lstm(np.eye(5)[[event]], *lstm, np.zeros(8), np.zeros(8))
        expected = reference.softmax(h[0] @ kernel + bias)
        got = shown["alone_probabilities"][0, t]
        np.testing.assert_allclose(got, expected, atol=EXPLAINED)


@pytest.mark.parametrize("outputs", [networks.QUANTILES, networks.FORECAST])
def test_forecasts_of_records_alone_are_those_of_one_record(outputs):
    network = networks.build(networks.SHOP, outputs, embedding=2)
    streaming = stream_network(network, outputs)
    visits = networks.shop_visits(2, 4)
    memory = {n: np.ones((2, *s), "float32") for n, s in streaming.memory.items()}

    shown = streaming.explain(
        {"sequence": visits, "length": np.array([4, 4], "int32"), **memory}
    )

    expected = network(visits.reshape(8, 1, -1)).numpy()
    got = shown["alone_forecast"].numpy()
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-5)
