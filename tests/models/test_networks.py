"""Networks: what they start from, what their heads compute, how they stream."""

import itertools

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import ops  # noqa: E402

from models.features import encode_sequence  # noqa: E402
from models.heads import pinball  # noqa: E402
from models.networks import CELLS, build_network  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from tests import networks, reference  # noqa: E402

# Float32 rounding over tens of timesteps; an error of logic is a thousand times larger.
TOLERANCE = 1e-5
LABEL = networks.LABEL
SEQUENCE_LABEL = {**LABEL, "kind": "sequence_label"}


def recurrent_layers(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.RNN)]


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_kernels_start_orthogonal(cell):
    network = build_network(networks.EVENTS, LABEL, cell=cell, units=(6, 4))

    for layer in recurrent_layers(network):
        kernel = ops.convert_to_numpy(layer.cell.recurrent_kernel)
        rows = kernel @ kernel.T
        np.testing.assert_allclose(rows, np.eye(len(kernel)), atol=TOLERANCE)


@pytest.mark.parametrize("cell", ["lstm", "peephole"])
def test_forget_gates_start_with_a_bias_of_one(cell):
    network = build_network(networks.EVENTS, LABEL, cell=cell, units=(6,))

    (layer,) = recurrent_layers(network)

    i, f, g, o = np.split(ops.convert_to_numpy(layer.cell.bias), 4)
    assert f.tolist() == [1.0] * 6
    assert not np.any([i, g, o])


def test_peephole_network_equals_the_numpy_reference():
    network = networks.build(networks.EVENTS, LABEL, cell="peephole")
    (layer,) = recurrent_layers(network)
    cell, (dense, dense_bias) = layer.cell, network.layers[-1].get_weights()
    weights = (cell.kernel, cell.recurrent_kernel, cell.peepholes, cell.bias)
    sequence = networks.random_events(1, 30)
    one_hot = np.eye(5)[sequence[0]]

    arrays = [ops.convert_to_numpy(weight) for weight in weights]
    h, _ = reference.peephole_lstm(one_hot, *arrays, np.zeros(8), np.zeros(8))

    expected = reference.softmax(h @ dense + dense_bias)
    np.testing.assert_allclose(network(sequence)[0], expected, atol=TOLERANCE)


def test_quantiles_equal_a_numpy_computation():
    network = networks.build(networks.SHOP, networks.QUANTILES, cell="rnn")
    kernel, recurrent_kernel, bias, dense, dense_bias = network.get_weights()
    records = networks.shop_visits(1, 12)
    features = ops.convert_to_numpy(encode_sequence(records, networks.SHOP))[0]

    h = reference.rnn(features, kernel, recurrent_kernel, bias, np.zeros(8))

    low, middle, high = np.split(h @ dense + dense_bias, 3, axis=-1)
    middle = low + np.log1p(np.exp(middle))
    change = np.stack([low, middle, middle + np.log1p(np.exp(high))], axis=-1)
    expected = records[0, :, 3, None, None] + 5 * change  # (timesteps, horizon, 3)
    np.testing.assert_allclose(network(records)[0], expected, atol=5 * TOLERANCE)


@pytest.mark.parametrize("outputs", [networks.FORECAST, networks.QUANTILES])
@pytest.mark.parametrize("batch", [1, 3, 5])
@pytest.mark.parametrize("timesteps", [1, 3, 5])
def test_forecasts_of_a_sequence_do_not_depend_on_the_shape_of_its_batch(
    outputs, batch, timesteps
):
    network = networks.build(networks.SHOP, outputs)
    records = networks.shop_visits(7, 11)

    expected = ops.convert_to_numpy(network(records))[:batch, :timesteps]

    forecast = ops.convert_to_numpy(network(records[:batch, :timesteps]))
    np.testing.assert_allclose(forecast, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_never_cross_whatever_the_weights(seed):
    network = networks.build(networks.SHOP, networks.QUANTILES, seed=seed)
    rng = np.random.default_rng(seed)
    network.set_weights([rng.normal(0, 20, w.shape) for w in network.get_weights()])

    forecast = ops.convert_to_numpy(network(networks.shop_visits(4, 25, seed)))

    assert forecast.shape == (4, 25, 3, 3)
    assert np.all(np.diff(forecast, axis=-1) >= 0)


def test_pinball_is_least_at_the_quantile_of_the_targets():
    targets = np.random.default_rng(0).normal(size=(1001, 1, 1))
    guesses = np.linspace(-3, 3, 601)

    for level in (0.1, 0.5, 0.9):
        losses = [
            float(ops.mean(pinball(targets, np.full((1001, 1, 1, 1), guess), [level])))
            for guess in guesses
        ]
        best = guesses[np.argmin(losses)]
        assert best == pytest.approx(np.quantile(targets, level), abs=0.01)


def test_pinball_weighs_each_quantile_by_hand():
    target = np.array([[[10.0]]])
    forecast = np.array([[[[6.0, 10.0, 20.0]]]])

    loss = pinball(target, forecast, [0.1, 0.5, 0.9])

    assert float(loss[0, 0]) == pytest.approx((0.1 * 4 + 0 + 0.1 * 10) / 3)


def test_label_of_a_sequence_is_the_label_after_its_last_event():
    network = networks.build(networks.EVENTS, SEQUENCE_LABEL)
    sequence = networks.random_events(2, 9)

    answers = ops.convert_to_numpy(network(sequence))

    for k in range(1, 10):
        alone = ops.convert_to_numpy(network(sequence[:, :k]))[:, -1]
        np.testing.assert_allclose(answers[:, k - 1], alone, atol=TOLERANCE)


def test_dropout_is_for_training_alone():
    network = networks.build(networks.EVENTS, LABEL, dropout=0.5)
    plain = networks.build(networks.EVENTS, LABEL)
    plain.set_weights(network.get_weights())
    sequence = networks.random_events(2, 9)

    served = ops.convert_to_numpy(network(sequence, training=False))
    trained = ops.convert_to_numpy(network(sequence, training=True))

    assert np.array_equal(served, ops.convert_to_numpy(plain(sequence)))
    assert np.abs(trained - served).max() > 0.01


def test_layer_normalisation_follows_every_recurrent_layer():
    network = build_network(
        networks.EVENTS, LABEL, units=(6, 4), dropout=0.1, layer_norm=True
    )

    kinds = [type(layer).__name__ for layer in network.layers]

    one = ["LSTM", "LayerNormalization", "Dropout"]
    assert [kind for kind in kinds if kind in one] == one * 2


STREAMED = {
    "categories one-hot": (networks.SHOP, LABEL, {}),
    "categories embedded": (networks.SHOP, LABEL, {"embedding": 3, "cell": "gru"}),
    "events embedded": (networks.EVENTS, networks.NEXT_EVENT, {"embedding": 3}),
    "peephole": (networks.SHOP, SEQUENCE_LABEL, {"cell": "peephole"}),
    "normalised": (networks.SHOP, LABEL, {"layer_norm": True, "dropout": 0.4}),
    "quantiles": (networks.SHOP, networks.QUANTILES, {"units": (8, 6)}),
}


def draw(inputs, batch, timesteps):
    is_events = inputs["kind"] == "event"
    return (networks.random_events if is_events else networks.shop_visits)(
        batch, timesteps
    )


def run_in_parts(streaming, sequence, cuts, name):
    """Advance part by part, memory carried, two timesteps of padding after each."""
    batch, parts = len(sequence), []
    memory = {k: np.zeros((batch, *s), "float32") for k, s in streaming.memory.items()}
    for start, stop in itertools.pairwise(cuts):
        width = [(0, 0), (0, 2)] + [(0, 0)] * (sequence.ndim - 2)
        tensors = {
            "sequence": np.pad(sequence[:, start:stop], width),
            "length": np.full(batch, stop - start, "int32"),
        }
        results = streaming.advance(tensors | memory)
        memory = {k: ops.convert_to_numpy(results[k]) for k in memory}
        parts.append(ops.convert_to_numpy(results[name])[:, : stop - start])
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("case", STREAMED)
def test_any_split_with_memory_carried_equals_one_pass(case):
    inputs, outputs, options = STREAMED[case]
    network = networks.build(inputs, outputs, **options)
    streaming = stream_network(network, outputs)
    sequence = draw(inputs, 3, 17)
    expected = ops.convert_to_numpy(network(sequence))

    for cuts in ([0, 17], [0, 1, 17], [0, 6, 11, 17], list(range(18))):
        got = run_in_parts(streaming, sequence, cuts, outputs["name"])
        scale = np.maximum(1, np.abs(expected))  # forecasts have a unit
        np.testing.assert_allclose(got / scale, expected / scale, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("outputs", "options", "words"),
    [
        (LABEL, {"cell": "lstn"}, "'lstn'; choose one of rnn, lstm, gru, peephole"),
        (LABEL, {"units": ()}, "units is empty"),
        (LABEL, {"dropout": 1}, "dropout is 1; expected a share"),
        (LABEL, {"dropout": -0.1}, "dropout is -0.1; expected a share"),
        (LABEL, {"embedding": 0}, "embedding is 0; expected 1 or more"),
        ({**LABEL, "kind": "tag"}, {}, "'tag'; choose one of label, sequence_label"),
        ({**LABEL, "labels": []}, {}, "labels is empty"),
        ({**LABEL, "kind": "next_event"}, {}, "begin with their vocabulary"),
        (networks.FORECAST, {}, "'value' is no numeric field of the input; it has"),
        ({**networks.FORECAST, "quantiles": []}, {}, "quantiles is []; expected"),
        ({**networks.FORECAST, "quantiles": [0.5, 0.1]}, {}, "[0.5, 0.1]; expected"),
        ({**networks.FORECAST, "quantiles": [0.5, 1.0]}, {}, "rising numbers"),
    ],
)
def test_network_that_cannot_be_built_says_why(outputs, options, words):
    with pytest.raises(ValueError, match=r".") as caught:
        build_network(networks.EVENTS, outputs, **options)

    assert words in str(caught.value)


def test_embedding_without_anything_to_embed_is_refused():
    with pytest.raises(ValueError, match="nothing to embed"):
        build_network(networks.SERIES, networks.FORECAST, embedding=4)


def test_next_event_of_records_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="use kind 'label'"):
        build_network(networks.SHOP, {**LABEL, "kind": "next_event"})
