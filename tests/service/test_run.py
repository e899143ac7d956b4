"""Outputs that a run keeps, and what that costs."""

import tracemalloc

import numpy as np
import pytest

from service.engine.job import Run
from service.engine.rows import Row
from tests.fakes import TickingRuntime, counting_model

NUM_ROWS, NUM_EVENTS = 8, 2500
# The last outputs, a surprise per event, and a tick's own arrays.
MAX_BYTES_PER_EVENT = 20


def outputs(begin, length):
    values = np.arange(begin, begin + length, dtype="float32").reshape(1, length, 1)
    return {"probabilities": values, "surprise": values[..., 0]}


@pytest.mark.parametrize("lengths", [(1,), (3,), (1, 1, 1), (2, 3, 1), (16, 16)])
@pytest.mark.parametrize("is_last_only", [False, True])
def test_a_run_keeps_what_is_wanted_however_it_was_cut(lengths, is_last_only):
    total, begin = sum(lengths), 0
    run = Run(np.zeros(total, "int32"), None, is_last_only)

    for length in lengths:
        run.take(outputs(begin, length), 0, length, b"memory")
        begin += length

    kept = run.ahead().outputs
    whole = list(range(total))
    assert kept["surprise"].tolist() == whole
    assert kept["probabilities"][:, 0].tolist() == whole[-1:] if is_last_only else whole
    assert not run.remaining


def measure_peak(engine, is_last_only):
    """Return the bytes per event that a request takes beyond its rows."""
    model = counting_model(runtime=TickingRuntime())
    rows = [
        Row(np.zeros(NUM_EVENTS, "int32"), is_last_only=is_last_only)
        for _ in range(NUM_ROWS)
    ]
    tracemalloc.start()
    try:
        engine.advance(model, rows, tenant="")
        return tracemalloc.get_traced_memory()[1] / (NUM_ROWS * NUM_EVENTS)
    finally:
        tracemalloc.stop()


def test_last_outputs_of_long_rows_cost_no_more_than_their_events(engine):
    assert measure_peak(engine, is_last_only=True) < MAX_BYTES_PER_EVENT


def test_all_outputs_of_long_rows_cost_what_they_are(engine):
    # Three shares of four bytes each.
    assert measure_peak(engine, is_last_only=False) < 12 + MAX_BYTES_PER_EVENT
