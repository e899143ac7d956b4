"""The scenarios: each a function that measures a row of the table of targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.speed.bench import Bench
from benchmarks.speed.results import Result
from benchmarks.speed.scenarios.bulk import bulk
from benchmarks.speed.scenarios.engine import engine
from benchmarks.speed.scenarios.growth import growth
from benchmarks.speed.scenarios.lengths import interference, linear, mixed
from benchmarks.speed.scenarios.open_inference import open_inference
from benchmarks.speed.scenarios.parts import parts
from benchmarks.speed.scenarios.single_events import latency, stateless, throughput
from benchmarks.speed.scenarios.start import start
from benchmarks.speed.scenarios.steady_load import tail
from benchmarks.speed.scenarios.workers import workers

SCENARIOS: Mapping[str, Callable[[Bench], Result]] = {
    "throughput": throughput,
    "latency": latency,
    "tail": tail,
    "open_inference": open_inference,
    "bulk": bulk,
    "mixed": mixed,
    "interference": interference,
    "engine": engine,
    "start": start,
    "growth": growth,
    "linear": linear,
    "stateless": stateless,
    "parts": parts,
    "workers": workers,
}
