"""The fast runtime: programs compiled at export, run by LiteRT without TensorFlow.

Each program is compiled for one batch size and one number of timesteps. A call takes
the smallest that holds its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        self._interpreter = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        inputs, outputs = self._find_tensors(entry.signature)
        self._inputs, self._outputs = inputs, outputs
        self.shapes = {n: self._find_shape(k) for n, k in inputs.items()}
        # Functions that return views of the inputs: no view may live during a call.
        self._views = {n: self._interpreter.tensor(k) for n, k in inputs.items()}
        for view in self._views.values():
            view().fill(0)

    def _find_tensors(self, signature: str) -> tuple[dict[str, int], dict[str, int]]:
        """Return the indices of inputs and outputs, by the names of the signature."""
        # The runner must be gone before the first call: while it lives, the
        # interpreter takes it for a reference to its tensors and refuses to run.
        runner = self._interpreter.get_signature_runner(signature)
        return (
            {name: d["index"] for name, d in runner.get_input_details().items()},
            {name: d["index"] for name, d in runner.get_output_details().items()},
        )

    def _find_shape(self, index: int) -> tuple[int, ...]:
        return tuple(self._interpreter.tensor(index)().shape)

    def run(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """Run a call of at most this program's shape.

        Rows and timesteps that a call leaves unused keep what an earlier call wrote:
        they change no other row, and what comes of them is cut off.
        """
        interpreter = self._interpreter
        num_rows, timesteps = tensors["sequence"].shape[:2]
        is_full = (num_rows, timesteps) == (self.batch, self.timesteps)
        if is_full:  # `set_tensor` is quicker, and takes whole tensors only
            for name, index in self._inputs.items():
                interpreter.set_tensor(index, tensors[name])
        else:
            for name, view in self._views.items():
                tensor = tensors[name]
                if name == "sequence":
                    view()[:num_rows, :timesteps] = tensor
                else:
                    view()[:num_rows] = tensor
        interpreter.invoke()
        results = {n: interpreter.get_tensor(k) for n, k in self._outputs.items()}
        return results if is_full else self._cut(results, num_rows, timesteps)

    def _cut(
        self, results: dict[str, np.ndarray], num_rows: int, timesteps: int
    ) -> dict[str, np.ndarray]:
        # Memories are inputs as well; every other output has timesteps.
        return {
            name: value[:num_rows]
            if name in self._inputs
            else value[:num_rows, :timesteps]
            for name, value in results.items()
        }


class LiteRTRuntime:
    """A version's compiled programs.

    Args:
        artifact: The version on disk.

    Raises:
        ArtifactError: A signature has no program for one row and one timestep, LiteRT
            cannot run one, or they do not agree with each other.
    """

    name = "litert"

    def __init__(self, artifact: Artifact) -> None:
        self._lock = make_brief_lock()  # an interpreter holds its tensors
        self._programs: dict[str, list[Program]] = {}
        for entry in artifact.manifest.programs:
            program = load_program(artifact, entry)
            self._programs.setdefault(entry.signature, []).append(program)
        self._longest: dict[str, int] = {}  # timesteps of a chunk
        self._largest: dict[str, int] = {}  # rows of one timestep
        for signature in SIGNATURES:
            self._check_forms(artifact, signature)
        self._check_agreement(artifact)

    def _check_forms(self, artifact: Artifact, signature: Signature) -> None:
        programs = self._programs.get(signature, [])
        if not any((p.batch, p.timesteps) == (1, 1) for p in programs):
            raise ArtifactError(
                f"{artifact.path} has no compiled {signature} for one row and timestep"
            )
        programs.sort(key=lambda program: (program.timesteps, program.batch))
        self._longest[signature] = programs[-1].timesteps
        self._largest[signature] = max(p.batch for p in programs if p.timesteps == 1)

    def _check_agreement(self, artifact: Artifact) -> None:
        programs = [p for name in SIGNATURES for p in self._programs[name]]
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
            return Plan(1, min(remaining[0], self._longest[signature]))
        return Plan(min(len(remaining), self._largest[signature]), 1)

    def run(self, signature: Signature, tensors: Tensors) -> dict[str, np.ndarray]:
        """Advance a batch; see `service.registry.backends.base.Runtime`."""
        num_rows, timesteps = tensors["sequence"].shape[:2]
        with self._lock:
            for program in self._programs[signature]:
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
