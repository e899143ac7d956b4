"""Calibration of a trained network: when it is added, when nothing changes."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from models.networks import build_network  # noqa: E402
from tests.models.test_intervals import INPUTS, OUTPUTS  # noqa: E402
from training.calibrate import calibrate  # noqa: E402
from training.config import CalibrationConfig  # noqa: E402
from training.data.series import HeldOutSeries  # noqa: E402
from training.evaluate.metric import AS_TRAINED  # noqa: E402
from training.evaluate.series import evaluate_series  # noqa: E402


def test_quantiles_correct_themselves_unless_the_step_is_zero(capsys):
    network = build_network(INPUTS, OUTPUTS, cell="rnn", units=(2,))
    one = {**OUTPUTS, "horizon": 40}
    long = build_network(INPUTS, one, cell="rnn", units=(2,))

    corrected = calibrate(network, INPUTS, OUTPUTS, CalibrationConfig())

    assert corrected is not network
    assert isinstance(corrected, keras.Model)
    assert corrected.count_params() == network.count_params()
    assert calibrate(network, INPUTS, OUTPUTS, CalibrationConfig(0.0)) is network
    assert calibrate(long, INPUTS, one, CalibrationConfig()) is long
    assert "intervals stay as trained: 4800 numbers" in capsys.readouterr().out


def test_figures_before_the_correction_are_beside_those_after_it():
    values = np.random.default_rng(0).random(2_000)
    sequence = np.stack([values * 0, values * 0, values], -1).astype(np.float32)
    held_out = HeldOutSeries(sequence, values, 1_500, 2, {"day": 24}, (0.1, 0.5, 0.9))
    right, narrow = (
        lambda s, q=q: np.broadcast_to(q, (1, 2_000, 2, 3))
        for q in ([0.1, 0.5, 0.9], [0.4, 0.5, 0.6])
    )

    metrics = {
        m.name: m for m in evaluate_series(held_out, right, {AS_TRAINED: narrow})
    }

    share = metrics["values between quantiles 0.1 and 0.9, 2 rows ahead"]
    assert abs(share.value - 0.8) < 0.06
    assert abs(share.baselines[AS_TRAINED] - 0.2) < 0.06
    loss = metrics["pinball loss 2 rows ahead"]
    assert loss.value < loss.baselines[AS_TRAINED]
    # No baseline to beat: the verdict does not know it.
    assert AS_TRAINED not in metrics["WAPE 2 rows ahead"].baselines
