"""The service's parts without HTTP, in this process.

Knows how the service is put together, so that the rest of the harness need not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from benchmarks.model import ARTIFACTS, NUM_LABELS
from benchmarks.speed.access import TENANT
from service.api.context import Services
from service.app import build_services
from service.engine.rows import Row
from service.registry.catalog import Model
from service.sessions.record import SessionKey
from service.settings import read_settings


def open_services(home: Path) -> Services:
    """Open the store in a folder, and load the models."""
    settings = {
        "CARRYOVER_MODELS": str(ARTIFACTS),
        "CARRYOVER_MEMORY": f"lmdb://{home}/memory",
        "CARRYOVER_TOKEN_KEY_FILE": f"{home}/token.key",
        "CARRYOVER_STATE": f"{home}/state",
    }
    return build_services(read_settings(os.environ | settings))


def find_model(services: Services) -> Model:
    """Find the network of every figure."""
    return services.catalog.find("lstm")


def make_row(length: int, session: str | None = None) -> Row:
    """Make a row of a number of events, as a dialect would."""
    sequence = np.arange(length, dtype=np.int32) % NUM_LABELS
    return Row(sequence=sequence, session=session)


def session_key(session: str) -> SessionKey:
    """Name a session of that network as the store does."""
    return SessionKey(TENANT, "lstm", session)


class Program:
    """A compiled program by itself, its memory carried from call to call.

    Args:
        batch: Rows of a call; it advances each by one event.
    """

    def __init__(self, batch: int) -> None:
        folder = ARTIFACTS / "lstm" / "1" / "assets.extra" / "carryover" / "programs"
        path = str(folder / f"advance_{batch}x1.tflite")
        # One thread, as a worker has one core.
        self.interpreter = Interpreter(model_path=path, num_threads=1)
        self.interpreter.allocate_tensors()
        runner = self.interpreter.get_signature_runner("advance")
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        tensor = self.interpreter.tensor
        self.inputs = {name: tensor(d["index"]) for name, d in inputs.items()}
        self.outputs = {name: tensor(d["index"]) for name, d in outputs.items()}
        self.carried = sorted(inputs.keys() & outputs.keys())
        # Views must not exist while the interpreter runs.
        self.inputs["length"]()[:] = 1

    def step(self, event: int) -> Any:
        """Advance every row by an event; return float32 of (batch, 1, labels)."""
        self.inputs["sequence"]()[:] = event
        self.interpreter.invoke()
        for name in self.carried:
            self.inputs[name]()[:] = self.outputs[name]()
        return self.outputs["probabilities"]().copy()
