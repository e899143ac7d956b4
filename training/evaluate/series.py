"""Score forecasts as served: one pass over the series, memory carried throughout.

The error is WAPE = mean |error| / mean |value|, over the held-out rows. Cui, Ahmad &
Hawkins call it MAPE (Continuous Online Sequence Learning with an Unsupervised Neural
Network Model, Neural Computation 28(11), 2016, https://arxiv.org/abs/1512.05463).
Unlike MAPE, the mean of |error| / |value|, it does not explode where a value is near
zero. The error at the horizon decides whether a network is worth it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries
from training.evaluate.guesses import BLOCK, find_margin
from training.evaluate.metric import AS_TRAINED, Metric, Predict
from training.evaluate.past import distances, forecast_past
from training.evaluate.quantiles import measure_quantiles
from training.evaluate.series_alarms import measure_series_alarms


def evaluate_series(
    held_out: HeldOutSeries | Sequence[HeldOutSeries],
    predict: Predict,
    baselines: Mapping[str, Predict],
) -> list[Metric]:
    """Measure the error one row ahead and at the horizon, beside repeating the past.

    Of several series it is the mean over them, each as heavy as the others.
    """
    trained = baselines.get(AS_TRAINED)  # else the past is the one to beat
    if isinstance(held_out, HeldOutSeries):
        alarms = measure_series_alarms([held_out], predict)
        return [*evaluate_one(held_out, predict, trained), *alarms]
    each = [evaluate_one(one, predict, trained) for one in held_out]
    averages = [average(metrics) for metrics in zip(*each, strict=True)]
    return [*averages, *measure_series_alarms(held_out, predict)]


def average(metrics: Sequence[Metric]) -> Metric:
    """Average one figure over series."""
    first = metrics[0]
    baselines = {
        name: float(np.mean([metric.baselines[name] for metric in metrics]))
        for name in first.baselines
        if all(name in metric.baselines for metric in metrics)
    }
    value = float(np.mean([metric.value for metric in metrics]))
    margin = float(np.linalg.norm([metric.margin for metric in metrics])) / len(metrics)
    return replace(first, value=value, baselines=baselines, margin=margin)


def evaluate_one(
    held_out: HeldOutSeries, predict: Predict, trained: Predict | None = None
) -> list[Metric]:
    """Measure the forecasts of one series.

    Forecasts of quantiles are also scored as such, and as one value by their median,
    where they have it.

    Args:
        held_out: The series.
        predict: The network.
        trained: The same before its quantiles corrected themselves.
    """
    forecast = predict(held_out.sequence[None])[0]  # (rows, horizon[, quantiles])
    levels = held_out.quantiles
    if not levels:
        return measure_errors(held_out, forecast)
    median = forecast[..., levels.index(0.5)] if 0.5 in levels else None
    errors = [] if median is None else measure_errors(held_out, median)
    if errors and trained is not None:
        before = trained(held_out.sequence[None])[0]
        return [*errors, *measure_quantiles(held_out, forecast, before)]
    return [*errors, *measure_quantiles(held_out, forecast, decide=not errors)]


def measure_errors(held_out: HeldOutSeries, forecast: Array) -> list[Metric]:
    """Measure forecasts of one value each, of shape (rows, horizon)."""
    return [
        measure_distance(held_out, ahead, forecast[:, ahead - 1])
        for ahead in distances(held_out)
    ]


def measure_distance(held_out: HeldOutSeries, ahead: int, forecast: Array) -> Metric:
    """Measure the forecasts of one distance, of shape (rows,)."""
    name = f"WAPE {ahead} row{'s' * (ahead > 1)} ahead"
    errors = find_errors(held_out, ahead, forecast)
    past = {
        other: find_errors(held_out, ahead, made)
        for other, made in forecast_past(held_out, ahead).items()
    }
    metric = Metric(
        name,
        float(errors.mean()),
        "mean abs error / mean abs value",
        {other: float(one.mean()) for other, one in past.items()},
        verdict=name if ahead == held_out.horizon else "",
    )
    best = metric.find_best()
    if best is None:
        return metric
    blocks = np.arange(len(errors)) // BLOCK
    return metric.with_margin(find_margin(errors - past[best[0]], blocks))


def find_errors(held_out: HeldOutSeries, ahead: int, forecast: Array) -> Array:
    """Return the errors of the forecasts of all held-out values.

    Args:
        held_out: The series.
        ahead: How many rows ahead was forecast.
        forecast: Shape (rows,); at row t the forecast of row t + ahead.

    Returns:
        Relative to the mean absolute value, of shape (held-out rows,).
    """
    target = held_out.values[held_out.start :]
    made = forecast[held_out.start - ahead : len(held_out.values) - ahead]
    errors: Array = np.abs(made - target) / np.abs(target).mean()
    return errors
