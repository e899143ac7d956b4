"""Starts the peers that remember nothing, each in its own environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.model import HOME, ROOT, WEIGHTS_FILE
from benchmarks.speed.environments import (
    PEERS,
    make_environment,
    run_or_give_up,
    site_packages,
)
from benchmarks.speed.servers import Launch, free_port

GRAPH = HOME / "lstm.onnx"


def make_graph() -> Path:
    """Build the network's ONNX graph once, in the environment that can.

    Returns:
        That environment.

    Raises:
        Unavailable: It cannot be installed or the graph not be built.
    """
    environment = make_environment("onnx")
    if not GRAPH.is_file() or GRAPH.stat().st_mtime < WEIGHTS_FILE.stat().st_mtime:
        graph = PEERS / "onnx" / "graph.py"
        python = environment / "bin" / "python"
        run_or_give_up("onnx", [python, graph, WEIGHTS_FILE, GRAPH])
    return environment


def onnx_environ() -> dict[str, str]:
    """Say to Flask's workers where the graph and ONNX Runtime are."""
    return {"ONNX": str(GRAPH), "PACKAGES": str(site_packages(make_graph()))}


def launch_litserve() -> Launch:
    """Start LitServe."""
    command = ["bin/python", "-m", "benchmarks.speed.peers.litserve.server", "{port}"]
    return launch_peer("litserve", command, "/health")


def launch_bentoml() -> Launch:
    """Start BentoML."""
    module = "benchmarks.speed.peers.bentoml.server:Lstm"
    command = ["bin/bentoml", "serve", module, "--host", "127.0.0.1"]
    return launch_peer("bentoml", [*command, "--port", "{port}"], "/readyz")


def launch_mlserver() -> Launch:
    """Start MLServer; it wants a second port for gRPC."""
    launch = launch_peer(
        "mlserver", ["bin/mlserver", "start", PEERS / "mlserver"], "/v2/health/ready"
    )
    ports = {"MLSERVER_HTTP_PORT": "{port}", "MLSERVER_GRPC_PORT": str(free_port())}
    return launch._replace(
        environ={**launch.environ, **ports, "MLSERVER_HOST": "127.0.0.1"}
    )


def launch_peer(name: str, command: Sequence[str | Path], ready: str) -> Launch:
    """Start a program of a peer's environment.

    Raises:
        Unavailable: It cannot be installed.
    """
    make_graph()
    environment = make_environment(name)
    program, *arguments = command
    environ = {"ONNX": str(GRAPH), "PYTHONPATH": str(ROOT)}
    return Launch([environment / program, *arguments], environ, ready)
