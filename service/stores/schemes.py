"""Schemes of the stores' addresses: how each is opened, and checked without opening."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from service.common.setting_types import STORE_FORMS, list_store_forms
from service.common.text import redact
from service.stores.base import UNLIMITED, Capacity, Store, choose, split_options


class Scheme(NamedTuple):
    """Functions that open a store's address of one scheme, and check it beforehand."""

    open: Callable[[str, Capacity, Path | None], Store]
    check: Callable[[str], object]


def open_store(
    url: str, capacity: Capacity = UNLIMITED, folder: Path | None = None
) -> Store:
    """Open the store a URL names.

    Args:
        url: `memory://` (this process only), `lmdb://relative/path` or
            `lmdb:///absolute/path` (a directory, created if missing), with
            `?durability=disk` where a commit shall wait for the disk; or a server,
            see `service.stores.redis.address`.
        capacity: Beyond which new entries are refused.
        folder: Where a server's id is noted, so that an emptied server is recognised
            after a restart.

    Raises:
        ValueError: The URL names no store, or the path cannot be used.
    """
    return find_scheme(url).open(url, capacity, folder)


def check_address(url: str) -> None:
    """Refuse an address that no start can make right, without opening the store.

    Raises:
        ValueError: The URL names no store, or one of its options cannot be used.
    """
    find_scheme(url).check(url)


def find_scheme(url: str) -> Scheme:
    """Find the entry of an address in `SCHEMES`.

    Raises:
        ValueError: No entry has its scheme, or it does not have the scheme's form.
    """
    name, _, rest = url.partition("://")
    form = STORE_FORMS.get(name, "")
    is_bare = form == f"{name}://"
    has_form = url == form if is_bare else bool(rest.partition("?")[0])
    if name not in SCHEMES or not has_form:
        raise unknown_store(url)
    return SCHEMES[name]


# Implementations are imported where they are opened: a client library is needed only
# where its store is used.
def open_in_process(url: str, capacity: Capacity, folder: Path | None) -> Store:
    """Open the store of one process."""
    from service.stores.in_process import InProcessStore

    return InProcessStore(capacity)


def open_lmdb(url: str, capacity: Capacity, folder: Path | None) -> Store:
    """Open a directory of LMDB."""
    from service.stores.lmdb.store import LmdbStore

    path, durability = read_lmdb(url)
    return LmdbStore(path, capacity=capacity, durable=durability == "disk")


def read_lmdb(url: str) -> tuple[Path, str]:
    """Read the directory and the durability from an address."""
    head, options = split_options(url, ["durability"])
    durability = choose(options, "durability", "process", "disk")
    return Path(head.removeprefix("lmdb://")), durability


def open_redis(url: str, capacity: Capacity, folder: Path | None) -> Store:
    """Connect to a server of Redis or Valkey."""
    from service.stores.redis.address import parse_address
    from service.stores.redis.store import RedisStore

    return RedisStore(parse_address(url), capacity, folder)


def check_redis(url: str) -> None:
    """Refuse a wrong part of a server's address."""
    from service.stores.redis.address import parse_address

    parse_address(url)


SCHEMES: Mapping[str, Scheme] = {
    "memory": Scheme(open_in_process, lambda url: None),
    "lmdb": Scheme(open_lmdb, read_lmdb),
    "redis": Scheme(open_redis, check_redis),
    "rediss": Scheme(open_redis, check_redis),
}


def unknown_store(url: str) -> ValueError:
    """Return the error of an address that names no store."""
    return ValueError(
        f"The memory store {redact(url)!r} is unknown; expected {list_store_forms()}. "
        "Use lmdb:///var/lib/carryover for a directory that all workers share."
    )
