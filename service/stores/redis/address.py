"""The address of a Redis or Valkey server, read from a URL.

It opens no connection, and never shows a password.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from service.common.text import redact
from service.stores.base import choose, split_options

OPTIONS = ("cluster", "prefix", "timeout_seconds", "connections", "ca")
PORT = 6379
MAX_PORT = 65_535
MAX_DATABASE = 1_000_000


@dataclass(frozen=True)
class RedisAddress:
    """Parsed address of a Redis server or cluster.

    Attributes:
        hosts: Host and port of the server, or of some nodes of a cluster.
        is_tls: Whether the connection is encrypted and the server's name verified.
        username: Empty for the default user.
        password: Empty for none.
        database: Number of the database; 0 in a cluster.
        is_cluster: Whether the keys are spread over the nodes of a cluster.
        prefix: What every key begins with.
        timeout_seconds: Limit of a connection attempt, and of the wait for an answer.
        connections: Most connections of a process; a request more waits for one.
        ca: File of the certificates that may vouch for the server; empty for the
            system's.
    """

    hosts: tuple[tuple[str, int], ...]
    is_tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    is_cluster: bool = False
    prefix: str = "carryover"
    timeout_seconds: float = 2.0
    connections: int = 32
    ca: str = ""

    def __str__(self) -> str:
        """Write the address as it may be shown."""
        scheme = "rediss" if self.is_tls else "redis"
        return f"{scheme}://{','.join(f'{host}:{port}' for host, port in self.hosts)}"


def parse_address(url: str) -> RedisAddress:
    """Read an address.

    Args:
        url: `redis://[[user]:password@]host[:port][,host[:port]...][/database]`, or
            `rediss://` for TLS, with the options `cluster=true`, `prefix=`,
            `timeout_seconds=`, `connections=` and `ca=FILE`.

    Raises:
        ValueError: A part of it cannot be used.
    """
    head, options = split_options(url, OPTIONS)
    scheme, _, rest = head.partition("://")
    netloc, _, database = rest.partition("/")
    user, _, hosts = netloc.rpartition("@")
    username, _, password = user.partition(":")
    address = RedisAddress(
        hosts=tuple(_parse_host(host, url) for host in hosts.split(",")),
        is_tls=scheme == "rediss",
        username=unquote(username),
        password=unquote(password),
        database=int(_number("database", database or "0", 0, MAX_DATABASE)),
        is_cluster=choose(options, "cluster", "false", "true") == "true",
        prefix=options.get("prefix", "carryover"),
        timeout_seconds=_number(
            "timeout_seconds", options.get("timeout_seconds", "2"), 0.01, 60
        ),
        connections=int(
            _number("connections", options.get("connections", "32"), 1, 10_000)
        ),
        ca=options.get("ca", ""),
    )
    _check(address)
    return address


def _check(address: RedisAddress) -> None:
    if set(address.prefix) & set("{}") or not address.prefix:
        raise ValueError(
            "The memory store's prefix cannot be used; expected text without braces, "
            "which separate the keys of a cluster. Choose another."
        )
    if address.database and address.is_cluster:
        raise ValueError(
            f"The memory store {address} names database {address.database} of a "
            "cluster, which has only database 0. Use prefix=... to part services."
        )
    if len(address.hosts) > 1 and not address.is_cluster:
        raise ValueError(
            f"The memory store {address} names {len(address.hosts)} hosts; expected "
            "one, or cluster=true."
        )
    if address.ca and not address.is_tls:
        raise ValueError(
            f"The memory store {address} has ca=... but no TLS; expected "
            "rediss://. Fix the scheme, or leave ca out."
        )


def _parse_host(text: str, url: str) -> tuple[str, int]:
    host, bracket, port = text.rpartition("]")  # [::1]:6379
    if bracket:
        host = host.removeprefix("[")
        port = port.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError(
            f"The memory store {redact(url)!r} names no host; expected "
            "redis://HOST:PORT, or several hosts parted by commas for a cluster."
        )
    return host, int(_number("port", port or str(PORT), 1, MAX_PORT))


def _number(name: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # Only of numbers: what stands in a wrong place may be half a password.
    if not least <= value <= most:
        raise ValueError(
            f"The memory store's {name} is not a number from {least:g} to {most:g}; "
            "fix it in the address, and write a password's @, : and / as %40, %3A, "
            "%2F."
        )
    return value
