from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.memory.sessions import Sessions
from service.memory.store import Store, open_store
from tests.fakes import FakeClock

TOMBSTONE_SECONDS = 600.0


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store in turn; what passes for one must pass for all."""
    urls = {"memory": "memory://", "lmdb": f"lmdb://{tmp_path}/store"}
    opened = open_store(urls[request.param])
    yield opened
    opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sessions(store: Store, clock: FakeClock) -> Sessions:
    return Sessions(store, clock=clock, tombstone_seconds=TOMBSTONE_SECONDS)
