"""Profile of a one-event request by parts, from the socket upwards."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks.speed.access import HEADER, TENANT
from benchmarks.speed.bench import Bench
from benchmarks.speed.contenders import CANNED, FLASK, FLOOR, OURS
from benchmarks.speed.in_process import (
    Program,
    find_model,
    make_row,
    open_services,
    session_key,
)
from benchmarks.speed.results import Result
from service.api.context import Services
from service.api.v1 import parse, render
from service.server.framing import read_head

SESSION = "session-0"
# Loops as long as this, the median of as many.
LOOP, NUM_LOOPS = 200, 15


def parts(bench: Bench) -> Result:
    """Split the median latency of one connection into what it is made of.

    Measured from outside under wrk: the bare WSGI function and the service; beside them
    a blocking socket that answers canned bytes. Measured in loops in one process:
    reading the row, fetching and committing its memory, the compiled step, writing the
    answer, and the engine around them. What then remains is the service's: routing,
    access log, metrics, ids.
    """
    contenders = [CANNED, FLOOR, FLASK, OURS]
    with bench.running(*contenders) as servers:
        runs = bench.alternate(
            {
                c.name: bench.single_events(
                    servers[c.name], c, connections=1, seconds=2
                )
                for c in contenders
            }
        )
    outside = {name: median(r.p50_us for r in found) for name, found in runs.items()}
    inside, head = time_parts(bench), time_head()
    whole, floor = outside[OURS.name], outside[FLOOR.name]
    split = {
        "socket, event loop, WSGI (bare function)": floor - head,
        "read HTTP head": head,
        **inside,
        "the rest of the service": whole - floor - sum(inside.values()),
    }
    rows = {
        name: {"us": value, "share %": 100 * value / whole}
        for name, value in split.items()
    }
    rows["whole request"] = {"us": whole, "share %": 100}
    rows["flask echo, for comparison"] = {"us": outside[FLASK.name]}
    rows["canned bytes of a blocking socket"] = {"us": outside[CANNED.name]}
    title = "Where each microsecond of a one-event request goes, one connection"
    note = (
        "The parts between were timed in loops, their code and data in the processor's "
        "caches. In a request they are colder: that is counted with the rest."
    )
    return Result("parts", title, rows, note=note)


def time_parts(bench: Bench) -> dict[str, float]:
    """Time what the service does with a row, in microseconds."""
    services = open_services(bench.new_home("parts"))
    model, engine = find_model(services), services.engine
    program = Program(1)
    body = OURS.visits(0)[0].encode()
    request = parse.parse_body(body, model, max_rows=1)
    row = make_row(1, SESSION)
    advance = partial(engine.advance, model, [row], tenant=TENANT)
    results = advance()
    fetch, commit = time_store(services)
    step = microseconds(lambda: program.step(1))
    whole = microseconds(advance)
    timed = {
        "read JSON": microseconds(lambda: parse.parse_body(body, model, max_rows=1)),
        "fetch memory": fetch,
        "step (compiled program)": step,
        "commit memory": commit,
        "engine around them": whole - fetch - step - commit,
        "write JSON": microseconds(
            lambda: render.render_body(request, results, model, explain=False)
        ),
    }
    services.engine.sessions.close()
    return timed


def time_head() -> float:
    """Time the reading of a head like that of wrk's requests."""
    head = (
        f"POST {OURS.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nAuthorization: {HEADER}\r\n"
        "Content-Length: 60\r\n\r\n"
    ).encode()

    def read() -> None:
        lines = io.BytesIO(head)
        read_head(lines.readline(), lines.readline)

    return microseconds(read)


def time_store(services: Services) -> tuple[float, float]:
    """Time a fetch, and a commit less the fetch that must come before it."""
    sessions, name = services.engine.sessions, session_key(SESSION)
    key = name.encode()

    def fetch_and_commit() -> None:
        found = sessions.load([key])[0]
        sessions.save([(key, found, sessions.get(name))])

    fetch = microseconds(lambda: sessions.load([key]))
    return fetch, microseconds(fetch_and_commit) - 2 * fetch


def microseconds(run: Callable[[], object]) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(NUM_LOOPS):
        began = time.perf_counter()
        for _ in range(LOOP):
            run()
        times.append((time.perf_counter() - began) / LOOP)
    return 1e6 * median(times)
