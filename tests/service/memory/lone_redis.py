"""A server of Valkey alone, and a store on it."""

from __future__ import annotations

from collections.abc import Iterator

from service.stores.base import Store
from service.stores.schemes import open_store
from tests.redis_servers import RedisServer, running

LATER = 4_000_000_000.0


def server() -> Iterator[RedisServer]:
    with running("valkey", "--appendonly", "yes") as started:
        yield started


def store(server: RedisServer) -> Iterator[Store]:
    opened = open_store(server.url + "?timeout_seconds=60")
    yield opened
    opened.close()
