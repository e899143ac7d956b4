"""Report of a worker that a fatal signal ended: where it was, and what to do.

LMDB aborts the process at some damage in its file, and a mapped file that was cut short
ends it by SIGBUS. Python's fault handler writes the stack to a file of the worker. The
arbiter reads it when the worker has ended.
"""

from __future__ import annotations

import faulthandler
import logging
import os
from pathlib import Path

from service.stores.lmdb.file import ADVICE

log = logging.getLogger(__name__)

STORE_MODULE = "stores/lmdb/"
MAX_SHOWN_BYTES = 4_000


def record_crash(folder: Path) -> None:
    """Have this process write its stack to a file if a fatal signal ends it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Kept open for the life of the process: no file can be opened in a crash.
        stack = _find_file(folder, os.getpid()).open("wb", buffering=0)
    except OSError as error:
        log.warning("a crash of this worker will not be reported: %s", error)
        return
    faulthandler.enable(stack.fileno(), all_threads=False)
    _kept.append(stack)


def report_crash(folder: Path, pid: int, write: logging.Logger) -> None:
    """Log how a worker crashed, if it did, and remove its file."""
    file = _find_file(folder, pid)
    try:
        stack = file.read_bytes()[:MAX_SHOWN_BYTES].decode(errors="replace").strip()
        file.unlink()
    except OSError:
        return
    if not stack:
        return
    write.error("worker %d crashed: %s", pid, stack)
    if STORE_MODULE in stack:
        write.error("the worker crashed in its memory store. %s", ADVICE)


_kept: list[object] = []


def _find_file(folder: Path, pid: int) -> Path:
    return folder / f"{pid}.stack"
