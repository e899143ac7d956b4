"""The HTTP path: gunicorn's classes of workers, Flask, and what goes past it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.speed.bench import Bench
from benchmarks.speed.contenders import FLASK, FLOOR, OURS, Contender
from benchmarks.speed.results import Result
from benchmarks.speed.scenarios.single_events import CONNECTIONS, measure
from benchmarks.speed.servers import Launch

OWN = "the service's own"
# Threads for gthread alone: a connection each.
CLASSES = ("gthread", "gevent", "gevent_pywsgi")
# The short way past Flask takes no address with a version.
BY_FLASK = OURS._replace(
    name=f"{OURS.name} by Flask", path="/v1/models/lstm/versions/1:predict"
)


def workers(bench: Bench) -> Result:
    """Measure one-event requests per second under each class of workers."""
    rows: dict[str, dict[str, float]] = {}
    for contender in (FLOOR, FLASK, BY_FLASK, OURS):
        own = contender._replace(name=f"{contender.name}, {OWN}")
        others = [under(contender, name) for name in CLASSES]
        rows |= measure(bench, [*others, own], CONNECTIONS, seconds=2)
    title = "Classes of gunicorn's workers, 16 connections"
    return Result("workers", title, rows)


def under(contender: Contender, worker_class: str) -> Contender:
    """Have a contender served by another class of workers."""
    launch = partial(launch_under, contender, worker_class)
    return contender._replace(name=f"{contender.name}, {worker_class}", launch=launch)


def launch_under(contender: Contender, worker_class: str, home: Path) -> Launch:
    """Start a contender with the class on gunicorn's command line."""
    launch = contender.launch(home)
    chosen = ["--worker-class", worker_class, "--threads", str(CONNECTIONS)]
    return launch._replace(command=[*launch.command, *chosen])
