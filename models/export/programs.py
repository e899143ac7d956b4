"""Programs: a network compiled with LiteRT, proved equal to its SavedModel.

A program answers in microseconds where a TensorFlow call takes a millisecond, and needs
no TensorFlow to run. Does not know manifests: returns what one is to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from models.export.comparison import (
    check_as_near,
    check_differences,
    check_errors,
    compare_programs,
    compare_with_truth,
)
from models.export.compilation import (
    FORMS,
    CannotCompile,
    Form,
    Program,
    compile_programs,
    shorten,
)
from models.export.running import Call, Distance, advance, begin, load_program, merge
from models.schemas import Schema, output_names
from models.streaming import choose_dtype

# How weights can be stored smaller, and what the files are called.
QUANTIZATIONS = ("int8", "float16")
# One event of each waiting session: where nearly all of the work is, and the only
# programs that are quantized. Chunks and explanations stay exact.
HOT_FORMS = tuple(f for f in FORMS if f.signature == "advance" and f.timesteps == 1)
# Where programs are, relative to the version.
FOLDER = Path("assets.extra/carryover/programs")


class Programs(NamedTuple):
    """The programs of one version.

    Args:
        entries: One per program, for the manifest: `file` (relative to the version),
            `signature`, `batch`, `timesteps`, `sha256` and `bytes`.
        difference: The largest difference of an output from the SavedModel's over
            1,000 carried steps; in standard deviations of the field for forecasts.
        note: Why there are none, or nothing.
        predict: From sequences (batch, timesteps[, columns]) to outputs per timestep,
            by the programs themselves; None where there are none.
        errors: Where float32 is too coarse to compare in: how far the outputs of
            programs and of the SavedModel are from the network in float64.
    """

    entries: Sequence[Mapping[str, Any]]
    difference: float = 0.0
    note: str = ""
    predict: Callable[[Any], Any] | None = None
    errors: tuple[Distance, Distance] | None = None

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says."""
        if self.note:
            return {"programs": list(self.entries), "programs_note": self.note}
        described: dict[str, Any] = {
            "programs": list(self.entries),
            "programs_difference": self.difference,
        }
        kinds = ("programs_error", "saved_model_error")
        for kind, error in zip(kinds, self.errors or (), strict=False):
            described[kind] = {
                "root_mean_square": error.root_mean_square,
                "largest": error.largest,
            }
        return described


def export_programs(
    network: keras.Model,
    inputs: Schema,
    outputs: Schema,
    version: Path,
    *,
    real: Any,
    forms: Sequence[Form] = FORMS,
    quantize: str | None = None,
    made_for: int | None = None,
) -> Programs:
    """Compile a network, prove the programs equal to its SavedModel and write them.

    Args:
        network: As it was exported.
        inputs: Its input schema.
        outputs: Its output schema.
        version: The folder of the SavedModel.
        real: A few real encoded sequences, of shape (batch, timesteps) or
            (batch, timesteps, columns), compared beside random ones.
        forms: Signature, batch size and timesteps of each.
        quantize: One of `QUANTIZATIONS` compiles with smaller weights; the difference
            is then measured but not limited.
        made_for: The timesteps of the sequences that the model was made for, if it
            was made for a number of them: there the programs must be near the
            SavedModel, and beyond only as near to the truth as that is.

    Returns:
        The programs; none, and why, where the network cannot be compiled or computes
        something else when compiled.
    """
    try:
        check_memory(network)
        programs = list(compile_programs(network, outputs, forms, quantize=quantize))
        with refuse_running():
            differences = compare_programs(
                version, programs, inputs, outputs, real=real
            )
        errors = None
        if not quantize:
            errors = prove_programs(
                network, inputs, outputs, version, programs, differences, real, made_for
            )
    except CannotCompile as error:
        return Programs([], note=str(error))
    ending = f".{quantize}.tflite" if quantize else ".tflite"
    entries = [write_program(p, version, ending) for p in programs]
    predict = predict_with_programs(programs, output_names(outputs))
    difference = differences[outputs["name"]]
    return Programs(entries, difference, predict=predict, errors=errors)


@contextmanager
def refuse_running() -> Iterator[None]:
    """Turn what LiteRT raises on a program into a reason to go without.

    Raises:
        CannotCompile: A program cannot be loaded or run.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise CannotCompile(f"a program fails: {shorten(str(error))}") from error


def check_memory(network: keras.Model) -> None:
    """Refuse a network with a memory that LiteRT does not compute with.

    Raises:
        CannotCompile: It is float64.
    """
    if choose_dtype(network) != "float32":
        raise CannotCompile(
            "a layer computes in float64, and LiteRT in float32. Build the model with "
            'dtype="float32" to compile it.'
        )


def prove_programs(
    network: keras.Model,
    inputs: Schema,
    outputs: Schema,
    version: Path,
    programs: Sequence[Program],
    differences: Mapping[str, float],
    real: Any,
    made_for: int | None,
) -> tuple[Distance, Distance] | None:
    """Let the differences from the SavedModel decide, or else the truth.

    Returns:
        Errors of the output of programs and SavedModel where they had to be measured.

    Raises:
        CannotCompile: The programs compute something else.
    """
    name = outputs["name"]
    try:
        check_differences(differences, name)
    except CannotCompile as error:
        try:
            errors = compare_with_truth(
                version, network, programs, inputs, outputs, real=real
            )
        except (NotImplementedError, TypeError, ValueError):
            # Keras cannot widen it, so that nothing speaks for the programs.
            raise error from None
        try:
            check_errors(errors, name)
        except CannotCompile:
            if made_for is None:
                raise
            near = compare_programs(
                version, programs, inputs, outputs, real=real, steps=made_for
            )
            check_differences(near, name, made_for)
            check_as_near(errors)
        return merge(errors.programs)[name], errors.saved_model[name]
    return None


def write_program(program: Program, version: Path, ending: str) -> dict[str, Any]:
    """Write one program, and return its entry of the manifest."""
    file = FOLDER / f"{program.form.name}{ending}"
    (version / FOLDER).mkdir(parents=True, exist_ok=True)
    (version / file).write_bytes(program.content)
    return {
        "file": file.as_posix(),
        **program.form._asdict(),
        "sha256": hashlib.sha256(program.content).hexdigest(),
        "bytes": len(program.content),
    }


def predict_with_programs(
    programs: Sequence[Program], names: Sequence[str]
) -> Callable[[Any], Any]:
    """Make one-timestep programs a function from sequences to outputs per timestep.

    Of several outputs it returns a dict, as the network does.
    """
    hot = {p.form.batch: p for p in programs if p.form in HOT_FORMS}

    def predict(sequences: Any) -> Any:
        enough = [batch for batch in hot if batch >= len(sequences)]
        program = hot[min(enough, default=max(hot))]
        call, batch = load_program(program), program.form.batch
        starts = range(0, len(sequences), batch)
        parts = [
            run_rows(program, call, sequences[start : start + batch])
            for start in starts
        ]
        joined = {name: np.concatenate([p[name] for p in parts]) for name in names}
        return joined if len(names) > 1 else joined[names[0]]

    return predict


def run_rows(program: Program, call: Call, sequences: Any) -> dict[str, Any]:
    """Run sequences from their beginning, rows padded to the program's batch."""
    batch = program.form.batch
    padding = [(0, batch - len(sequences))] + [(0, 0)] * (sequences.ndim - 1)
    memory = begin(program, batch)
    results, _ = advance(call, np.pad(sequences, padding), memory, 1)
    return {name: result[: len(sequences)] for name, result in results.items()}
