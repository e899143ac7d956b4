"""The contenders: how each is started, and where and what is posted to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.model import ARTIFACTS, NUMBERED_ARTIFACTS
from benchmarks.speed.access import write_keys
from benchmarks.speed.peers.triton.launch import launch as launch_triton
from benchmarks.speed.peers.windows import (
    launch_bentoml,
    launch_litserve,
    launch_mlserver,
    onnx_environ,
)
from benchmarks.speed.servers import Launch
from benchmarks.speed.wire import (
    FIRST_WINDOW,
    Visits,
    mlserver_windows,
    numbered_rows,
    read_ours,
    read_triton,
    read_window,
    session_rows,
    triton_sequence,
    windows,
)

NUM_WORKERS = 2
GUNICORN = (sys.executable, "-m", "gunicorn", "-c")


class Contender(NamedTuple):
    """Something to measure.

    Args:
        name: What it is called in tables.
        launch: Makes it startable, installing it where needed; takes its folder.
        path: Where requests are posted.
        visits: Bodies of one session, the first visit and those that follow.
        read: Finds the probabilities in an answer; None for an echo.
        first_events: What the first visit of a session sends to the network.
        is_peer: Whether it must be installed first.
    """

    name: str
    launch: Callable[[Path], Launch]
    path: str
    visits: Callable[[int], Visits]
    read: Callable[[Any], Sequence[float]] | None = None
    first_events: Sequence[int] = (0,)
    is_peer: bool = True


def launch_ours(home: Path, models: Path = ARTIFACTS) -> Launch:
    """Start the service like a deployed one: LMDB, two workers, everything on."""
    chosen = {
        "models": models,
        "memory": f"lmdb://{home}/memory",
        "token_key_file": home / "token.key",
        "state": home / "state",
        "workers": NUM_WORKERS,
        "port": "{port}",
    }
    environ = {f"CARRYOVER_{k.upper()}": str(v) for k, v in chosen.items()}
    environ |= write_keys(home)
    command = [*GUNICORN, "python:service.gunicorn_config", "service.wsgi:app"]
    return Launch(command, environ, "/v2/health/ready")


def launch_gunicorn(app: str, home: Path, **environ: str) -> Launch:
    """Start a peer's WSGI application behind the service's own gunicorn."""
    environ |= {"CARRYOVER_WORKERS": str(NUM_WORKERS), "CARRYOVER_PORT": "{port}"}
    config = "python:benchmarks.speed.peers.gunicorn_config"
    return Launch([*GUNICORN, config, f"benchmarks.speed.peers.{app}"], environ, "/")


OURS = Contender(
    "carryover",
    launch_ours,
    "/v1/models/lstm:predict",
    session_rows,
    read_ours,
    is_peer=False,
)
NUMBERED = Contender(
    "carryover of numbered events",
    partial(launch_ours, models=NUMBERED_ARTIFACTS),
    "/v1/models/lstm:predict",
    numbered_rows,
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
PREDICT = Contender(
    "flask model.predict",
    partial(
        launch_gunicorn,
        "flask_predict:app",
        TF_CPP_MIN_LOG_LEVEL="3",
        BENCH_NEEDS_THREADS="1",
    ),
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
