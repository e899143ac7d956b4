"""A temperature is found on validation, and is in the network's own weights."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

from models.networks import build_network  # noqa: E402
from tests.training.report_pages import always, load_small, small_config  # noqa: E402
from training.baselines import predict_with  # noqa: E402
from training.calibrate import check_calibration  # noqa: E402
from training.config import CalibrationConfig  # noqa: E402
from training.data.dataset import Sequences  # noqa: E402
from training.data.heads import HeldOutEvents  # noqa: E402
from training.errors import ConfigError  # noqa: E402
from training.evaluate.events import evaluate_events  # noqa: E402
from training.evaluate.metric import AS_TRAINED  # noqa: E402
from training.temperature import fit_temperature, scale_logits  # noqa: E402

EVENTS = {"kind": "event", "vocabulary": ["a", "b", "c"]}
OUTPUTS = {"kind": "next_event", "name": "p", "labels": ["a", "b", "c"]}


def hold_out(targets):
    """Parts of cases with two events each, all of them the same."""
    part = Sequences(
        np.zeros(len(targets), np.int32),
        np.asarray(targets, np.int32),
        np.ones(len(targets), np.uint8),
        np.arange(0, len(targets) + 1, 2),
    )
    return HeldOutEvents(part, part, part, ["a", "b", "c"], None, None)


def test_the_temperature_is_what_makes_a_sure_network_as_right_as_it_says():
    # Right in 60%, 20% each otherwise; said are the same shares to the power of 3.
    held_out = hold_out([0, 0, 0, 1, 2] * 20)
    sure = np.array([0.6, 0.2, 0.2]) ** 3
    sure /= sure.sum()

    temperature = fit_temperature(held_out, always(*sure))

    assert temperature == pytest.approx(3, rel=1e-4)
    metrics = evaluate_events(
        held_out, always(0.6, 0.2, 0.2), {AS_TRAINED: always(*sure)}
    )
    calibration = next(m for m in metrics if "calibration" in m.name)
    assert calibration.value == pytest.approx(0, abs=1e-9)
    assert calibration.baselines[AS_TRAINED] == pytest.approx(sure[0] - 0.6)
    # No baseline to beat: the verdict does not know it.
    assert all(AS_TRAINED not in m.baselines for m in metrics if m.verdict)


def test_unseen_labels_and_a_perfect_network_do_not_upset_it():
    unseen = hold_out([0, 0, 0, 1, 2, 3] * 10)

    assert fit_temperature(unseen, always(0.6, 0.2, 0.2)) == pytest.approx(1, rel=1e-4)
    assert np.isfinite(fit_temperature(hold_out([0, 0]), always(1.0, 0.0, 0.0)))
    assert fit_temperature(hold_out([3, 3]), always(1.0, 0.0, 0.0)) == 1.0


def test_the_softmax_layer_itself_is_divided_by_it():
    network = build_network(EVENTS, OUTPUTS, cell="gru", units=(4,))
    sequences = np.array([[0, 1, 2, 1]], np.int32)
    before = predict_with(network)(sequences)

    scale_logits(network, "p", 2.5)

    expected = before ** (1 / 2.5)
    expected /= expected.sum(axis=-1, keepdims=True)
    assert predict_with(network)(sequences) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["taxi", "roommate"])
def test_there_must_be_something_to_fit_it_on(name):
    with pytest.raises(ConfigError, match="temperature is true; expected false where"):
        check_calibration(load_small(name), CalibrationConfig(temperature=True))


def test_it_is_off_unless_asked_for():
    assert not small_config("visits").calibration.temperature
