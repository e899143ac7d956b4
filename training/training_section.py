"""The section `[training]` of a configuration: how the weights are found.

The annotation of a key states its values; `check_training` checks keys that depend on
each other, before any data are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from training.errors import ConfigError
from training.sections import Origin, Rule, between, inside, is_number, one_of

BALANCED = "balanced"
DECAYING = ("step", "exponential")


def is_class_weights(value: object) -> bool:
    """Accept `balanced`, or a table of numbers above 0."""
    if isinstance(value, dict):
        return bool(value) and all(is_number(w) and w > 0 for w in value.values())
    return value == BALANCED


CLASS_WEIGHTS = Rule(
    f'"{BALANCED}", or a table of numbers above 0 by label', is_class_weights
)


@dataclass(frozen=True)
class TrainingConfig:
    """The section `[training]`: Adam, its learning rate by a schedule.

    Args:
        epochs: Passes over the data; with `patience` their maximum.
        batch_size: Sequences per update.
        learning_rate: Adam's rate, the highest of the schedule.
        schedule: How the rate changes from update to update.
        warmup_epochs: In which the rate rises from 0.
        decay_epochs: After which it is multiplied by `decay_rate`.
        decay_rate: Of `step` and `exponential`; 0.1 where nothing is set.
        clip_norm: Longest gradient of each array of weights; 0: any.
        clip_global_norm: Longest gradient of all weights together, instead; 0: any.
        label_smoothing: Share of a target that is spread evenly over all labels.
        class_weights: How much a target weighs, by its label.
        patience: Epochs without a lower validation loss that end the training; the
            weights of the best epoch are taken. None: all epochs, the last weights.
        bptt: Events of a sequence per update, its state carried on; None: all of them.
    """

    epochs: Annotated[int, between(1, 100_000)]
    batch_size: Annotated[int, between(1, 100_000)]
    learning_rate: Annotated[float, inside(0, 10)]
    schedule: Annotated[str, one_of("cosine", "constant", *DECAYING)] = "cosine"
    warmup_epochs: Annotated[float, between(0, 100_000)] = 0
    decay_epochs: Annotated[float | None, inside(0, 100_000)] = None
    decay_rate: Annotated[float | None, inside(0, 1)] = None
    # Longer gradients come from rare events met early; the field's usual bound.
    clip_norm: Annotated[float, between(0, 1_000_000)] = 1.0
    clip_global_norm: Annotated[float, between(0, 1_000_000)] = 0.0
    label_smoothing: Annotated[float, between(0, 0.9)] = 0.0
    class_weights: Annotated[Any, CLASS_WEIGHTS] = None
    patience: Annotated[int | None, between(1, 100_000)] = None
    bptt: Annotated[int | None, between(1, 100_000)] = None


def check_training(training: TrainingConfig, origin: Origin) -> None:
    """Refuse keys that contradict each other, or that would do nothing.

    Raises:
        ConfigError: Two keys contradict, or one has no effect.
    """
    if training.warmup_epochs >= training.epochs:
        raise refuse(
            origin,
            "warmup_epochs",
            training.warmup_epochs,
            f"fewer than training.epochs, {training.epochs}. Lower it",
        )
    if training.clip_norm and training.clip_global_norm:
        raise refuse(
            origin,
            "clip_global_norm",
            training.clip_global_norm,
            f"0 or none, as training.clip_norm is {training.clip_norm}. Leave one of "
            "them out",
        )
    if training.schedule in DECAYING:
        if training.decay_epochs is None:
            raise ConfigError(
                f"{origin.file}: {origin.key('decay_epochs')} is missing; expected the "
                "epochs after which the rate is multiplied by decay_rate, as "
                f"training.schedule is {training.schedule!r}. Add it, such as "
                f"{max(1, training.epochs // 3)}."
            )
        return
    for name in ("decay_epochs", "decay_rate"):
        value = getattr(training, name)
        if value is not None:
            raise refuse(
                origin,
                name,
                value,
                f"none with the schedule {training.schedule!r}, which does not use it. "
                'Leave it out, or set training.schedule = "step"',
            )


def refuse(origin: Origin, name: str, value: object, expected: str) -> ConfigError:
    """Say what is wrong with a key."""
    key = origin.key(name)
    return ConfigError(f"{origin.source(key)}: {key} is {value}; expected {expected}.")
