import itertools

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

from models.networks import CELLS, build_network  # noqa: E402
from models.streaming import stream_network  # noqa: E402
from tests import networks, reference  # noqa: E402

# Float32 rounding over tens of timesteps; an error of logic is a thousand times larger.
TOLERANCE = 1e-5


def zeros(streaming, batch):
    return {k: np.zeros((batch, *s), "float32") for k, s in streaming.memory.items()}


def advance(model, sequence, memory, padding=0, filler=0):
    batch, timesteps = sequence.shape[:2]
    width = [(0, 0), (0, padding)] + [(0, 0)] * (sequence.ndim - 2)
    tensors = {
        "sequence": np.pad(sequence, width, constant_values=filler),
        "length": np.full(batch, timesteps, "int32"),
        **memory,
    }
    results = {name: value.numpy() for name, value in model(tensors).items()}
    return results, {name: results[name] for name in memory}


@pytest.mark.parametrize("cell", CELLS)
def test_any_split_with_memory_carried_equals_one_pass(cell):
    network = networks.build(
        networks.EVENTS, networks.NEXT_EVENT, cell=cell, units=(8, 6)
    )
    streaming = stream_network(network, networks.NEXT_EVENT)
    sequence = networks.random_events(3, 23)
    expected = network(sequence).numpy()

    for cuts in ([0, 23], [0, 1, 23], [0, 7, 11, 23], list(range(24))):
        memory, parts = zeros(streaming, 3), []
        for start, stop in itertools.pairwise(cuts):
            results, memory = advance(
                streaming.advance, sequence[:, start:stop], memory, padding=start % 3
            )
            parts.append(results["probabilities"][:, : stop - start])
        np.testing.assert_allclose(np.concatenate(parts, 1), expected, atol=TOLERANCE)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_neither_outputs_nor_memory(cell):
    network = networks.build(networks.EVENTS, networks.NEXT_EVENT, cell=cell)
    streaming = stream_network(network, networks.NEXT_EVENT)
    sequence = networks.random_events(2, 5)

    bare, memory = advance(streaming.advance, sequence, zeros(streaming, 2))
    padded, same = advance(streaming.advance, sequence, zeros(streaming, 2), padding=9)
    other, again = advance(
        streaming.advance, sequence, zeros(streaming, 2), padding=9, filler=1
    )

    # To the bit for two paddings of one shape; the shape itself may choose another
    # kernel of the processor's matrix product, which rounds differently.
    shown, expected = padded["probabilities"][:, :5], bare["probabilities"]
    np.testing.assert_array_equal(other["probabilities"][:, :5], shown)
    np.testing.assert_allclose(shown, expected, atol=TOLERANCE)
    for name in memory:
        np.testing.assert_array_equal(again[name], same[name], err_msg=name)
        np.testing.assert_allclose(same[name], memory[name], atol=TOLERANCE)


def test_a_row_of_length_zero_keeps_its_memory():
    network = networks.build(networks.EVENTS, networks.NEXT_EVENT)
    streaming = stream_network(network, networks.NEXT_EVENT)
    _, memory = advance(
        streaming.advance, networks.random_events(1, 4), zeros(streaming, 1)
    )

    results = streaming.advance(
        {
            "sequence": np.zeros((1, 3), "int32"),
            "length": np.zeros(1, "int32"),
            **memory,
        }
    )

    for name, value in memory.items():
        np.testing.assert_array_equal(results[name].numpy(), value, err_msg=name)


def test_lstm_network_equals_the_numpy_reference():
    network = networks.build(networks.EVENTS, networks.LABEL, cell="lstm")
    kernel, recurrent_kernel, bias, dense, dense_bias = network.get_weights()
    sequence = networks.random_events(1, 30)
    one_hot = np.eye(5)[sequence[0]]

    h, _ = reference.lstm(
        one_hot, kernel, recurrent_kernel, bias, np.zeros(8), np.zeros(8)
    )

    expected = reference.softmax(h @ dense + dense_bias)
    np.testing.assert_allclose(network(sequence)[0], expected, atol=TOLERANCE)


def test_gru_network_equals_the_numpy_reference():
    network = networks.build(networks.EVENTS, networks.LABEL, cell="gru")
    kernel, recurrent_kernel, bias, dense, dense_bias = network.get_weights()
    sequence = networks.random_events(1, 30)

    h = reference.gru(
        np.eye(5)[sequence[0]], kernel, recurrent_kernel, bias, np.zeros(8)
    )

    expected = reference.softmax(h @ dense + dense_bias)
    np.testing.assert_allclose(network(sequence)[0], expected, atol=TOLERANCE)


def test_simple_rnn_network_equals_the_numpy_reference():
    network = networks.build(networks.EVENTS, networks.LABEL, cell="rnn")
    kernel, recurrent_kernel, bias, dense, dense_bias = network.get_weights()
    sequence = networks.random_events(1, 30)

    h = reference.rnn(
        np.eye(5)[sequence[0]], kernel, recurrent_kernel, bias, np.zeros(8)
    )

    expected = reference.softmax(h @ dense + dense_bias)
    np.testing.assert_allclose(network(sequence)[0], expected, atol=TOLERANCE)


def test_surprise_is_minus_log_of_what_was_expected_across_calls():
    network = networks.build(networks.EVENTS, networks.NEXT_EVENT)
    streaming = stream_network(network, networks.NEXT_EVENT)
    sequence = networks.random_events(1, 6)
    probabilities = network(sequence).numpy()[0]

    first, memory = advance(
        streaming.advance, sequence[:, :2], zeros(streaming, 1), padding=3
    )
    second, _ = advance(streaming.advance, sequence[:, 2:], memory)

    surprise = np.concatenate([first["surprise"][0, :2], second["surprise"][0]])
    expected = -np.log([probabilities[t, sequence[0, t + 1]] for t in range(5)])
    np.testing.assert_allclose(surprise, [0.0, *expected], atol=TOLERANCE)


def test_forecasts_carry_memory_and_calendar_over_calls():
    network = networks.build(networks.SERIES, networks.FORECAST)
    streaming = stream_network(network, networks.FORECAST)
    series = networks.half_hours(60)
    expected = network(series).numpy()[0]

    memory, parts = zeros(streaming, 1), []
    for t in range(60):
        results, memory = advance(streaming.advance, series[:, t : t + 1], memory)
        parts.append(results["forecast"][0, 0])

    std = networks.SERIES["fields"][1]["std"]
    np.testing.assert_allclose(np.array(parts) / std, expected / std, atol=TOLERANCE)


@pytest.mark.parametrize("timesteps", [1, 2, 5, 17])
def test_forecasts_of_a_prefix_are_those_of_the_whole(timesteps):
    network = networks.build(networks.SERIES, networks.FORECAST)
    series = networks.half_hours(30)

    prefix = network(series[:, :timesteps]).numpy()

    expected = network(series).numpy()[:, :timesteps]
    np.testing.assert_allclose(prefix, expected, rtol=TOLERANCE)


def test_unknown_cell_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'lstmm'; choose one of rnn, lstm, gru"):
        build_network(networks.EVENTS, networks.LABEL, cell="lstmm")
