"""The last section of the page: how fast `fit` trains, in how much memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.training.limits import check

INTRODUCTION = """\
## How fast it trains

`make bench-training DATA=folder` measures again; with `BENCH=--publish` its figures are
kept in `benchmarks/training/result.json` for this section. Rates are events per second
of the processor, on one thread: other programs ran on the same cores. *padded
model.fit* is Keras's own loop, on batches of random cases padded to their longest;
*torch.nn.LSTM* is PyTorch with the same network and the batches that `fit` cuts.
"""


def format_speed(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Write all that was measured, or that it was not."""
    lines = [INTRODUCTION]
    lines += [
        f"- {limit.sentence} ({figures['date']})"
        for name, figures in found.items()
        for limit in check(name, figures)
    ]
    if speed := found.get("speed"):
        lines += ["", describe_speed(speed)]
    if growth := found.get("growth"):
        lines += ["", describe_growth(growth)]
    return "\n".join(lines) + "\n"


def describe_speed(found: Mapping[str, Any]) -> str:
    """Write what was trained on, and the rates."""
    rates = ", ".join(
        f"{name} {rate:,.0f}" for name, rate in found["events_per_second"].items()
    )
    missing = f" Not measured: {found['missing']}." if found["missing"] else ""
    return (
        f"{found['readers']:,} readers of MSNBC, {found['events']:,} views, at most "
        f"{found['longest']} of one; events/s: {rates}.{missing}"
    )


def describe_growth(found: Mapping[str, Any]) -> str:
    """Write how a large log was trained on."""
    return (
        f"The generated log of {found['events']:,} events is read, sorted, divided and "
        f"encoded in {found['seconds_to_load']:.0f} s of the processor. "
        f"{found['updates']} updates of its first epoch were made, not all of them: "
        "memory is compared after the first 50 and at the end."
    )
