"""Damage to the files of a store, past the store's own methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from service.stores.base import Entry, Store
from service.stores.in_process import InProcessStore
from service.stores.lmdb.store import HEADER, LmdbStore
from service.stores.redis.client import Command
from service.stores.redis.store import RedisStore

DAMAGES = ("empty", "short", "garbage", "zeros", "header only", "another type")


def damage_entry(store: Store, key: bytes, how: str) -> bool:
    """Damage a stored entry; return whether the store can be damaged in this way."""
    if isinstance(store, InProcessStore):
        slot = store.slots[key]
        values = {
            "empty": b"",
            "short": slot.entry.value[:4],
            "garbage": b"\xff" * 60,
            "zeros": bytes(60),
        }
        if how not in values:
            return False
        entry = Entry(slot.entry.version, values[how])
        store.slots[key] = slot._replace(entry=entry)
        return True
    if isinstance(store, LmdbStore):
        return damage_in_lmdb(store, key, how)
    assert isinstance(store, RedisStore), f"how is a {type(store).__name__} damaged?"
    damage_in_redis(store, store.layout.name_entry(key), how)
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
    change_in_lmdb(store, key, lambda value: change_bytes(value, how, HEADER.size))
    return True


def change_in_lmdb(
    store: LmdbStore, key: bytes, change: Callable[[bytes], bytes]
) -> None:
    """Change the bytes of an entry, its header included."""
    entries, _, _ = store.environment.databases

    def write(txn: Any) -> None:
        txn.put(key, change(bytes(txn.get(key, None, entries))), db=entries)

    store.environment.write(write)


def damage_in_redis(store: RedisStore, name: bytes, how: str) -> None:
    if how == "another type":
        ask_redis(store, "DEL", name)
        ask_redis(store, "RPUSH", name, b"a list")
    else:
        value = ask_redis(store, "GET", name)
        ask_redis(store, "SET", name, change_bytes(value, how, 24))


def ask_redis(store: RedisStore, verb: str, name: bytes, *arguments: Any) -> Any:
    """Return the reply to a command, past the store's own methods."""
    [reply] = store.client.run([Command(name, (verb, name, *arguments))])
    return reply


def count_pages(path: Path) -> int:
    """Count the pages of a closed store's file that were ever used.

    The file is longer where it is written through its map.
    """
    with lmdb.open(str(path), readonly=True, lock=False) as env:
        return env.info()["last_pgno"] + 1
