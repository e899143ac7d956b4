"""`TF_CONFIG`: which processes train one network together, and which this one is.

The first worker, or the `chief` where there is one, measures and publishes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from training.errors import ConfigError

VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
# In the order of their ranks.
TYPES = ("chief", "worker")
ADDRESS = re.compile(r"[^\s:/]+:\d{1,5}")


class Task(NamedTuple):
    """This process's place among the workers.

    Args:
        workers: `host:port` of each, the chief first.
        rank: Which of them this process is.
    """

    workers: tuple[str, ...]
    rank: int

    @property
    def is_chief(self) -> bool:
        """True for the process that measures and publishes."""
        return self.rank == 0


def read_task(environment: Mapping[str, str]) -> Task:
    """Read `TF_CONFIG`.

    Raises:
        ConfigError: It is missing or wrong.
    """
    text = environment.get(VARIABLE, "")
    if not text:
        raise wrong("is missing")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise wrong(f"is not JSON ({error})") from error
    cluster = content.get("cluster") if isinstance(content, dict) else None
    if not isinstance(cluster, dict) or not cluster:
        raise wrong('has no "cluster"')
    for kind, hosts in cluster.items():
        check_hosts(kind, hosts)
    workers = tuple(one for kind in TYPES for one in cluster.get(kind, ()))
    if len(set(workers)) < max(2, len(workers)):
        raise wrong(f"names {', '.join(workers) or 'no worker'}", "two workers or more")
    task = content.get("task")
    if not isinstance(task, dict) or task.get("type") not in cluster:
        raise wrong('has no "task" with a type of its cluster')
    kind, index = task["type"], task.get("index")
    if not isinstance(index, int) or not 0 <= index < len(cluster[kind]):
        raise wrong(
            f"has the task index {index!r}",
            f"0 to {len(cluster[kind]) - 1}, the {kind}s of its cluster",
        )
    return Task(workers, workers.index(cluster[kind][index]))


def check_hosts(kind: str, hosts: object) -> None:
    """Refuse a part of the cluster that cannot be one.

    Raises:
        ConfigError: It is of another type, or has a wrong address.
    """
    if kind not in TYPES:
        raise wrong(f"has tasks of type {kind!r}", "chief or worker")
    if not isinstance(hosts, list):
        raise wrong(f"has {kind} {hosts!r}", "a list of host:port")
    for one in hosts:
        if not (isinstance(one, str) and ADDRESS.fullmatch(one)):
            raise wrong(f"has the {kind} {one!r}", "host:port")


def wrong(what: str, expected: str = "a cluster and a task") -> ConfigError:
    """Say what is wrong with the variable."""
    return ConfigError(
        f"{VARIABLE} {what}; expected {expected} for --distribute. "
        f"Set it in each worker, such as {EXAMPLE}."
    )
