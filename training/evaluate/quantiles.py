"""Score forecasts of quantiles: how far off they are, and how often they hold.

The past makes quantiles too: what it forecasts, plus the quantiles of the errors that
it made before the held-out part.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.data.dataset import Array
from training.data.series import HeldOutSeries
from training.evaluate.guesses import BLOCK, find_margin
from training.evaluate.metric import AS_TRAINED, Metric
from training.evaluate.past import distances, forecast_past


def measure_quantiles(
    held_out: HeldOutSeries,
    forecast: Array,
    trained: Array | None = None,
    *,
    decide: bool = False,
) -> list[Metric]:
    """Measure pinball loss and coverage, one row ahead and at the horizon.

    Args:
        held_out: The series.
        forecast: Shape (rows, horizon, quantiles), made at each row.
        trained: The same before the quantiles corrected themselves.
        decide: Whether the verdict is by the loss at the horizon.

    Returns:
        For both distances the mean pinball loss over the quantiles, relative to the
        mean absolute value, for each quantile the share of values at or below it, which
        is best where it is the quantile itself, and the share between the lowest and
        the highest.
    """
    measured = []
    for ahead in distances(held_out):
        before = None if trained is None else trained[:, ahead - 1]
        measured.append(measure_ahead(held_out, ahead, forecast[:, ahead - 1], before))
    if decide:
        loss = measured[-1][0]
        margin = find_loss_margin(held_out, forecast, loss)
        measured[-1][0] = replace(loss, verdict=loss.name, margin=margin)
    return [metric for metrics in measured for metric in metrics]


def measure_ahead(
    held_out: HeldOutSeries, ahead: int, made: Array, trained: Array | None = None
) -> list[Metric]:
    """Measure the quantiles of one distance, of shape (rows, quantiles)."""
    target = held_out.values[held_out.start :]
    scale, levels = np.abs(target).mean(), held_out.quantiles
    quantiles = select(held_out, ahead, made)
    past = {
        name: select(held_out, ahead, spread(held_out, ahead, one))
        for name, one in forecast_past(held_out, ahead).items()
    }
    if trained is not None:
        past = {AS_TRAINED: select(held_out, ahead, trained), **past}
    far = f"{ahead} row{'s' * (ahead > 1)} ahead"
    loss = Metric(
        f"pinball loss {far}",
        pinball_loss(target, quantiles, levels) / scale,
        "mean pinball loss / mean abs value",
        {name: pinball_loss(target, past[name], levels) / scale for name in past},
    )
    below = [
        Metric(
            f"values up to quantile {level:g}, {far}",
            coverage(target, quantiles[:, k]),
            "share",
            {name: coverage(target, past[name][:, k]) for name in past},
            better="nominal",
        )
        for k, level in enumerate(levels)
    ]
    if len(levels) == 1:
        return [loss, *below]
    between = Metric(
        f"values between quantiles {levels[0]:g} and {levels[-1]:g}, {far}",
        cover_between(target, quantiles),
        "share",
        {name: cover_between(target, past[name]) for name in past},
        better="nominal",
    )
    return [loss, *below, between]


def find_loss_margin(held_out: HeldOutSeries, forecast: Array, loss: Metric) -> float:
    """Return what chance may explain of the distance to the best of the past."""
    far, best = held_out.horizon, loss.find_best()
    past = forecast_past(held_out, far)
    if best is None or best[0] not in past:
        return 0.0
    made = find_losses(held_out, far, forecast[:, far - 1])
    other = find_losses(held_out, far, spread(held_out, far, past[best[0]]))
    return find_margin(made - other, np.arange(len(made)) // BLOCK)


def find_losses(held_out: HeldOutSeries, ahead: int, made: Array) -> Array:
    """Return the pinball loss of every held-out value, relative as the mean is.

    Args:
        held_out: The series.
        ahead: How many rows ahead was forecast.
        made: Shape (rows, quantiles); at row t the forecast of row t + ahead.
    """
    target = held_out.values[held_out.start :]
    error = target[:, None] - select(held_out, ahead, made)
    level = np.array(held_out.quantiles)
    losses = np.maximum(level * error, (level - 1) * error).mean(axis=1)
    relative: Array = losses / np.abs(target).mean()
    return relative


def select(held_out: HeldOutSeries, ahead: int, made: Array) -> Array:
    """Take what was forecast of the held-out rows: row t's of row t + ahead."""
    return made[held_out.start - ahead : len(held_out.values) - ahead]


def pinball_loss(target: Array, made: Array, levels: tuple[float, ...]) -> float:
    """Average max(q * e, (q - 1) * e) over rows and quantiles, e = target - forecast.

    Args:
        target: Shape (rows,).
        made: Shape (rows, quantiles).
        levels: The quantiles q, each between 0 and 1.

    Returns:
        The loss in the unit of the target; least where each forecast is its quantile.

    Reference: Koenker & Bassett, Regression Quantiles, Econometrica 46(1), 1978,
    doi 10.2307/1913643.
    """
    error = target[:, None] - made
    level = np.array(levels)
    return float(np.maximum(level * error, (level - 1) * error).mean())


def coverage(target: Array, made: Array) -> float:
    """Return the share of values at or below their forecast."""
    return float((target <= made).mean())


def cover_between(target: Array, made: Array) -> float:
    """Return the share of values from the lowest to the highest of their quantiles."""
    return float(((made[:, 0] <= target) & (target <= made[:, -1])).mean())


def spread(held_out: HeldOutSeries, ahead: int, made: Array) -> Array:
    """Make quantiles of forecasts of one value: plus those of their errors before.

    Args:
        held_out: The series.
        ahead: How many rows ahead was forecast.
        made: Shape (rows,); at row t the forecast of row t + ahead.

    Returns:
        Shape (rows, quantiles); NaN where there is no forecast.
    """
    errors = held_out.values[ahead : held_out.start] - made[: held_out.start - ahead]
    quantiles: Array = made[:, None] + np.nanquantile(errors, held_out.quantiles)
    return quantiles
