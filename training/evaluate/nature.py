"""Compare probabilities with the exact ones: how much a network remembers, in nats."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.data.dataset import Array
from training.data.nature import (
    BLURRY,
    LABELS,
    MAX_LENGTH,
    NEUTRAL,
    P_LABEL_NATURE,
    P_LABEL_PRIOR,
    TELL_NATURE,
    Programmes,
    exact_posterior,
)
from training.evaluate.metric import Metric, Predict

NUM_FILLINGS = 400  # random neutral pictures between the bear and the question
NEUTRAL_AFTER_BEAR = 60
FILLING_SEED = 60
WOLF = LABELS.index("wolf")
# Below float32's resolution of a probability, so that a wrong certainty stays finite.
MIN_PROBABILITY = 1e-9


def evaluate_nature(
    held_out: Programmes, predict: Predict, baselines: Mapping[str, Predict]
) -> list[Metric]:
    """Measure divergence from the exact answer, and the two sentences of the lesson."""
    return [
        Metric(
            name,
            figure(held_out, predict),
            unit,
            {other: figure(held_out, baselines[other]) for other in baselines},
            verdict="nats from the exact answer" if name == FIGURES[0][0] else "",
        )
        for name, unit, figure in FIGURES
    ]


def measure_blurry_divergence(held_out: Programmes, predict: Predict) -> float:
    """Average KL(exact || predicted) over the blurry pictures."""
    return float(measure_divergence(held_out, predict)[held_out.is_blurry].mean())


def measure_mean_divergence(held_out: Programmes, predict: Predict) -> float:
    """Average KL(exact || predicted) over all pictures."""
    return float(measure_divergence(held_out, predict)[held_out.is_shown].mean())


def measure_divergence(held_out: Programmes, predict: Predict) -> Array:
    """Compare the predictions at every picture with the exact probabilities."""
    return divergence(exact_posterior(held_out.events), predict(held_out.events))


def divergence(exact: Array, predicted: Array) -> Array:
    """Compute KL(exact || predicted) = sum of exact * ln(exact / predicted).

    Args:
        exact: Probabilities of shape (batch, timesteps, labels).
        predicted: Probabilities of the same shape.

    Returns:
        Nats, of shape (batch, timesteps).
    """
    p = np.maximum(exact, MIN_PROBABILITY)
    q = np.maximum(predicted.astype(np.float64), MIN_PROBABILITY)
    # 0 * ln 0 is 0 in the limit.
    nats: Array = np.where(exact > 0, exact * np.log(p / q), 0.0).sum(axis=-1)
    return nats


def measure_bear_error(held_out: Programmes, predict: Predict) -> float:
    """Ask what is blurry when a bear was on screen many neutral pictures ago."""
    del held_out  # the question has programmes of its own
    rng = np.random.default_rng(FILLING_SEED)
    programmes = rng.choice(NEUTRAL, (NUM_FILLINGS, NEUTRAL_AFTER_BEAR + 2))
    programmes[:, 0], programmes[:, -1] = TELL_NATURE[0], BLURRY
    predicted = predict(programmes.astype(np.int32))[:, -1, WOLF]
    return float(np.abs(predicted - P_LABEL_NATURE[WOLF]).max())


def measure_neutral_error(held_out: Programmes, predict: Predict) -> float:
    """Ask at every position of programmes that give nothing away."""
    del held_out  # the question has programmes of its own
    rng = np.random.default_rng(FILLING_SEED)
    programmes = rng.choice((*NEUTRAL, BLURRY), (NUM_FILLINGS, MAX_LENGTH))
    predicted = predict(programmes.astype(np.int32))
    return float(np.abs(predicted - P_LABEL_PRIOR).max())


FIGURES = (
    ("KL(exact, network), blurry pictures", "nats", measure_blurry_divergence),
    ("KL(exact, network), all pictures", "nats", measure_mean_divergence),
    (
        f"largest error of P(wolf), bear {NEUTRAL_AFTER_BEAR} pictures ago",
        "probability",
        measure_bear_error,
    ),
    (
        f"largest error of any P, nothing telling, pictures 1 to {MAX_LENGTH}",
        "probability",
        measure_neutral_error,
    ),
)
