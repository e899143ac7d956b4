"""Faults that last for a while: a full disk, a damaged version, a greedy client.

Each is a context: the fault is there within it, and gone after it.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.chaos.ledger import Ledger

# What a run writes fits many times; filling it takes a fraction of a second.
DISK_BYTES = 256 * 2**20
CHUNK = bytes(2**20)
MANIFEST = Path("assets.extra", "carryover", "manifest.json")
# The attack that once turned everybody else away: 400,000 events a request, legal by
# the default limits, over more connections than there are clients.
GREEDY_CONNECTIONS = 36
GREEDY_ROWS = 1024
GREEDY_EVENTS = 390
GREEDY_SECONDS = 60.0


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system of its own at a folder, where the system allows it.

    Yields:
        Whether it is one; if not, the folder is an ordinary one.
    """
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "carryover-chaos"]
    mounted = not subprocess.run(
        ["mount", *options, str(folder)], capture_output=True, check=False
    ).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Fill a file system to the last byte, and free it again."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(CHUNK)
        yield
    finally:
        filler.unlink(missing_ok=True)


def leave_half(version: Path) -> None:
    """Leave what a copy has written that was interrupted in its last file."""
    manifest = version / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[: manifest.stat().st_size // 2])


def empty_manifest(version: Path) -> None:
    """Leave the manifest without content, as a full disk does."""
    (version / MANIFEST).write_bytes(b"")


def cut_program(version: Path) -> None:
    """Cut a compiled program off in the middle."""
    program = sorted(version.glob("assets.extra/carryover/programs/*"))[0]
    program.write_bytes(program.read_bytes()[: program.stat().st_size // 2])


def drop_file(version: Path) -> None:
    """Take a file away that the manifest lists."""
    (version / "saved_model.pb").unlink()


DAMAGES: Sequence[Callable[[Path], None]] = (
    leave_half,
    empty_manifest,
    cut_program,
    drop_file,
)


@contextlib.contextmanager
def damaged_version(model: Path, rng: random.Random) -> Iterator[None]:
    """Publish a damaged newest version of a model, and take it away again.

    Args:
        model: The model's folder, with version 1 in it.
        rng: Chooses the damage.
    """
    unfinished, newest = model / ".damaged", model / "2"
    shutil.copytree(model / "1", unfinished)
    manifest = unfinished / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 2}))
    rng.choice(DAMAGES)(unfinished)
    unfinished.rename(newest)
    try:
        yield
    finally:
        shutil.rmtree(newest)


@contextlib.contextmanager
def greedy_client(port: int, ledger: Ledger) -> Iterator[None]:
    """Have one client ask for more than can be computed, over many connections."""
    row = ["fox"] * GREEDY_EVENTS
    body = json.dumps({"instances": [row] * GREEDY_ROWS}).encode()
    is_over = threading.Event()
    connections = [
        HTTPConnection("127.0.0.1", port, timeout=GREEDY_SECONDS)
        for _ in range(GREEDY_CONNECTIONS)
    ]
    threads = [
        threading.Thread(target=ask_for_more, args=(one, body, is_over, ledger))
        for one in connections
    ]
    ledger.is_greed_on.set()
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ledger.is_greed_on.clear()
        is_over.set()
        for connection in connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(GREEDY_SECONDS)


def ask_for_more(
    connection: HTTPConnection, body: bytes, is_over: threading.Event, ledger: Ledger
) -> None:
    """Ask without a pause; the answers are counted by their status."""
    while not is_over.is_set():
        try:
            connection.request("POST", "/v1/models/nature:predict", body)
            response = connection.getresponse()
            response.read()
        except (OSError, HTTPException):
            connection.close()
            is_over.wait(0.05)
        else:
            ledger.count(f"answers {response.status} to the greedy client")
    connection.close()
