"""A client of one Redis or Valkey server or of a cluster: batches in, replies out.

It bounds every wait, connects again by itself, and turns failures into the service's
errors, without the credentials. It does not know what the commands mean.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import sleep
from typing import Any, NamedTuple, TypeAlias

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import (
    ClusterNode,
    ClusterPipeline,
    PipelineCommand,
    RedisCluster,
)
from redis.retry import Retry

from service.errors import StoreFull, StoreUnavailable
from service.stores.redis.address import RedisAddress
from service.stores.redis.scripts import Script

log = logging.getLogger(__name__)

# A connection that the server closed shows only when it is used, so once more at once.
# Not by the library: our caller must know whether a script was sent twice.
RETRY = ExponentialWithJitterBackoff(base=0.01, cap=0.1)
CLUSTER_RETRIES = 1
# A node that fails, or that a slot has left.
MISSED = ClusterPipeline.ERRORS_ALLOW_RETRY
BROKEN = (redis.ConnectionError, redis.TimeoutError, OSError)
# An idle connection is tried before use, lest a firewall has dropped it.
HEALTH_CHECK_SECONDS = 30
# Policies by which a full server throws away live sessions.
KEEPING = "noeviction"
# How the error of a key of another type begins, and the reply in its place.
WRONG_TYPE = "WRONGTYPE"
DAMAGED = object()

Argument: TypeAlias = "bytes | str | int"


class Command(NamedTuple):
    """A command and the key that says which node of a cluster it goes to."""

    key: bytes
    arguments: tuple[Argument, ...]


class ScriptCall(NamedTuple):
    """A script to run on keys of one slot."""

    script: Script
    keys: tuple[bytes, ...]
    arguments: tuple[Argument, ...]

    def command(self, by_name: bool) -> Command:
        """Write it as a command: by the script's name, or with its text."""
        verb, script = (
            ("EVALSHA", self.script.sha) if by_name else ("EVAL", self.script.text)
        )
        rest = (verb, script, len(self.keys), *self.keys, *self.arguments)
        return Command(self.keys[0], rest)


class Replies(list[Any]):
    """Replies of scripts.

    Attributes:
        is_resent: Whether they may have run twice, because a connection broke.
    """

    is_resent = False


class RedisClient:
    """Sends batches of commands, one round trip each (one per node in a cluster).

    Safe to share between threads, and between greenlets where gevent has patched
    sockets and locks. Connects at the first use, and again after a failure.

    Args:
        address: Where the server is.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._client: redis.Redis | RedisCluster | None = None

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies of commands that change nothing.

        Returns:
            For each its reply; `DAMAGED` where the key has another type.

        Raises:
            StoreUnavailable: The server cannot be reached, or refused one of them.
        """
        replies = self._send(commands)
        for i, reply in enumerate(replies):
            if isinstance(reply, Exception):
                if not str(reply).startswith(WRONG_TYPE):
                    raise self._translate(reply) from reply
                log.warning("a key of %s has another type", self._address)
                replies[i] = DAMAGED
        return replies

    def call(self, calls: Sequence[ScriptCall]) -> Replies:
        """Return the replies of scripts, all run even if one fails.

        Returns:
            For each its reply; the error where the server had no memory for it,
            though it had for another.

        Raises:
            StoreFull: The server has no memory for any of them.
            StoreUnavailable: It cannot be reached, or refused one of them. Some may
                have been done: repeat them only if that is harmless.
        """
        replies = self._send([call.command(by_name=True) for call in calls])
        # A server that was restarted, or a new node, does not know the scripts yet.
        unknown = [i for i, r in enumerate(replies) if isinstance(r, NO_SCRIPT)]
        if unknown:
            texts = [calls[i].command(by_name=False) for i in unknown]
            again = self._send(texts)
            replies.is_resent |= again.is_resent
            for i, reply in zip(unknown, again, strict=True):
                replies[i] = reply
        failures = [reply for reply in replies if isinstance(reply, Exception)]
        others = [error for error in failures if not isinstance(error, NO_MEMORY)]
        if others or (failures and len(failures) == len(replies)):
            raise self._translate((others or failures)[0])
        replies[:] = [
            self._translate(r) if isinstance(r, NO_MEMORY) else r for r in replies
        ]
        return replies

    def info(self, section: str) -> list[dict[str, Any]]:
        """Return a section of INFO of the server, or of each primary node.

        Raises:
            StoreUnavailable: It cannot be reached.
        """
        try:
            client = self._connect()
            if isinstance(client, RedisCluster):
                nodes = client.get_primaries()
                return [client.info(section, target_nodes=node) for node in nodes]
            return [client.info(section)]
        except FAILURES as error:
            raise self._translate(error) from error

    def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        if self._client is not None:
            self._client.close()

    def _send(self, commands: Sequence[Command]) -> Replies:
        """Send commands, once more where the connection breaks."""
        if not commands:
            return Replies()
        try:
            client = self._connect()
            if isinstance(client, RedisCluster):
                return self._send_to_nodes(client, commands)
            try:
                return Replies(self._execute(commands))
            except BROKEN:
                sleep(RETRY.compute(1))
                replies = Replies(self._execute(commands))
                replies.is_resent = True
                return replies
        except FAILURES as error:
            raise self._translate(error) from error

    def _execute(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._connect().pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command.arguments)
        return pipeline.execute(raise_on_error=False)

    def _send_to_nodes(
        self, client: RedisCluster, commands: Sequence[Command]
    ) -> Replies:
        """Send commands to their nodes; one by one again those a node missed.

        The library's pipeline would resend by itself and not report it.
        """
        # The node is named: the library would ask the server where a script's keys are.
        stack = [
            PipelineCommand(
                command.arguments,
                {"target_nodes": client.get_node_from_key(command.key)},
                position,
            )
            for position, command in enumerate(commands)
        ]
        replies = Replies(
            client.pipeline().send_cluster_commands(
                stack, raise_on_error=False, allow_redirections=False
            )
        )
        for i, command in enumerate(stack):
            if isinstance(replies[i], MISSED):
                replies.is_resent = True
                replies[i] = _resend(client, command.args)
        return replies

    def _connect(self) -> redis.Redis | RedisCluster:
        if self._client is None:
            # Two threads may do this at once; the loser's is closed when collected.
            self._client = _open(self._address)
        return self._client

    def _translate(self, error: Exception) -> StoreFull | StoreUnavailable:
        """Return what to raise in an error's place; what it was is logged."""
        if isinstance(error, NO_MEMORY):
            return StoreFull(
                "the memory store's server has reached its maxmemory; no new session "
                "was begun, and live ones continue. Delete sessions, or give the "
                "server more memory."
            )
        # Errors of the library name commands and values; their first words suffice.
        shown = f"{type(error).__name__}: {str(error)[:200]}"
        for secret in filter(None, (self._address.password, self._address.username)):
            shown = shown.replace(secret, "***")
        log.error("the memory store at %s cannot be used: %s", self._address, shown)
        return unknown_outcome()


def unknown_outcome() -> StoreUnavailable:
    """Return the error of a step of which nobody knows whether it was stored."""
    return StoreUnavailable(
        "the memory store cannot be reached or used now; whether the last step was "
        'stored is not known. Try again, with the same "at" or Idempotency-Key '
        "if the step must not be taken twice; if it stays so, the service's log "
        "says why."
    )


def _resend(client: RedisCluster, arguments: tuple[Argument, ...]) -> Any:
    """Send one command to the node that its slot is on now."""
    try:
        return client.execute_command(*arguments)
    except redis.RedisError as error:
        return error


NO_MEMORY = redis.OutOfMemoryError
NO_SCRIPT = redis.exceptions.NoScriptError
FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)


def _open(address: RedisAddress) -> redis.Redis | RedisCluster:
    options: dict[str, Any] = {
        "username": address.username or None,
        "password": address.password or None,
        "socket_timeout": address.timeout_seconds,
        "socket_connect_timeout": address.timeout_seconds,
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "retry": Retry(RETRY, CLUSTER_RETRIES if address.is_cluster else 0),
        # RESP2: what every server speaks, and without pushed notices.
        "protocol": 2,
    }
    if address.is_tls:
        options["ssl_ca_certs"] = address.ca or None
    if address.is_cluster:
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        if address.is_tls:
            options["ssl"] = True
        return RedisCluster(startup_nodes=nodes, **options)
    [(host, port)] = address.hosts
    kind = redis.SSLConnection if address.is_tls else redis.Connection
    pool = redis.BlockingConnectionPool(
        max_connections=address.connections,
        timeout=address.timeout_seconds,
        connection_class=kind,
        host=host,
        port=port,
        db=address.database,
        **options,
    )
    return redis.Redis(connection_pool=pool)
