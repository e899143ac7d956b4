"""Events captured in a folder, and those that are read from it."""

import json

import numpy as np

from service.engine.capture import Capture, CapturedRow, CaptureOptions
from service.telemetry.capture_files import CaptureBounds, CaptureFiles
from tests.assembly import build_engine

BOUNDS = CaptureBounds(1 << 20, 3600.0, 1 << 24)
SECRET = b"s" * 32


def folder(tmp_path):
    return tmp_path / "capture"


def capture(folder):
    options = CaptureOptions({"counting": 1.0}, SECRET)
    return Capture(options, CaptureFiles(folder, BOUNDS))


def engine(clock, capture):
    return build_engine(clock, capture=capture)


def read(folder, model="counting"):
    """Read the complete files."""
    files = sorted((folder / model).glob("*.jsonl")) if folder.exists() else []
    return [
        json.loads(line) for file in files for line in file.read_text().splitlines()
    ]


def session(name, *events, **more):
    return {"session": name, "sequence": list(events), **more}


def row(model, *events, name=b"key", step=None):
    sequence = np.array([0] * len(events), np.int32)
    return CapturedRow(
        model, name, "acme", list(events), sequence, step or len(events), 1.0, 2.0
    )
