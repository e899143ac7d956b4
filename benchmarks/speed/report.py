"""Writes a run down: as Markdown to read, as JSON to compute with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.speed.results import Result, Target

INTRODUCTION = """\
# Performance

Ratios to Triton are of two kinds. **By perf_analyzer**, Triton's load generator: both
in Open Inference v2 with sequences and binary tensors. **By wrk** (single events, 256
rows) and by a socket a stream (lines): the service's v1 JSON beside Triton's v2 JSON.
Lines that do not name perf_analyzer are of the second kind.

What was measured on one day, each table in one run. `make bench-peers` measures again
on your machine; `make performance` also writes this page. Figures are medians of rounds
in which the contenders took turns. They hold for this machine, the ratios for others
too; the load generator ran on the same cores.

The service is deployed as usual: two gunicorn workers, an LSTM of 128 units with 16
labels, memory in LMDB; access log, request ids and limits on. *flask echo* is a Flask
view that reads JSON and writes it back, *wsgi echo* a bare WSGI function that writes
back the bytes it read; both under the service's own gunicorn configuration. *triton* is
`tritonserver` with its sequence batcher and a Python back end that does the same step
with the same weights in NumPy. Every contender that computes had to give the network's
own answer before it was timed.
"""
PLOTS = """\
![Requests per second of each contender](../images/speed-throughput.svg)

![Median latency of each contender](../images/speed-latency.svg)

![Events per second of each way to send them](../images/speed-bulk.svg)
"""
LIMITS = """\
## What falls short, and why

What was tried for targets that runs have missed, and what limits each. Figures are on
the pages of the decisions.

- **Engine with LMDB, and events/s in bulk.** A bare loop over LMDB, both checksums and
  the compiled program, without sessions and rules, takes 0.3 of the engine's time; the
  rest is Python, spread over 50 calls and the objects of each row. Fewer of them gave
  1% to 3% ([columns](decisions/columns.md)). Lines of a stream that come together are
  read and decoded as one, which takes a fifth less
  ([streams](decisions/streams.md)).
- **One event, one connection, and perf_analyzer.** Half of a request is code that the
  processor's caches no longer have, a fifth is the system's sending. What is left out
  or counted later is listed with what it gave
  ([calls of a step](decisions/calls-of-a-step.md)). The build of Python decides as much
  as all of it ([Python's build](decisions/python-build.md)).
- **Whole sequences.** The program adds what a whole chunk's events add to the gates by
  one product already; alone, without a service, it takes more than the target
  ([compiled programs](decisions/compiled-programs.md)).
- **Start.** Two thirds are imports of Flask, gunicorn, gevent and NumPy
  ([start](decisions/start.md)).
- **p99.** A worker never waits for its files of metrics
  ([fast path](decisions/fast-path.md)). Until 2026-11-29 a client in Python sent the
  random arrivals, on the same cores: medians were of waiting requests. It is in C,
  and a run that does not keep up with the arrivals is not judged.

## What each measure gave, and its lines

Since 2026-11-28; lines added to and removed from `service/`, `models/` and `.ci/`.

| measure | gave | lines |
| --- | --- | --- |
| rows that are alike as columns | a row: 1.3 to 1.45 times less CPU | 1,006, 292 |
| LMDB through its map | a row of 64: 18 us, not 32; alone 49, not 120 | 347, 104 |
| a budget of calls | CPU time of a step: 1.04 times 2026-11-24's, not 1.35 | 799, 600 |
| fewer files and calls, after it | nothing that the noise shows | 550, 513 |
| a chunk's events in a loop | an event of a sequence: 8.1 us, not 29.2 | 150, 0 |
| lines that came together read as one | a line: 0.78 times the CPU | 207, 89 |
| infer calls counted together | an infer: 0.96 times the CPU | 36, 15 |
| files of metrics on the thread pool | no waits of 6 to 13 ms any more | 91, 41 |
| `cryptography` with the first token | start: 25 to 38 ms less | 15, 5 |
| a Python built with optimisations | median: 0.50 of Triton's, not 0.74 | 39, 0 |
"""
PROFILE = """\
## Profile

![Flame graph of one worker](../images/hot-path.svg)

One worker under 16 connections of single events, sampled by py-spy (`make profile`
draws it again). A frame's width is its share of the samples. `_WorkerGreenlet.run` is
gevent's thread pool, which waits and costs nothing. The table above, last of the
measurements, has the microseconds.
"""


class Kept(NamedTuple):
    """A result of an earlier run, and the date of that."""

    date: str
    result: Result


class Run(NamedTuple):
    """One run.

    Attributes:
        machine: What it was made on.
        results: What it found.
        missing: The peers that could not be had, and why.
        kept: Results of earlier runs, of scenarios that this one lacks.
    """

    machine: Mapping[str, str]
    results: Sequence[Result]
    missing: Mapping[str, str]
    kept: Sequence[Kept] = ()

    def describe(self) -> dict[str, Any]:
        """Return the run as plain values, each target with its verdict."""
        return {
            "machine": dict(self.machine),
            "results": [describe_result(result) for result in self.results],
            "missing": dict(self.missing),
            "kept": [
                {"date": date, **describe_result(result)} for date, result in self.kept
            ],
        }


def describe_result(result: Result) -> dict[str, Any]:
    """Return a result as plain values."""
    targets = [
        {**dataclasses.asdict(target), "is_met": target.is_met}
        for target in result.targets
    ]
    return {**dataclasses.asdict(result), "targets": targets}


def read_kept(data: Path, measured: Collection[str]) -> list[Kept]:
    """Read the results of earlier runs from a page's data.

    Args:
        data: The JSON; it may be missing.
        measured: Scenarios that are left out: they were measured again.
    """
    if not data.exists():
        return []
    run = json.loads(data.read_text())
    dated = [(run["machine"]["date"], result) for result in run["results"]]
    dated += [(result.pop("date"), result) for result in run.get("kept", [])]
    return [
        Kept(date, Result(**{**result, "targets": read_targets(result["targets"])}))
        for date, result in dated
        if result["name"] not in measured
    ]


def read_targets(described: Sequence[Mapping[str, Any]]) -> list[Target]:
    """Read targets; their verdicts are worked out again."""
    names = [field.name for field in dataclasses.fields(Target)]
    return [Target(**{name: one[name] for name in names}) for one in described]


def write_run(run: Run, page: Path, data: Path) -> None:
    """Write a run as Markdown and as JSON."""
    for path in (page, data):
        path.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(format_run(run))
    data.write_text(json.dumps(run.describe(), indent=2) + "\n")


def format_run(run: Run) -> str:
    """Write the page: targets first, then the machine, then each table."""
    parts = [INTRODUCTION, format_targets(run.results), PLOTS]
    parts += ["## Machine\n", table(("", ""), run.machine.items())]
    parts += ["## Measurements\n", *map(format_result, run.results)]
    if run.kept:
        parts.append("## Measured in earlier runs\n")
        parts += [format_result(result, f" ({date})") for date, result in run.kept]
    parts += [LIMITS, PROFILE]
    if run.missing:
        reasons = {name: " ".join(text.split()) for name, text in run.missing.items()}
        parts += ["## Not measured\n", table(("peer", "why"), reasons.items())]
    return "\n".join(parts)


def format_targets(results: Iterable[Result]) -> str:
    """Write all targets in one table, with what was measured."""
    targets = [target for result in results for target in result.targets]
    rows = [(t.text, format_figure(t.ratio), limit(t), verdict(t)) for t in targets]
    header = ("what", "measured", "target", "")
    return "## Targets\n\n" + table(header, rows)


def format_result(result: Result, when: str = "") -> str:
    """Write one scenario's title, table and targets."""
    names = list(dict.fromkeys(name for row in result.rows.values() for name in row))
    rows = [
        (case, *(format_figure(row[name]) if name in row else "" for name in names))
        for case, row in result.rows.items()
    ]
    lines = [f"### {result.title}{when}\n", table(("", *names), rows)]
    if result.targets:
        lines.append("".join(map(format_target, result.targets)))
    if result.note:
        lines.append(result.note + "\n")
    return "\n".join(lines)


def format_target(target: Target) -> str:
    """Write what a ratio is and was to be."""
    ratio = format_figure(target.ratio)
    return f"- {target.text}: {ratio} (target {limit(target)}, {verdict(target)})\n"


def limit(target: Target) -> str:
    """Write what a ratio was to be."""
    return f"{'at least' if target.is_at_least else 'at most'} {target.limit:g}"


def verdict(target: Target) -> str:
    """Write whether a target was met."""
    return "met" if target.is_met else "**not met**"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def format_figure(value: float) -> str:
    """Write three digits that matter, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
