"""Stores in a process that gevent has patched: greenlets share them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import ROOT

pytest.importorskip("gevent")

SHARE = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
from service.stores.lmdb import environment
from service.stores.base import Entry, Put
from service.stores.schemes import open_store

environment.FLUSH_SECONDS = 0.01
store = open_store(sys.argv[1])

def increment(_):
    for _ in range(20):
        stored = False
        while not stored:
            found = store.fetch([b"counter"])[0] or Entry(0, b"0")
            put = Put(b"counter", found.version, b"%d" % (int(found.value) + 1), 4e9)
            stored = store.commit([put])[0]

gevent.joinall([gevent.spawn(increment, i) for i in range(10)], raise_error=True)
print(store.fetch([b"counter"])[0].value.decode())
store.close()
"""


@pytest.mark.parametrize(
    "kind", ["lmdb", "durable", pytest.param("valkey", marks=pytest.mark.redis)]
)
def test_greenlets_share_a_store(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    url = f"lmdb://{tmp_path}/store"
    if kind == "durable":
        url += "?durability=disk"
    elif kind != "lmdb":
        server_url: Callable[[str], str] = request.getfixturevalue("server_url")
        url = f"{server_url(kind)}?prefix=gevent&connections=4"

    script = [sys.executable, "-c", SHARE, url]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "200"
