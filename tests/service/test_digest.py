import math

import numpy as np
import pytest

from service.api.v1.explanation import digest_layer, half_life, split_prediction


def test_layer_of_an_lstm_is_summed_up_by_its_gates():
    layer = {
        "learn": np.array([[0.05, 0.5], [0.95, 0.5]], "float32"),
        "candidate": np.array([[-1.0, 1.0], [0.0, 0.0]], "float32"),
        "forget": np.array([[0.8, 1.0], [0.6, 0.8]], "float32"),
        "use": np.array([[0.0, 1.0], [0.0, 1.0]], "float32"),
        "long_term": np.array([[3.0, 4.0], [0.0, 0.0]], "float32"),
    }

    digest = digest_layer(layer)

    assert digest["mean_forget"] == pytest.approx(0.8)
    assert digest["half_life_events"] == pytest.approx(math.log(0.5) / math.log(0.8))
    assert digest["saturated"] == {"learn": 0.5, "forget": 0.25, "use": 1.0}


def test_update_gate_is_what_the_gru_forgets_by():
    layer = {"update": np.full((3, 2), 0.5), "reset": np.full((3, 2), 0.99)}

    digest = digest_layer(layer)

    assert digest["mean_forget"] == 0.5
    assert digest["half_life_events"] == pytest.approx(1.0)
    assert digest["saturated"] == {"update": 0.0, "reset": 1.0}


def test_layer_without_gates_has_no_digest():
    assert digest_layer({"short_term": np.zeros((3, 2))}) == {}


def test_memory_halves_in_the_half_life():
    assert 0.97 ** half_life(0.97) == pytest.approx(0.5)


@pytest.mark.parametrize(("forget", "events"), [(0.0, 0.0), (1.0, None)])
def test_half_life_has_limits(forget, events):
    assert half_life(forget) == events


def test_parts_of_a_probability_add_up_to_its_logit():
    output, alone = np.array([[0.2, 0.8]]), np.array([[0.5, 0.5]])

    parts = split_prediction(output, alone, is_probability=True)

    np.testing.assert_allclose(parts["event"], [[0.0, 0.0]], atol=1e-6)
    # ln 0.2 and ln 0.8, less their mean.
    np.testing.assert_allclose(
        parts["memory"], [[-math.log(2), math.log(2)]], rtol=1e-6
    )
    logits = np.exp(parts["event"] + parts["memory"])
    np.testing.assert_allclose(logits / logits.sum(), output, rtol=1e-6)


def test_a_forecast_is_parted_in_its_own_unit():
    output, alone = np.array([[10.0], [12.0]]), np.array([[9.0], [14.0]])

    parts = split_prediction(output, alone, is_probability=False)

    np.testing.assert_array_equal(parts["event"], alone)
    np.testing.assert_array_equal(parts["memory"], [[1.0], [-2.0]])


def test_probability_of_zero_stays_finite():
    parts = split_prediction(
        np.array([0.0, 1.0]), np.array([0.5, 0.5]), is_probability=True
    )

    assert np.all(np.isfinite(parts["memory"]))
