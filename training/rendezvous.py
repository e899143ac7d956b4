"""Workers wait for each other before TensorFlow does, which waits without an end.

Each listens at its own address of `TF_CONFIG` and connects to all others. It is done
when it has reached every other one and every other one has reached it; then the port is
free for TensorFlow's own server.
"""

from __future__ import annotations

import socket
import time

from training.cluster import Task
from training.errors import TrainingError

PAUSE = 0.2  # seconds between two tries


def meet(task: Task, patience: float) -> None:
    """Wait until all workers are there.

    Raises:
        TrainingError: Some do not answer in time, or the port is in use.
    """
    deadline = time.monotonic() + patience
    others = set(range(len(task.workers))) - {task.rank}
    reached: set[int] = set()
    heard: set[int] = set()
    with listen(task) as listener:
        while not others <= reached & heard:
            if time.monotonic() > deadline:
                raise TrainingError(
                    describe_missing(task, others - (reached & heard), patience)
                )
            for rank in others - reached:
                if call(task.workers[rank], task.rank):
                    reached.add(rank)
            heard |= hear(listener)


def describe_missing(task: Task, missing: set[int], patience: float) -> str:
    """Say which workers do not answer."""
    names = ", ".join(task.workers[rank] for rank in sorted(missing))
    return (
        f"no answer from {names} within {patience:g} s; expected all "
        f"{len(task.workers)} workers of TF_CONFIG. Start the same command in each of "
        "them; training continues from the last finished epoch."
    )


def listen(task: Task) -> socket.socket:
    """Listen at this worker's port.

    Raises:
        TrainingError: It is in use.
    """
    address = task.workers[task.rank]
    try:
        listener = socket.create_server(("", int(address.rpartition(":")[2])))
    except (OSError, OverflowError) as error:
        raise TrainingError(
            f"this worker cannot listen at {address} ({error}); expected a free port. "
            "Stop what uses it, or name another one in TF_CONFIG of all workers."
        ) from error
    listener.settimeout(PAUSE)
    return listener


def call(address: str, rank: int) -> bool:
    """Send the own rank to a worker; return whether it answers."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.sendall(bytes([rank % 256]))
            return connection.recv(1) == b"."
    except (OSError, OverflowError):
        return False


def hear(listener: socket.socket) -> set[int]:
    """Return the ranks of workers that called."""
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        return set()
    with connection:
        connection.settimeout(2)
        try:
            said = connection.recv(1)
            connection.sendall(b".")
        except OSError:
            return set()
    return set(said)
