"""Score forecasts as served: one pass over the series, memory carried throughout.

The error is MAPE = mean |error| / mean |value|, over the held-out rows: the definition
of Cui, Ahmad & Hawkins, Continuous Online Sequence Learning with an Unsupervised Neural
Network Model, Neural Computation 28(11), 2016, https://arxiv.org/abs/1512.05463.
Unlike the mean of |error| / |value| it does not explode where a value is near zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries
from training.evaluate.metric import Metric, Predict


def evaluate_series(
    held_out: HeldOutSeries, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure the error one row ahead and at the horizon, beside repeating the past."""
    del baselines  # none is trained: the past is the one to beat
    forecast = predict(held_out.sequence[None])[0]  # (rows, horizon)
    return [
        Metric(
            f"MAPE {ahead} row{'s' * (ahead > 1)} ahead",
            measure_error(held_out, ahead, forecast[:, ahead - 1]),
            "mean abs error / mean abs value",
            {
                name: measure_error(held_out, ahead, repeat(held_out, ahead, season))
                for name, season in {"last value": 1, **held_out.season_rows}.items()
            },
        )
        for ahead in sorted({1, held_out.horizon})
    ]


def measure_error(held_out: HeldOutSeries, ahead: int, forecast: Array) -> float:
    """Return the MAPE of forecasts of held-out values.

    Args:
        held_out: The series.
        ahead: How many rows ahead was forecast.
        forecast: Shape (rows,); at row t the forecast of row t + ahead.

    Returns:
        The error; every forecast of a held-out row counts.
    """
    target = held_out.values[held_out.start :]
    made = forecast[held_out.start - ahead : len(held_out.values) - ahead]
    return float(np.abs(made - target).mean() / np.abs(target).mean())


def repeat(held_out: HeldOutSeries, ahead: int, season: int) -> Array:
    """Forecast the value of whole seasons before: the last one known at row t.

    Returns:
        Shape (rows,); NaN where the series had not begun.
    """
    back = season * math.ceil(ahead / season) - ahead
    rows = np.arange(len(held_out.values)) - back
    return np.where(rows >= 0, held_out.values[rows], np.nan)
