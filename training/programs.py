"""A version's compiled programs: made, measured, and what is to be said of them.

Does not know how a program is compiled or compared: `models.export` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras

from models.export import FORMS, HOT_FORMS, Programs, export_programs
from training.data.dataset import Dataset
from training.evaluate.metric import Metric, Predict
from training.figures import format_figure
from training.native_log import silence_native_log
from training.report import say

# Other models of an image without TensorFlow are served all the same.
NEEDS_TENSORFLOW = (
    "warning  the service needs TensorFlow to serve this version: install "
    "requirements.txt, or build the image with --target tensorflow"
)
# Measures a function from sequences to outputs on held-out data, without baselines.
Measure = Callable[[Predict], Sequence[Metric]]


class Compiled(NamedTuple):
    """Entries of a version's manifest and evaluation about its programs."""

    description: dict[str, Any]
    report: str


def write_programs(
    network: keras.Model,
    dataset: Dataset,
    version: Path,
    *,
    quantize: str | None,
    measure: Measure,
) -> Compiled:
    """Write a version's programs and, if asked for, the same with smaller weights.

    Args:
        network: As exported to `version`.
        dataset: Its schemas and real sequences.
        version: The folder of the SavedModel.
        quantize: `int8`, `float16` or None.
        measure: Evaluates what programs predict; called only with `quantize`.

    Returns:
        What manifest and evaluation say.
    """
    exact = export_timed(network, dataset, version, quantize=None)
    if not quantize:
        return Compiled(exact.describe(), "")
    if not exact.entries:
        return Compiled(exact.describe(), format_variants({"float32": exact}, measure))
    smaller = export_timed(network, dataset, version, quantize=quantize)
    variants = [{**entry, "quantize": quantize} for entry in smaller.entries]
    report = format_variants({"float32": exact, quantize: smaller}, measure)
    return Compiled({**exact.describe(), "program_variants": variants}, report)


def export_timed(
    network: keras.Model, dataset: Dataset, version: Path, *, quantize: str | None
) -> Programs:
    """Export programs, and say how long it took or why there are none."""
    began = time.perf_counter()
    with silence_native_log():
        programs = export_programs(
            network,
            dataset.inputs,
            dataset.outputs,
            version,
            real=dataset.real,
            forms=HOT_FORMS if quantize else FORMS,
            quantize=quantize,
            made_for=dataset.real.shape[1],
        )
    kind = f"{quantize} programs" if quantize else "programs"
    if programs.note:
        say(f"no {kind}: {programs.note} The SavedModel serves without them.")
        if not quantize:
            say(NEEDS_TENSORFLOW)
    else:
        say(
            f"{len(programs.entries)} {kind} compiled, largest difference from the "
            f"SavedModel {programs.difference:.1e}, {time.perf_counter() - began:.1f} s"
        )
        say_errors(programs)
    return programs


def say_errors(programs: Programs) -> None:
    """Say how near to the truth a program is where the difference is of rounding."""
    if programs.errors:
        of_programs, of_saved_model = (e.root_mean_square for e in programs.errors)
        say(
            "which is rounding in float32: from the network in float64 the programs "
            f"are {of_programs:.1e} off, the SavedModel {of_saved_model:.1e}"
        )


def format_variants(kinds: Mapping[str, Programs], measure: Measure) -> str:
    """Write the part of the evaluation that compares kinds of weights."""
    rows: list[list[str]] = []
    header = ["weights", "bytes of one program", "largest difference"]
    for kind, programs in kinds.items():
        if programs.predict is None:
            rows.append([kind, "-", programs.note])
            continue
        metrics = measure(programs.predict)
        header[3:] = [f"{metric.name} ({metric.unit})" for metric in metrics]
        size, difference = programs.entries[0]["bytes"], programs.difference
        figures = [format_figure(metric.value) for metric in metrics]
        rows.append([kind, str(size), f"{difference:.2g}", *figures])
    table = [header, ["---"] * len(header), *rows]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in table)
    return (
        f"\n## Quantized programs\n\n{lines}\n\nDifferences are from the SavedModel, "
        "over 1,000 carried steps; forecasts in standard deviations of the field.\n"
        "Quantized programs are never used unless asked for.\n"
    )
