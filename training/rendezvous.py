"""Workers wait for each other before TensorFlow does, which waits without an end.

Each listens at its own address of `TF_CONFIG` and sends its rank to all others. It is
done when it has heard from every other one and has sent its rank to it since: whoever
calls listens, so the rank waits in its queue. No answer is needed, which a slow machine
could send too late. Then the port is free for TensorFlow's own server. A call to a
worker that has already left reaches that server, which drops it.
"""

from __future__ import annotations

import contextlib
import socket
import time

from training.cluster import Task
from training.errors import TrainingError

PAUSE_SECONDS = 0.2  # between two tries


def meet(task: Task, timeout_seconds: float) -> None:
    """Wait until all workers are there.

    Raises:
        TrainingError: Some do not answer in time, or the port is in use.
    """
    deadline = time.monotonic() + timeout_seconds
    others = set(range(len(task.workers))) - {task.rank}
    heard: set[int] = set()
    met: set[int] = set()
    with listen(task) as listener:
        while not others <= met:
            if time.monotonic() > deadline:
                raise TrainingError(
                    describe_missing(task, others - met, timeout_seconds)
                )
            for rank in others - met:
                if call(task.workers[rank], task.rank) and rank in heard:
                    met.add(rank)
            heard |= hear(listener)


def describe_missing(
    task: Task, missing: set[int], timeout_seconds: float | None
) -> str:
    """Say which workers do not answer in time; without a time, any more."""
    names = ", ".join(task.workers[rank] for rank in sorted(missing))
    reason = f"the connection to {names} was lost"
    if timeout_seconds is not None:
        reason = f"no answer from {names} within {timeout_seconds:g} s"
    return (
        f"{reason}; expected all {len(task.workers)} workers of TF_CONFIG. Start the "
        "same command in each of them; training continues from the last finished epoch."
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
    return listener


def call(address: str, rank: int) -> bool:
    """Send the own rank to a worker; return whether anything listens there."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.sendall(bytes([rank % 256]))
            return True
    except (OSError, OverflowError):
        return False


def hear(listener: socket.socket) -> set[int]:
    """Return the ranks of workers that called: all that wait in the queue."""
    said = b""
    listener.settimeout(PAUSE_SECONDS)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return set(said)
        listener.settimeout(0)
        with connection:
            connection.settimeout(2)
            with contextlib.suppress(OSError):
                said += connection.recv(1)
