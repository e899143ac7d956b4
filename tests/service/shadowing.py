"""An engine with a shadow, and what it counts."""

import numpy as np

from service.engine.rows import Row
from service.registry.traffic import Traffic
from service.sessions.record import SessionKey
from service.telemetry.traffic_metrics import find_shadow_tally
from tests.fakes import FakeClock
from tests.service.test_traffic import publish
from tests.service.traffic_workers import TrafficWorker

RED, GREEN, POISON = 0, 1, 2
ALL = Traffic(1, shadow=2, shadow_share=1.0)


def worker(tmp_path):
    for version in (1, 2):
        publish(tmp_path / "models", version)
    worker = TrafficWorker(tmp_path / "models", tmp_path / "state")
    worker.change(lambda before: ALL)
    return worker


def live(worker, engine, clock):
    """A worker's engine; its shadow works when a test says so."""
    return open_engine(worker, engine, clock)


def open_engine(worker, engine, clock):
    own = worker.build_engine(engine.sessions, clock)
    own.shadow.monotonic = FakeClock()
    return own


def send(worker, live):
    def advance(*events, session="s", by=live, **options):
        row = Row(np.array(events, "int32"), session=session, **options)
        model = worker.catalog.find("counting")
        return by.advance(model, [row], tenant="")[0]

    return advance


def counted():
    """Return what was counted of the shadow since the test began."""
    tally = find_shadow_tally("counting", 2)

    def read():
        rows = {outcome: counter.number for outcome, counter in tally.rows.items()}
        differences = list(tally.difference.buckets)
        return rows | {"agreed": tally.agreed.number, "differences": differences}

    before = read()

    def ask():
        after = read()
        changes = zip(after.pop("differences"), before["differences"], strict=True)
        found = {name: number - before[name] for name, number in after.items()}
        found["differing"] = sum(a - b for a, b in list(changes)[1:])
        return {name: number for name, number in found.items() if number}

    return ask


def load(engine, session="s", model="counting\x02"):
    [found] = engine.sessions.load([SessionKey("", model, session).encode()])
    return found.record
