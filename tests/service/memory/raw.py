"""Writes what is damaged into a store, past the store's own methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lmdb

from service.stores.base import Entry, Store
from service.stores.in_process import InProcessStore
from service.stores.lmdb.store import LmdbStore
from service.stores.redis.store import RedisStore

DAMAGES = ("empty", "short", "garbage", "zeros", "header only", "another type")


def damage_entry(store: Store, key: bytes, how: str) -> bool:
    """Damage a stored entry; return whether the store can be damaged in this way."""
    if isinstance(store, InProcessStore):
        held = store.slots[key]
        values = {
            "empty": b"",
            "short": held.entry.value[:4],
            "garbage": b"\xff" * 60,
            "zeros": bytes(60),
        }
        if how not in values:
            return False
        entry = Entry(held.entry.version, values[how])
        store.slots[key] = held._replace(entry=entry)
        return True
    if isinstance(store, LmdbStore):
        return damage_in_lmdb(store, key, how)
    assert isinstance(store, RedisStore)
    damage_in_redis(store, store._keys(key)[0], how)
    return True


def change_bytes(value: bytes, how: str, header_bytes: int) -> bytes:
    """Return a stored value, damaged."""
    damaged = {
        "empty": b"",
        "short": value[:4],
        "garbage": b"\xff" * len(value),
        "zeros": bytes(len(value)),
        "header only": value[:header_bytes],
    }
    return damaged[how]


def damage_in_lmdb(store: LmdbStore, key: bytes, how: str) -> bool:
    if how == "another type":  # LMDB has one type
        return False
    db = store._entries

    def write(txn: Any) -> None:
        txn.put(key, change_bytes(bytes(txn.get(key, None, db)), how, 28), db=db)

    store._env.write(write)
    return True


def damage_in_redis(store: RedisStore, name: bytes, how: str) -> None:
    client: Any = store._client._connect()
    if how == "another type":
        client.delete(name)
        client.rpush(name, b"a list")
    elif how == "empty":
        client.set(name, b"")
    else:
        client.set(name, change_bytes(client.get(name), how, 24))


def count_pages(path: Path) -> int:
    """Count the pages of a closed store's file that were ever used.

    The file is longer where it is written through its map.
    """
    with lmdb.open(str(path), readonly=True, lock=False) as env:
        return env.info()["last_pgno"] + 1
