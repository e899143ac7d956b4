"""Report of the stores' costs: a table in the documentation, and a plot.

It measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from benchmarks.memory.measure import Result, Timing
from benchmarks.memory.places import KINDS

matplotlib.use("Agg")

from matplotlib import pyplot

DOCUMENT = Path("docs/explanation/memory-benchmarks.md")
PLOT = Path("docs/images/memory-benchmarks.png")
BEGIN, END = "<!-- measured -->", "<!-- end -->"


def tabulate(results: Sequence[Result], machine: str) -> str:
    """Write the results as Markdown: median / p99, microseconds per session."""
    names = list(results[0].timings)
    head = ["store", "sessions", *names, "disk", "RAM"]
    lines = [machine, "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for kind, count, timings, disk, ram in results:
        cells = [f"{t.median:,.1f} / {t.p99:,.1f}" for t in timings.values()]
        sizes = ["-" if size is None else f"{size:,.0f}" for size in (disk, ram)]
        lines.append(f"| {' | '.join([kind, f'{count:,}', *cells, *sizes])} |")
    return "\n".join(lines)


def publish(results: Sequence[Result], machine: str) -> None:
    """Put table and plot into the documentation; stores not measured keep theirs."""
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(BEGIN)
    table, _, tail = rest.partition(END)
    kinds = {result.kind for result in results}
    kept = [result for result in read_table(table) if result.kind not in kinds]
    merged = sorted([*kept, *results], key=lambda r: (KINDS.index(r.kind), r.sessions))
    table = tabulate(merged, machine)
    DOCUMENT.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}")
    draw(merged)


def read_table(table: str) -> list[Result]:
    """Read back what `tabulate` wrote."""
    rows = [
        [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| ")
    ]
    if not rows:
        return []
    (_, _, *names, _, _), *rest = rows
    return [_read_row(names, row) for row in rest]


def _read_row(names: list[str], row: list[str]) -> Result:
    kind, sessions, *cells = row
    *times, disk, ram = cells
    timings = {
        name: Timing(*(float(number) for number in cell.split(" / ")))
        for name, cell in zip(names, times, strict=True)
    }
    sizes = [None if size == "-" else float(size) for size in (disk, ram)]
    return Result(kind, int(sessions), timings, *sizes)


def draw(results: Sequence[Result]) -> None:
    """Draw the median step, and the bytes per session, by size."""
    figure, (times, sizes) = pyplot.subplots(1, 2, figsize=(10, 4), layout="tight")
    for kind in dict.fromkeys(result.kind for result in results):
        mine = [result for result in results if result.kind == kind]
        counts = [result.sessions for result in mine]
        [line] = times.plot(
            counts, [r.timings["step of 1"].median for r in mine], "o-", label=kind
        )
        color = line.get_color()
        times.plot(
            counts, [r.timings["step of 16"].median for r in mine], "o--", color=color
        )
        bytes_each = [r.disk or r.ram or 0 for r in mine]
        sizes.plot(counts, bytes_each, "o-", color=color, label=kind)
    times.set(xscale="log", yscale="log", xlabel="sessions", ylabel="microseconds")
    times.set_title("one step: alone (line), in a batch of 16 (dashed)", fontsize=10)
    sizes.set(xscale="log", xlabel="sessions", ylabel="bytes", ylim=(0, 8000))
    sizes.set_title("bytes per session, on disk (LMDB) or in RAM", fontsize=10)
    sizes.legend()
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=100)
