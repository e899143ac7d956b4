"""Runs the benchmark: `python -m benchmarks.adding`, 24 trainings.

Each cell gets the learning rate that suits it: all rates are tried with a seed of their
own, and the best is trained again with the seeds that count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.adding.plot import draw
from benchmarks.adding.problem import BASELINE_MSE
from training.native_log import silence_native_log

with silence_native_log():
    from benchmarks.adding.train import (
        NUM_UPDATES,
        POINT_UPDATES,
        UNITS,
        Run,
        build,
        train,
    )

ROOT = Path(__file__).parents[2]
RESULT = Path(__file__).with_name("result.json")
FIGURE = ROOT / "docs" / "images" / "adding.svg"

LENGTHS = (50, 100)
LEARNING_RATES = (0.01, 0.003, 0.001)
# One seed chooses the rate, others judge it, so that the choice flatters no one.
CHOOSING_SEED, SEEDS = 0, (1, 2, 3)
# What is reported of a curve: its last 500 updates.
LAST_POINTS = 500 // POINT_UPDATES


def main() -> None:
    """Train, print, write the result and draw it; or train one network only."""
    options = parse_options()
    if options.one:
        cell, timesteps, rate, seed = options.one
        follow(Run(cell, int(timesteps), float(rate), int(seed)))
        return
    if not options.plot_only:
        began = time.monotonic()
        cells = [measure(cell, length) for length in LENGTHS for cell in UNITS]
        result = {**describe(), "minutes": (time.monotonic() - began) / 60}
        RESULT.write_text(json.dumps({**result, "runs": cells}, indent=1) + "\n")
    result = json.loads(RESULT.read_text())
    print(format_table(result["runs"]))
    draw(result, FIGURE)
    print(f"{result['minutes']:.1f} minutes; wrote {RESULT} and {FIGURE}")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adding")
    parser.add_argument(
        "--plot-only", action="store_true", help="draw result.json again, train nothing"
    )
    parser.add_argument(
        "--one",
        nargs=4,
        metavar=("CELL", "T", "RATE", "SEED"),
        help="train one network and print its error, write nothing: rnn 100 0.0003 0",
    )
    return parser.parse_args()


def measure(cell: str, timesteps: int) -> dict[str, Any]:
    """Choose a learning rate, then train with every seed."""
    tried = {
        rate: follow(Run(cell, timesteps, rate, CHOOSING_SEED))
        for rate in LEARNING_RATES
    }
    rate = min(tried, key=lambda one: final_error(tried[one]))
    curves = [follow(Run(cell, timesteps, rate, seed)) for seed in SEEDS]
    return {
        "cell": cell,
        "timesteps": timesteps,
        "units": UNITS[cell],
        "weights": build(Run(cell, timesteps, rate, CHOOSING_SEED)).count_params(),
        "tried": {str(one): final_error(curve) for one, curve in tried.items()},
        "learning_rate": rate,
        "mse": [final_error(curve) for curve in curves],
        "curves": [[round(point, 6) for point in curve] for curve in curves],
    }


def follow(run: Run) -> list[float]:
    """Train one network and say how it went."""
    began = time.monotonic()
    curve = train(run)
    seconds = time.monotonic() - began
    print(f"{run}  mse {final_error(curve):.5f}  {seconds:.0f} s", flush=True)
    return curve


def final_error(curve: Sequence[float]) -> float:
    """Average a curve's last updates."""
    return sum(curve[-LAST_POINTS:]) / LAST_POINTS


def describe() -> dict[str, Any]:
    """Describe what the result depends on besides the code."""
    packages = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return {
        "baseline_mse": BASELINE_MSE,
        "updates": NUM_UPDATES,
        "point_updates": POINT_UPDATES,
        "seeds": list(SEEDS),
        "cores": os.cpu_count(),
        "packages": {**packages, "python": platform.python_version()},
    }


def format_table(cells: Sequence[dict[str, Any]]) -> str:
    """Lay the final errors out as a Markdown table."""
    lines = [
        "| T | cell | weights | learning rate | MSE of seeds 1, 2, 3 |",
        "|---|---|---|---|---|",
    ]
    for one in cells:
        errors = ", ".join(f"{error:.4f}" for error in one["mse"])
        name = f"{one['cell']} ({one['units']} units)"
        lines.append(
            f"| {one['timesteps']} | {name} | {one['weights']:,} "
            f"| {one['learning_rate']} | {errors} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
