"""The whole way of somebody's Keras file: load -> stream -> prove -> export -> publish.

Knows which step follows which, and nothing of how a step is done.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras

from models.export import (
    ExportError,
    export_network,
    export_programs,
    load_signature,
    trace_signature,
)
from models.keras_graph import find_graph, find_operations
from models.networks import CELLS
from models.ports import CannotServe
from models.refusals import CannotStream
from models.streaming import StreamingNetwork, stream_network
from models.wrapping import MIN_WINDOW, Wrapped, wrap_model
from training.errors import ModelError, during
from training.export_report import print_export
from training.load_keras import load_model
from training.manifest import describe_network, publish_described
from training.model_file import SAVE_AGAIN
from training.native_log import silence_native_log
from training.programs import NEEDS_TENSORFLOW, say_errors
from training.proof import Proof, Stepper, prove
from training.report import say
from training.run import package_versions

REPLACE = "Use another layer of Keras in its place."


@dataclass(frozen=True)
class ExportRequest:
    """Request to export a Keras file, with the options of the command.

    Args:
        file: The Keras file.
        name: Name of the model in addresses.
        events: Names of its events, if it has any.
        labels: Names of the numbers its first output ends in, if they have any.
        task: `next_event`, or None.
        allow_code: Whether Python code stored in the file may run.
        compiled: Whether programs are compiled as well as the SavedModel.
        window: How many of the last events the model is applied to, if not to all.
        padding: What a window is padded with, if not with what the model masks.
    """

    file: Path
    name: str
    events: list[str] | None = None
    labels: list[str] | None = None
    task: str | None = None
    allow_code: bool = False
    compiled: bool = True
    window: int | None = None
    padding: float | None = None


class Streamable(NamedTuple):
    """A model that was proved to stream.

    Args:
        model: As loaded.
        wrapped: The same, wrapped.
        streaming: The same, streaming.
        advance: The traced signature, which was proved.
        proof: What was compared.
    """

    model: keras.Model
    wrapped: Wrapped
    streaming: StreamingNetwork
    advance: Any
    proof: Proof


def export_file(request: ExportRequest, artifacts: Path) -> Path:
    """Publish a Keras file as a new version of a model.

    Args:
        request: What, and as what.
        artifacts: Folder of models; the version appears in `<artifacts>/<name>/`.

    Returns:
        The version's folder.

    Raises:
        ModelError: The file cannot be read, streamed or served unchanged.
    """
    say(f"Exporting {request.name} from {request.file}")
    with during("Loading", SAVE_AGAIN):
        model = load_model(request.file, allow_code=request.allow_code)
    try:
        ready = make_streamable(model, request)
        with during("Writing the version", REPLACE, (ExportError,)):
            version = publish(ready, request, artifacts)
    except (CannotServe, CannotStream, ExportError) as error:
        raise ModelError(f"{request.file}: {name_window(model, str(error))}") from error
    print_export(ready.model, ready.wrapped, ready.streaming, ready.proof, version)
    return version


def name_window(model: keras.Model, sentence: str) -> str:
    """Say the number in the advice `--window N` where a model takes one only."""
    shapes = [x.shape for x in getattr(model, "inputs", None) or [] if x.ndim > 1]
    most = max(map(len, shapes), default=0)
    lengths = {shape[1] for shape in shapes if len(shape) == most} or {None}
    (size, *others) = lengths
    if others or not size or size < MIN_WINDOW:
        return sentence
    for what in ("its last N events", "windows of N values"):
        sentence = sentence.replace(what, what.replace("N", str(size)))
    return sentence.replace("--window N", f"--window {size}")


def make_streamable(model: keras.Model, request: ExportRequest) -> Streamable:
    """Give a model a memory that travels with the call, and prove it is the same.

    Raises:
        CannotServe: Its inputs, outputs and names have no form for clients.
        CannotStream: A layer needs events that have not come yet.
        ModelError: The stream answers something else than the model.
    """
    refusals = (CannotServe, CannotStream)
    with during("Reading inputs and outputs", REPLACE, refusals):
        wrapped = wrap_model(
            model,
            events=request.events,
            labels=request.labels,
            task=request.task,
            window=request.window,
            padding=request.padding,
        )
    with during("Streaming", REPLACE, refusals):
        streaming = stream_network(wrapped.network, wrapped.outputs)
        advance = trace_signature(streaming.advance)
    with during("The proof", REPLACE, refusals):
        stream = Stepper(load_signature(advance), streaming.memory, streaming.dtype)
        proof = prove(model, wrapped, stream)
    return Streamable(model, wrapped, streaming, advance, proof)


def publish(ready: Streamable, request: ExportRequest, artifacts: Path) -> Path:
    """Export, describe and publish a model as a new version."""
    return publish_described(
        artifacts, request.name, lambda version: export_version(ready, request, version)
    )


def export_version(
    ready: Streamable, request: ExportRequest, version: Path
) -> dict[str, Any]:
    """Write all of a version but its manifest, and return what that is to say."""
    wrapped, real = ready.wrapped, ready.proof.sequence
    memory = export_network(
        wrapped.network,
        wrapped.inputs,
        wrapped.outputs,
        version,
        real=real,
        streaming=ready.streaming,
        advance=ready.advance,
    )
    programs = write_stream_programs(ready, version) if request.compiled else {}
    cells = find_cells(ready.model)
    # The same weights behind another activation are another network.
    architecture = [hashlib.sha256(ready.model.to_json().encode()).hexdigest()]
    dtype = name_dtype(ready.streaming)
    return {
        **describe_network(
            wrapped.inputs,
            wrapped.outputs,
            cell="+".join(dict.fromkeys(name_cell(cell) for cell in cells)),
            units=[count_units(cell) for cell in cells],
            threshold=None,
            memory=memory,
            weights=wrapped.network.get_weights(),
            # Memory of another type is other memory.
            architecture=[*architecture, *dtype.values()],
        ),
        **dtype,
        **programs,
        **name_input(wrapped),
        "training": describe_file(request.file),
        "metrics": [],
        "packages": package_versions(),
    }


def name_dtype(streaming: StreamingNetwork) -> dict[str, str]:
    """Name the type of the memory, where it is not float32."""
    dtype = streaming.dtype
    return {} if dtype == "float32" else {"memory_dtype": dtype}


def name_input(wrapped: Wrapped) -> dict[str, str]:
    """Name a model's only input, so that clients of the model find it here."""
    return {"input_name": wrapped.ports[0].name} if len(wrapped.ports) == 1 else {}


def write_stream_programs(ready: Streamable, version: Path) -> dict[str, Any]:
    """Write the version's programs, and return what its manifest says of them."""
    wrapped = ready.wrapped
    began = time.perf_counter()
    with silence_native_log():
        programs = export_programs(
            wrapped.network,
            wrapped.inputs,
            wrapped.outputs,
            version,
            real=ready.proof.sequence,
            made_for=ready.wrapped.timesteps or ready.proof.events,
        )
    took = f"{time.perf_counter() - began:.1f} s"
    if programs.note:
        say(f"programs not compiled: {programs.note}")
        say(NEEDS_TENSORFLOW)
    else:
        say(f"programs {len(programs.entries)} compiled, {took}")
    say_errors(programs)
    return programs.describe()


def describe_file(file: Path) -> dict[str, Any]:
    """Describe where the weights are from."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"source": "keras file", "file": file.name, "sha256": digest}


def find_cells(model: keras.Model) -> list[Any]:
    """List the cells of a model's recurrent layers."""
    cells: list[Any] = []
    for operation in find_operations(find_graph(model)):
        if isinstance(operation, keras.layers.RNN):
            stack = getattr(operation.cell, "cells", None)
            cells += stack or [operation.cell]
    return cells


def name_cell(cell: Any) -> str:
    """Name a cell as the bundled models do, or by its class."""
    kinds = {
        type(build(1, return_sequences=True).cell): n for n, build in CELLS.items()
    }
    return kinds.get(type(cell), type(cell).__name__)


def count_units(cell: Any) -> int:
    """Return the size of a cell's short-term memory; of pictures, their channels."""
    size = getattr(cell, "filters", cell.state_size)
    return int(size if isinstance(size, int) else size[0])
