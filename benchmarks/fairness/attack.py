"""A greedy client in a process of its own, and one-event requests of another."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import threading
import time
from collections import Counter
from typing import NamedTuple
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60.0
PAUSE_SECONDS = 0.005
# The attack is under way before the other client begins.
HEAD_START_SECONDS = 2.0


class Seen(NamedTuple):
    """Answers of the other client by status, and its latencies in milliseconds."""

    statuses: dict[int, int]
    median_ms: float
    p99_ms: float
    max_ms: float
    attack: dict[int, int]


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> int:
    """Send a request and read its answer; return its status."""
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def attack(
    url: str,
    body: bytes,
    num_connections: int,
    until: float,
    result: multiprocessing.Queue[dict[int, int]],
) -> None:
    """Send the same large request over many connections until a moment."""
    parts, statuses = urlsplit(url), Counter[int]()

    def send() -> None:
        while time.time() < until:
            connection = http.client.HTTPConnection(
                str(parts.hostname), parts.port, timeout=TIMEOUT_SECONDS
            )
            try:
                while time.time() < until:
                    statuses[post(connection, parts.path, body)] += 1
            except OSError:
                statuses[0] += 1
            finally:
                connection.close()

    threads = [threading.Thread(target=send) for _ in range(num_connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.put(dict(statuses))


def run(
    url: str, body: object, probe: object, num_connections: int, seconds: float
) -> Seen:
    """Measure one-event requests of one client while another attacks."""
    context = multiprocessing.get_context("spawn")
    result: multiprocessing.Queue[dict[int, int]] = context.Queue()
    until = time.time() + HEAD_START_SECONDS + seconds
    data = json.dumps(body).encode()
    attacker = context.Process(
        target=attack, args=(url, data, num_connections, until, result)
    )
    attacker.start()
    time.sleep(HEAD_START_SECONDS)
    statuses, latencies = ask(url, json.dumps(probe).encode(), until)
    attacked = result.get(timeout=2 * TIMEOUT_SECONDS)
    attacker.join()
    latencies.sort()
    last = len(latencies) - 1
    median, p99, longest = (
        round(1000 * latencies[round(last * share)], 2) for share in (0.5, 0.99, 1)
    )
    return Seen(dict(statuses), median, p99, longest, attacked)


def ask(url: str, body: bytes, until: float) -> tuple[Counter[int], list[float]]:
    """Send one small request after the other, each over a connection of its own.

    So that every worker is asked.
    """
    parts = urlsplit(url)
    statuses, latencies = Counter[int](), []
    while time.time() < until:
        connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=TIMEOUT_SECONDS
        )
        began = time.perf_counter()
        statuses[post(connection, parts.path, body)] += 1
        latencies.append(time.perf_counter() - began)
        connection.close()
        time.sleep(PAUSE_SECONDS)
    return statuses, latencies
