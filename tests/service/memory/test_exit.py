"""A service that gets SIGTERM releases its store first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lmdb
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from service.stores.lmdb.store import LmdbStore
from tests.servers import COMMAND, ROOT, STOP_SECONDS, Server


@pytest.mark.server
def test_stopped_service_has_closed_its_store(tmp_path: Path) -> None:
    LmdbStore(tmp_path / "memory").close()
    # Stays open, so that the table of readers outlives the service.
    env = lmdb.open(str(tmp_path / "memory"), max_dbs=3)
    server = Server(tmp_path / "models", tmp_path, workers=1)
    process = subprocess.Popen(
        [sys.executable, "-m", *COMMAND],
        cwd=ROOT,
        env=server.environ,
        stderr=subprocess.DEVNULL,
    )
    try:
        read_store(server.url)
        assert len(readers(env)) > 0
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)

    assert readers(env) == []
    env.close()


def read_store(url: str) -> None:
    """Ask whether the service is ready, as soon as it listens; it has no models."""
    with requests.Session() as client:
        retry = Retry(connect=12, backoff_factor=0.05, status=0, raise_on_status=False)
        client.mount(url, HTTPAdapter(max_retries=retry))
        assert client.get(f"{url}/v2/health/ready", timeout=60).status_code == 503


def readers(env: lmdb.Environment) -> list[str]:
    """List the processes' slots; a process that died without closing still has its."""
    return env.readers().strip().splitlines()[1:]
