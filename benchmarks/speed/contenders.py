"""The contenders: how each is started, and what is posted to it.

Knows every contender's wire format, so that nothing else needs to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.model import ARTIFACTS, EVENTS
from benchmarks.speed.peers.triton.launch import launch as launch_triton
from benchmarks.speed.peers.windows import (
    launch_bentoml,
    launch_litserve,
    launch_mlserver,
    onnx_environ,
)
from benchmarks.speed.servers import Launch

NUM_WORKERS = 2
# Events of a window, for peers that remember nothing and are sent the past again.
WINDOW = 20
GUNICORN = (sys.executable, "-m", "gunicorn", "-c")
Visits = list[str]


class Contender(NamedTuple):
    """Something to measure.

    Args:
        name: What it is called in tables.
        launch: Makes it startable, installing it where needed; takes its folder.
        path: Where requests are posted.
        visits: Bodies of one session, the first visit and those that follow.
        read: Finds the probabilities in an answer; None for an echo.
        first_events: What the first visit of a session tells the network.
        is_peer: Whether it must be installed first.
    """

    name: str
    launch: Callable[[Path], Launch]
    path: str
    visits: Callable[[int], Visits]
    read: Callable[[Any], Sequence[float]] | None = None
    first_events: Sequence[int] = (0,)
    is_peer: bool = True


def launch_ours(home: Path, **settings: object) -> Launch:
    """Start the service as it is deployed: LMDB, two workers, everything on."""
    chosen = {
        "models": ARTIFACTS,
        "memory": f"lmdb://{home}/memory",
        "token_key_file": home / "token.key",
        "workers": NUM_WORKERS,
        "port": "{port}",
        **settings,
    }
    environ = {f"CARRYOVER_{k.upper()}": str(v) for k, v in chosen.items()}
    command = [*GUNICORN, "python:service.gunicorn_config", "service.wsgi:app"]
    return Launch(command, environ, "/v2/health/ready")


def launch_gunicorn(app: str, home: Path, **environ: str) -> Launch:
    """Start a peer's WSGI application behind the service's own gunicorn."""
    environ |= {"CARRYOVER_WORKERS": str(NUM_WORKERS), "CARRYOVER_PORT": "{port}"}
    config = "python:benchmarks.speed.peers.gunicorn_config"
    return Launch([*GUNICORN, config, f"benchmarks.speed.peers.{app}"], environ, "/")


def session_name(session: int) -> str:
    """Name a session of the service."""
    return f"session-{session}"


def session_rows(session: int) -> Visits:
    """Write the service's calls of one session, one event each."""
    name = session_name(session)
    return [
        dump({"instances": [{"sequence": [event], "session": name}]})
        for event in EVENTS
    ]


def triton_sequence(session: int) -> Visits:
    """Write Triton's calls of one session; the first must say that it is."""
    first = triton_call(session, 0, start=True)
    steps = [*range(1, len(EVENTS)), 0]
    return [first, *(triton_call(session, step, start=False) for step in steps)]


def triton_call(session: int, event: int, *, start: bool) -> str:
    """Write one call of the Open Inference Protocol's sequence extension."""
    tensor = {"name": "event", "shape": [1, 1], "datatype": "INT32", "data": [event]}
    # Triton takes 0 for no sequence.
    parameters = {"sequence_id": session + 1, "sequence_start": start}
    return dump({"inputs": [tensor], "parameters": parameters})


def windows(session: int) -> Visits:
    """Write whole windows of events, for peers that remember nothing."""
    rotated = [EVENTS[k:] + EVENTS[:k] for k in range(len(EVENTS))]
    return [dump({"instances": [(2 * events)[:WINDOW]]}) for events in rotated]


def mlserver_windows(session: int) -> Visits:
    """Write whole windows in the Open Inference Protocol."""
    shape = {"name": "events", "shape": [1, WINDOW], "datatype": "INT64"}
    steps = range(len(EVENTS))
    rotated = [[(k + start) % len(EVENTS) for k in range(WINDOW)] for start in steps]
    return [dump({"inputs": [{**shape, "data": events}]}) for events in rotated]


def dump(body: object) -> str:
    """Write JSON without blanks."""
    return json.dumps(body, separators=(",", ":"))


def read_ours(answer: Any) -> Sequence[float]:
    """Find the probabilities in the service's answer."""
    found: Sequence[float] = answer["predictions"][0]["probabilities"]
    return found


def read_window(answer: Any) -> Sequence[float]:
    """Find the probabilities in the answer of a peer that was sent a window."""
    found: Sequence[float] = answer["predictions"][0]
    return found


def read_triton(answer: Any) -> Sequence[float]:
    """Find the probabilities in Triton's answer."""
    found: Sequence[float] = answer["outputs"][0]["data"]
    return found


OURS = Contender(
    "carryover",
    launch_ours,
    "/v1/models/lstm:predict",
    session_rows,
    read_ours,
    is_peer=False,
)
FLASK = Contender(
    "flask echo",
    partial(launch_gunicorn, "flask_echo:app"),
    "/",
    session_rows,
    is_peer=False,
)
FLOOR = Contender(
    "wsgi echo",
    partial(launch_gunicorn, "wsgi_echo:app"),
    "/",
    session_rows,
    is_peer=False,
)
CANNED = Contender(
    "canned",
    lambda _: Launch(
        [sys.executable, "-m", "benchmarks.speed.peers.canned", "{port}"], {}, "/"
    ),
    "/",
    session_rows,
    is_peer=False,
)
TRITON = Contender(
    "triton",
    lambda _: launch_triton(),
    "/v2/models/lstm/infer",
    triton_sequence,
    read_triton,
)
FIRST_WINDOW = [k % len(EVENTS) for k in range(WINDOW)]
PREDICT = Contender(
    "flask model.predict",
    partial(launch_gunicorn, "flask_predict:app", TF_CPP_MIN_LOG_LEVEL="3"),
    "/",
    windows,
    read_window,
    FIRST_WINDOW,
)
ONNX = Contender(
    "flask onnx",
    lambda home: launch_gunicorn("flask_onnx:app", home, **onnx_environ()),
    "/",
    windows,
    read_window,
    FIRST_WINDOW,
)
LITSERVE = Contender(
    "litserve",
    lambda _: launch_litserve(),
    "/predict",
    windows,
    read_window,
    FIRST_WINDOW,
)
BENTOML = Contender(
    "bentoml",
    lambda _: launch_bentoml(),
    "/predict",
    windows,
    read_window,
    FIRST_WINDOW,
)
MLSERVER = Contender(
    "mlserver",
    lambda _: launch_mlserver(),
    "/v2/models/lstm/infer",
    mlserver_windows,
    read_triton,
    FIRST_WINDOW,
)
# Remember nothing: whoever wants an answer sends the past again.
STATELESS = (PREDICT, ONNX, LITSERVE, BENTOML, MLSERVER)
