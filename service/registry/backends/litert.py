"""The fast runtime: programs compiled at export, run by LiteRT without TensorFlow.

Each program is compiled for one batch size and one number of timesteps. A call takes
the smallest that holds its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from service.common.loop import make_brief_lock
from service.registry.artifact import Artifact, ArtifactError, ProgramFile, read_file
from service.registry.backends.base import SIGNATURES, Plan, Signature, Tensors
from service.registry.backends.selftest import find_mismatch
from service.registry.encoding.events import build_encoder
from service.registry.manifest_check import check_inputs


class Program:
    """One compiled program.

    Args:
        content: The flatbuffer.
        entry: What the manifest says of it.

    Raises:
        ValueError: LiteRT cannot run it.
        RuntimeError: The same.
    """

    def __init__(self, content: bytes, entry: ProgramFile) -> None:
        self.name = f"{entry.signature}_{entry.batch}x{entry.timesteps}"
        self.batch, self.timesteps = entry.batch, entry.timesteps
        # One thread: a step is too short to be shared, and workers share the cores.
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        inputs, outputs = find_tensors(interpreter, entry.signature)
        self._interpreter = interpreter
        # The wrapper makes and checks arrays at each call, which takes longer than a
        # step of a small network. Its core runs on arrays that stay.
        self._invoke, self._inputs, self._outputs = pin(interpreter, inputs, outputs)
        self.shapes = {n: tuple(tensor.shape) for n, tensor in self._inputs.items()}

    def run(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """Run a call of at most this program's shape.

        Rows and timesteps that a call leaves unused keep what an earlier call wrote:
        they change no other row, and what comes of them is cut off.
        """
        num_rows, timesteps = tensors["sequence"].shape[:2]
        inputs, results = self._inputs, {}
        if num_rows == self.batch and timesteps == self.timesteps:
            for name, tensor in inputs.items():
                tensor[...] = tensors[name]
            self._invoke()
            for name, output in self._outputs.items():
                results[name] = output.copy()
            return results
        for name, tensor in inputs.items():
            if name == "sequence":
                tensor[:num_rows, :timesteps] = tensors[name]
            else:
                tensor[:num_rows] = tensors[name]
        self._invoke()
        for name, output in self._outputs.items():
            # Memories are inputs as well; every other output has timesteps.
            used = (
                output[:num_rows] if name in inputs else output[:num_rows, :timesteps]
            )
            results[name] = used.copy()
        return results


def pin(
    interpreter: Interpreter, inputs: dict[str, int], outputs: dict[str, int]
) -> tuple[Callable[[], None], Tensors, Tensors]:
    """Return what runs an interpreter, and its tensors as arrays that stay valid.

    A tensor is allocated once where none has an open size, as in every program of the
    export. Whether one moves is tried by a call.

    Raises:
        ValueError: One does.
    """
    core = interpreter._interpreter
    arrays = [
        {name: core.tensor(core, index) for name, index in tensors.items()}
        for tensors in (inputs, outputs)
    ]
    places = [one.ctypes.data for tensors in arrays for one in tensors.values()]
    for one in arrays[0].values():
        one.fill(0)
    core.Invoke()
    indices = [*inputs.values(), *outputs.values()]
    if places != [core.tensor(core, index).ctypes.data for index in indices]:
        raise ValueError("its tensors move from call to call")
    return core.Invoke, arrays[0], arrays[1]


def find_tensors(
    interpreter: Interpreter, signature: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the indices of inputs and outputs, by the names of the signature."""
    runner = interpreter.get_signature_runner(signature)
    return (
        {name: d["index"] for name, d in runner.get_input_details().items()},
        {name: d["index"] for name, d in runner.get_output_details().items()},
    )


ONE_EVENT = Plan(1, 1)


class LiteRTRuntime:
    """A version's compiled programs.

    Args:
        artifact: The version on disk.

    Attributes:
        programs: By signature; those of the fewest timesteps and rows are first.

    Raises:
        ArtifactError: A signature has no program for one row and one timestep, LiteRT
            cannot run one, or they do not agree with each other.
    """

    name = "litert"

    def __init__(self, artifact: Artifact) -> None:
        self._lock = make_brief_lock()  # an interpreter holds its tensors
        self.programs: dict[str, list[Program]] = {}
        for entry in artifact.manifest.programs:
            program = load_program(artifact, entry)
            self.programs.setdefault(entry.signature, []).append(program)
        self._longest: dict[str, int] = {}  # timesteps of a chunk
        self._largest: dict[str, int] = {}  # rows of one timestep
        for signature in SIGNATURES:
            self._check_forms(artifact, signature)
        self._check_agreement(artifact)

    def _check_forms(self, artifact: Artifact, signature: Signature) -> None:
        programs = self.programs.get(signature, [])
        if not any((p.batch, p.timesteps) == (1, 1) for p in programs):
            raise ArtifactError(
                f"{artifact.path} has no compiled {signature} for one row and timestep"
            )
        programs.sort(key=lambda program: (program.timesteps, program.batch))
        self._longest[signature] = programs[-1].timesteps
        self._largest[signature] = max(p.batch for p in programs if p.timesteps == 1)

    def _check_agreement(self, artifact: Artifact) -> None:
        programs = [p for name in SIGNATURES for p in self.programs[name]]
        found = find_mismatch(artifact.manifest, programs)
        if found is not None:
            raise ArtifactError(
                f"{artifact.path} has programs that do not compute the same here: "
                f"{found.name} of {found.program.name} is {found.difference:.1e} off "
                f"that of {programs[0].name}, carried. Export the model again on this "
                "kind of machine, or set CARRYOVER_RUNTIME=tensorflow."
            )

    def plan(self, signature: Signature, remaining: Sequence[int]) -> Plan:
        """Take a chunk of one row that is alone, else one timestep of many rows."""
        if len(remaining) == 1:
            if remaining[0] == 1:
                return ONE_EVENT
            return Plan(1, min(remaining[0], self._longest[signature]))
        return Plan(min(len(remaining), self._largest[signature]), 1)

    def run(self, signature: Signature, tensors: Tensors) -> dict[str, np.ndarray]:
        """Advance a batch; see `service.registry.backends.base.Runtime`.

        Raises:
            ValueError: No program takes so large a batch.
        """
        num_rows, timesteps = tensors["sequence"].shape[:2]
        with self._lock:
            for program in self.programs[signature]:
                if program.batch >= num_rows and program.timesteps >= timesteps:
                    return program.run(tensors)
        raise ValueError(
            f"no {signature} program takes {num_rows} rows of {timesteps} timesteps; "
            "expected a call as planned."
        )


def load_program(artifact: Artifact, entry: ProgramFile) -> Program:
    """Load one program of a version.

    Raises:
        ArtifactError: LiteRT cannot run it, or it is not what the manifest says.
    """
    content = read_file(artifact, entry.file)
    try:
        program = Program(content, entry)
    except (ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"{artifact.path / entry.file} cannot be run: {error}. Export the model "
            "again, or set CARRYOVER_RUNTIME=tensorflow."
        ) from error
    manifest = artifact.manifest
    columns = build_encoder(manifest.input, max_events=1).columns
    check_inputs(program.shapes, manifest, columns, entry.batch, entry.timesteps)
    return program
