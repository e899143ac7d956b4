"""A worker that a fatal signal ends leaves its stack, and the log says what to do."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.server.crash_report import report_crash
from tests.servers import ROOT

log = logging.getLogger("arbiter")

CRASH = """
import os, sys
from functools import partial
from pathlib import Path
from service.server.crash_report import record_crash
from service.stores.lmdb.store import LmdbStore
record_crash(Path(sys.argv[1]))
if sys.argv[2] == "store":
    store = LmdbStore(Path(sys.argv[1]) / "store")
    store.environment.read(lambda txn: os.kill(os.getpid(), int(sys.argv[3])))
elif sys.argv[2] == "elsewhere":
    os.kill(os.getpid(), int(sys.argv[3]))
"""


def crash(folder: Path, where: str, number: int) -> int:
    process = subprocess.Popen(
        [sys.executable, "-c", CRASH, str(folder), where, str(number)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    process.communicate()
    return process.pid


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV])
def test_crash_in_the_store_is_logged_with_what_to_do(
    tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    pid = crash(tmp_path, "store", number)

    report_crash(tmp_path, pid, log)

    assert f"worker {pid} crashed" in caplog.text
    assert "python -m service check-store --copy-to PATH" in caplog.text
    assert not list(tmp_path.glob("*.stack"))


def test_crash_elsewhere_is_logged_without_blaming_the_store(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pid = crash(tmp_path, "elsewhere", signal.SIGABRT)

    report_crash(tmp_path, pid, log)

    assert f"worker {pid} crashed" in caplog.text
    assert "check-store" not in caplog.text


def test_worker_that_ended_well_is_not_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pid = crash(tmp_path, "not at all", 0)

    report_crash(tmp_path, pid, log)
    report_crash(tmp_path, pid + 1, log)

    assert caplog.text == ""
    assert not list(tmp_path.glob("*.stack"))
