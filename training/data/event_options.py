"""Options of source `events`: the keys of `[data]`, checked before a file is read.

What they say of columns and of the split is handed on as `Roles` and `SplitOptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from models.schemas import TIME_FEATURES
from training.data.event_log import Roles
from training.data.fields import MISSING_NUMBERS
from training.data.label_weights import EVEN, LABEL_WEIGHTS
from training.data.splits import SPLITS, SplitOptions
from training.data.tasks import TASK_RULE, TIMED
from training.errors import ConfigError
from training.sections import (
    ONCE,
    RISING,
    between,
    each,
    inside,
    inside_or_count,
    one_of,
)

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class EventOptions:
    """The `[data]` keys of source `events`."""

    source: Annotated[str, one_of("events")]
    file: str
    case: str = ""
    event: str = ""
    time: str = ""
    label: str = ""
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    time_format: str = ""
    missing: Annotated[str, one_of(*MISSING_NUMBERS)] = "refuse"
    time_features: Annotated[
        tuple[str, ...] | None, each(one_of(*TIME_FEATURES)), ONCE
    ] = None
    task: Annotated[str, TASK_RULE] = "next event"
    label_weight: Annotated[str, one_of(*LABEL_WEIGHTS)] = EVEN
    quantiles: Annotated[tuple[float, ...], each(inside(0, 1)), RISING] = QUANTILES
    windows: str = ""
    anomaly: str = ""
    end: bool = True
    unknown: bool = True
    min_count: Annotated[int, between(1, 1_000_000)] = 1
    split: Annotated[str, one_of(*SPLITS)] = "time"
    validation: Annotated[float, inside_or_count()] = 0.1
    test: Annotated[float, inside_or_count()] = 0.2
    fold_column: str = ""
    folds: Annotated[int, between(2, 1000)] = 5
    fold: str = "0"
    min_events: Annotated[int, between(1, 1_000_000)] = 1
    cut_after: Annotated[int, between(0, 1_000_000_000)] = 0
    first_cases: Annotated[int, between(0, 1_000_000_000)] = 0
    window: Annotated[int, between(2, 100_000)] = 500


def refuse_unused(options: EventOptions, tasks: Sequence[str]) -> None:
    """Refuse a column that no task looks at, and a task without its column.

    Raises:
        ConfigError: There is one.
    """
    if "label" in tasks and not options.label:
        raise ConfigError(
            "data.label is missing; expected the column of what is to be learnt. "
            f"`python -m training inspect {options.file}` shows the columns."
        )
    if "label" not in tasks and options.label:
        raise ConfigError(
            f"data.label is {options.label!r}; the task {options.task!r} does not "
            'learn it. Leave it out, or set data.task = "label".'
        )
    if "label" not in tasks and options.label_weight != EVEN:
        raise ConfigError(
            f'data.label_weight is "{options.label_weight}"; the task {options.task!r} '
            "learns no label. Leave it out, or add the task label."
        )
    timed = [task for task in tasks if task in TIMED]
    if timed and not options.time:
        raise ConfigError(
            f"data.time is missing; expected the column of times for the {timed[0]}. "
            "Name it, or leave the task out."
        )
    if timed and 0.5 not in options.quantiles:
        raise ConfigError(
            f"data.quantiles is {list(options.quantiles)}; expected the median, 0.5, "
            "among them. Add it."
        )
    refuse_unasked(options, tasks)
    if options.time_features and not options.time:
        raise ConfigError(
            f"data.time_features is {list(options.time_features)}; expected a column "
            "of times with it. Name it in data.time."
        )


def refuse_unasked(options: EventOptions, tasks: Sequence[str]) -> None:
    """Refuse labels of anomalies that no surprise is compared with.

    Raises:
        ConfigError: There are such labels.
    """
    if options.windows and options.anomaly:
        raise ConfigError(
            f"data.windows is {options.windows!r} and data.anomaly {options.anomaly!r};"
            " expected one of them. Leave the other out."
        )
    for key in ("windows", "anomaly"):
        if getattr(options, key) and "next event" not in tasks:
            raise ConfigError(
                f"data.{key} is {getattr(options, key)!r}; the task {options.task!r} "
                "has no surprise to score by it. Leave it out, or add the task next."
            )
    if options.windows and not options.time:
        raise ConfigError(
            f"data.windows is {options.windows!r}; expected a column of times with it. "
            "Name it in data.time, or mark events in a column: data.anomaly."
        )


def refuse_columns(options: EventOptions) -> None:
    """Refuse columns of plain text, which has none.

    Raises:
        ConfigError: One is named.
    """
    named = find_roles(options).asked()
    if named:
        option, column = next(iter(named.items()))
        raise ConfigError(
            f"{option} is {column!r}; {options.file} is plain text by its name, an "
            "event per character, and has no columns. Leave it out; or where the file "
            "is CSV, rename it to .csv."
        )


def find_roles(options: EventOptions) -> Roles:
    """Read the roles of columns from the options."""
    return Roles(
        case=options.case,
        event=options.event,
        time=options.time or None,
        label=options.label or None,
        numbers=options.numbers,
        categories=options.categories,
        fold=options.fold_column or None,
        time_format=options.time_format or None,
        missing=options.missing,
        anomaly=options.anomaly or None,
    )


def split_options(options: EventOptions, seed: int) -> SplitOptions:
    """Read how to divide the log from the options."""
    return SplitOptions(
        split=options.split,
        validation=options.validation,
        test=options.test,
        folds=options.folds,
        fold=options.fold,
        seed=seed,
        context=options.window,
    )
