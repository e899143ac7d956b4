"""Memory of a training on a large generated log: it does not grow with the updates.

The log is read, sorted, divided and encoded by `fit`'s own source; then the network is
trained for some hundred updates of the first epoch, and resident memory is compared.
"""

from __future__ import annotations

import contextlib
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

CASE_EVENTS, KINDS = 10, 17
CHUNK = 1_000_000
UPDATES, SETTLED = 300, 50


class Enough(Exception):
    """As many updates as were asked for."""


def write_log(path: Path, events: int) -> None:
    """Write a log of cases of ten events, as CSV with times."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("case,event\n")
        for start in range(0, events, CHUNK):
            rows = np.arange(start, min(events, start + CHUNK))
            kinds = rng.integers(0, KINDS, len(rows))
            cases = rows // CASE_EVENTS
            pairs = zip(cases.tolist(), kinds.tolist(), strict=True)
            lines = [f"{case},{kind}\n" for case, kind in pairs]
            file.write("".join(lines))


def measure_growth(path: Path, events: int) -> dict[str, Any]:
    """Load a log and train on it for some updates; return megabytes and seconds."""
    from models.networks import build_network
    from training.config import check_config
    from training.fit import Batch, Plan, compile_network, train_epoch
    from training.losses import build_loss
    from training.sources import SOURCES
    from training.windows import WindowRunner

    began = time.process_time()
    data = {
        "source": "events",
        "file": str(path),
        "case": "case",
        "event": "event",
        "split": "file",
        "validation": 0.01,
        "test": 0.01,
    }
    network = {"cell": "lstm", "units": [32], "embedding": 16}
    training = {"epochs": 1, "batch_size": 128, "learning_rate": 0.003}
    table = {"name": "large", "data": data, "network": network, "training": training}
    config = check_config(table, "benchmark")
    dataset = SOURCES["events"].load(config.data, 1)
    loaded, seconds = resident(), time.process_time() - began
    model = build_network(dataset.inputs, dataset.outputs, **network)  # type: ignore[arg-type]
    loss = build_loss(dataset.inputs, dataset.outputs)
    compile_network(model, loss, config.training)
    megabytes: list[float] = []

    def follow(batch: Batch) -> None:
        megabytes.append(resident())
        if len(megabytes) == UPDATES:
            raise Enough

    plan = Plan(dataset.draw_epoch, config.training, 1)
    with contextlib.suppress(Enough):
        train_epoch(WindowRunner(model, is_training=True), model, plan, 0, follow)
    return {
        "events": events,
        "seconds_to_load": seconds,
        "megabytes_loaded": loaded,
        "megabytes_settled": megabytes[min(SETTLED, len(megabytes) // 2)],
        "megabytes_last": megabytes[-1],
        "megabytes_highest": peak(),
        "updates": len(megabytes),
    }


def resident() -> float:
    """Return the megabytes that are resident now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak() -> float:
    """Return the most megabytes that were resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
