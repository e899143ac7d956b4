"""The fast runtime: programs compiled at export, run by LiteRT without TensorFlow.

Each program is compiled for one batch size and one number of timesteps. A call takes
the smallest that holds its rows; rows that are not there are zeros.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from service.agreement import find_disagreement
from service.artifact import Artifact, ArtifactError, ProgramFile
from service.runtime import SIGNATURES, Plan, Signature, Tensors


class Indices(NamedTuple):
    """Where a program's tensors are, by the names of the signature."""

    inputs: dict[str, int]
    outputs: dict[str, int]


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
        self._indices = self._find_tensors(entry.signature)

    def _find_tensors(self, signature: str) -> Indices:
        # The runner must be gone before the first call: while it lives, the
        # interpreter takes it for a reference to its tensors and refuses to run.
        runner = self._interpreter.get_signature_runner(signature)
        return Indices(
            {name: d["index"] for name, d in runner.get_input_details().items()},
            {name: d["index"] for name, d in runner.get_output_details().items()},
        )

    def run(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """Run a call of at most this program's shape, and cut the padding off."""
        interpreter = self._interpreter
        num_rows, timesteps = tensors["sequence"].shape[:2]
        for name, index in self._indices.inputs.items():
            interpreter.set_tensor(index, self._pad(name, tensors[name]))
        interpreter.invoke()
        results: dict[str, np.ndarray] = {}
        for name, index in self._indices.outputs.items():
            value = interpreter.get_tensor(index)[:num_rows]
            # What is no input as well is no memory: it has timesteps.
            is_memory = name in self._indices.inputs
            results[name] = value if is_memory else value[:, :timesteps]
        return results

    def _pad(self, name: str, tensor: np.ndarray) -> np.ndarray:
        """Add the rows and timesteps that the program has more."""
        shape = (self.batch, *tensor.shape[1:])
        if name == "sequence":
            shape = (self.batch, self.timesteps, *tensor.shape[2:])
        if shape == tensor.shape:
            return tensor
        padded = np.zeros(shape, tensor.dtype)
        padded[tuple(map(slice, tensor.shape))] = tensor
        return padded


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
        self._lock = threading.Lock()  # an interpreter holds its tensors
        self._programs: dict[str, list[Program]] = {}
        for entry in artifact.manifest.programs:
            program = load_program(artifact, entry)
            self._programs.setdefault(entry.signature, []).append(program)
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

    def _check_agreement(self, artifact: Artifact) -> None:
        programs = [p for name in SIGNATURES for p in self._programs[name]]
        found = find_disagreement(artifact.manifest, programs)
        if found is not None:
            raise ArtifactError(
                f"{artifact.path} has programs that do not compute the same here: "
                f"{found.name} of {found.program.name} is {found.difference:.1e} off "
                f"that of {programs[0].name}, carried. Export the model again on this "
                "kind of machine, or set CARRYOVER_RUNTIME=tensorflow."
            )

    def plan(self, signature: Signature, remaining: Sequence[int]) -> Plan:
        """Take a chunk of one row that is alone, else one timestep of many rows."""
        programs = self._programs[signature]
        if len(remaining) == 1 and remaining[0] > 1:
            return Plan(1, min(remaining[0], programs[-1].timesteps))
        largest = max(p.batch for p in programs if p.timesteps == 1)
        return Plan(min(len(remaining), largest), 1)

    def run(self, signature: Signature, tensors: Tensors) -> dict[str, np.ndarray]:
        """Advance a batch; see `service.runtime.Runtime`."""
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
        ArtifactError: LiteRT cannot run it.
    """
    try:
        return Program((artifact.path / entry.file).read_bytes(), entry)
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"{artifact.path / entry.file} cannot be run: {error}. Export the model "
            "again, or set CARRYOVER_RUNTIME=tensorflow."
        ) from error
