"""Learning-rate schedules: the rate at each update, from the configuration alone.

A run that was killed and resumed has the same rates, because a rate follows from how
much of the training is done and from nothing else.
"""

from __future__ import annotations

import math

from training.training_section import TrainingConfig

# Of a step where none is given: a tenth, as usual.
DECAY_RATE = 0.1


def find_rate(training: TrainingConfig, done: float) -> float:
    """Return the learning rate of an update.

    Args:
        training: Epochs, learning rate and schedule.
        done: Share of the training that is done, 0 to 1.

    Returns:
        During the first `warmup_epochs` a rate that rises evenly to `learning_rate`;
        after them that of the schedule.
    """
    warmup, epochs = training.warmup_epochs, training.epochs
    if not warmup:  # the same bits as before there was a warm-up
        return decay(training, done, done * epochs)
    past = done * epochs - warmup
    if past < 0:
        return training.learning_rate * (1 + past / warmup)
    return decay(training, past / (epochs - warmup), past)


def decay(training: TrainingConfig, done: float, epochs: float) -> float:
    """Lower a learning rate by its schedule.

    Args:
        training: Learning rate and schedule.
        done: Share of the training after the warm-up that is done, 0 to 1.
        epochs: That are done after the warm-up, with fractions.
    """
    rate = training.learning_rate
    if training.schedule == "constant":
        return rate
    if training.schedule == "cosine":
        return follow_cosine(rate, done)
    # Without decay_epochs, which the configuration asks for, the rate would stay.
    periods = epochs / (training.decay_epochs or math.inf)
    if training.schedule == "step":
        # An update's share is a fraction: 5.999999 epochs are 6.
        periods = math.floor(periods + 1e-9)
    return float(rate * (training.decay_rate or DECAY_RATE) ** periods)


def follow_cosine(learning_rate: float, done: float) -> float:
    """Lower a learning rate along half a cosine.

    Args:
        learning_rate: At the start.
        done: Finished share of the training, 0 to 1.

    Returns:
        learning_rate * (1 + cos(pi * done)) / 2

    Reference: Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm
    Restarts, ICLR 2017, https://arxiv.org/abs/1608.03983.
    """
    return learning_rate * (1 + math.cos(math.pi * done)) / 2
