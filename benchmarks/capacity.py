"""Computes docs/how-to/scale.md's tables from the published figures; measures nothing.

`python -m benchmarks.capacity` writes them; whatever publishes figures does so too.
"""

from __future__ import annotations

import json
import math
from typing import Any

from benchmarks.memory.measure import Result
from benchmarks.memory.report import BEGIN, END, read_table
from benchmarks.model import ROOT

DOCS = ROOT / "docs"
PAGE = DOCS / "how-to" / "scale.md"
# The performance figures are of a service on two cores, its load generator with it.
CORES = 2
SESSIONS = 100_000_000
EVENTS = 1_000_000
# Of a core and of a server's memory: the rest is for peaks and for what fails.
FULL = 0.6
# Each Redis has a second one that takes over.
COPIES = 2
GIGA = 1e9


def main() -> None:
    """Write the tables into the page."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{describe()}\n{END}{tail}")


def describe() -> str:
    """Return the tables and the sum, as Markdown."""
    data = json.loads((DOCS / "explanation" / "performance.json").read_text())
    speeds = {result["name"]: result["rows"] for result in data["results"]}
    text = (DOCS / "explanation" / "memory-benchmarks.md").read_text()
    table = read_table(text.partition(BEGIN)[2].partition(END)[0])
    # Of each store, with the most sessions that were measured.
    stores = {r.kind: r for r in sorted(table, key=lambda r: r.sessions)}
    costs = list_costs(speeds)
    return "\n".join([*tabulate(costs, stores), "", *add_up(costs, stores)])


def list_costs(speeds: dict[str, Any]) -> dict[str, float]:
    """Return the microseconds of a core that an event costs, memory in LMDB."""
    bulk = speeds["bulk"]
    rates = {
        "one event a request": speeds["throughput"]["carryover"]["requests/s"],
        "lines of a stream": bulk["lines of a stream"]["events/s"],
        "256 rows a request": bulk["256 rows a request"]["events/s"],
    }
    return {name: CORES * 1e6 / rate for name, rate in rates.items()}


def tabulate(costs: dict[str, float], stores: dict[str, Result]) -> list[str]:
    """Return the measured costs as two tables."""
    lines = ["| sent as | us of a core an event | events/s a core |", "|---|---|---|"]
    for name, cost in costs.items():
        lines.append(f"| {name} | {cost:.0f} | {1e6 / cost:,.0f} |")
    lines += [
        "",
        "| store | sessions | bytes a session | us a step, in batches of 64 |",
    ]
    lines += ["|---|---|---|---|"]
    for kind in ("lmdb", "redis", "valkey"):
        store = stores[kind]
        step = store.timings["step of 64"].median
        place = "of disk" if store.disk else "of RAM"
        size = store.disk or store.ram or 0
        lines.append(
            f"| {kind} | {store.sessions:,} | {size:,.0f} {place} | {step:.0f} |"
        )
    return lines


def add_up(costs: dict[str, float], stores: dict[str, Result]) -> list[str]:
    """Return the sum for the largest size, step by step."""
    bulk, redis = costs["256 rows a request"], stores["redis"]
    step = redis.timings["step of 64"].median
    alone, of_16 = costs["one event a request"], redis.timings["step of 16"].median
    single = alone + of_16
    cores = math.ceil(EVENTS * (bulk + step) / 1e6 / FULL)
    single_cores = math.ceil(EVENTS * single / 1e6 / FULL)
    by_time = math.ceil(EVENTS * step / 1e6 / FULL)
    ram = SESSIONS * (redis.ram or 0) / GIGA
    each = math.ceil(ram / by_time / FULL)
    return [
        f"For {SESSIONS:,} live sessions and {EVENTS:,} events a second:",
        "",
        f"1. *Service, 256 rows a request.* {bulk:.0f} us an event, and {step:.0f} us "
        f"of the step in Redis: {bulk + step:.0f} us. Times {EVENTS:,}, at "
        f"{FULL:.0%} of each core: **{cores} cores**.",
        f"2. *Service, one event a request.* {alone:.0f} us an event, and {of_16:.0f} "
        f"us of the step in Redis in batches of 16: {single:.0f} us, **{single_cores} "
        "cores**. Batches are what to change first.",
        f"3. *Redis, time.* A step takes at most {step:.0f} us of a server, because "
        f"client and server took that together: **{by_time} servers**, one core each.",
        f"4. *Redis, memory.* {redis.ram:,.0f} bytes a session: {ram:,.0f} GB, so "
        f"**{each} GB on each** of the {by_time}, at {FULL:.0%} full. With a replica "
        f"each, {COPIES * by_time} servers.",
    ]


if __name__ == "__main__":
    main()
