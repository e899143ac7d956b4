"""A defect costs the rows it concerns, whatever its class and wherever it is."""

import logging

import numpy as np
import pytest

from service.engine.engine import Engine
from service.engine.rows import Row
from service.errors import CarryoverError
from tests.fakes import TickingRuntime, counting_model
from tests.service.test_engine_ticks import Arrival, during_call

RED = 0
# What is no CarryoverError, of several branches of the tree of exceptions.
DEFECTS = (RuntimeError, MemoryError, KeyError, RecursionError, OSError, AssertionError)
SEAMS = {
    "fetch": ("sessions", "fetch"),
    "resume": ("transitions", "resume"),
    "complete": ("transitions", "complete"),
    "seal": ("transitions", "seal_state"),
    "commit": ("sessions", "save_encoded"),
}


def row(**options):
    return Row(np.array([RED], "int32"), **options)


@pytest.fixture
def good():
    return counting_model(runtime=TickingRuntime())


def fail_for(function, is_meant, defect):
    """Wrap a function so that it fails for some of its calls."""

    def call(*arguments):
        if is_meant(arguments):
            raise defect("a defect")
        return function(*arguments)

    return call


@pytest.mark.parametrize("defect", DEFECTS)
def test_one_models_defect_fails_its_own_batch_only(engine, model, good, defect):
    bad, arrivals = counting_model(runtime=TickingRuntime()), []

    def fail():
        raise defect("a defect")

    bad.runtime.before_return = fail

    def arrive():
        arrivals.append(Arrival(engine, bad, [row()]))

    during_call(good, 2, arrive)
    long = Row(np.zeros(100, "int32"), session="s")

    (outcome,) = engine.advance(good, [long], tenant="")

    assert outcome.step == 100
    assert type(arrivals[0].join()[0]) is CarryoverError


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("seam", SEAMS)
def test_a_defect_anywhere_fails_the_rows_it_concerns(
    engine: Engine, good, seam, defect, caplog
):
    where, name = SEAMS[seam]
    part = getattr(engine, where)

    def is_meant(arguments):
        if where == "sessions":
            return True
        return arguments[1].session == "bad"

    setattr(part, name, fail_for(getattr(part, name), is_meant, defect))
    bad = row(session="bad", seal_memory=name == "seal_state")
    rows = [bad, row(), row(seal_memory=True)]
    if where == "transitions":
        rows.append(row(session="other"))

    with caplog.at_level(logging.ERROR):
        failed, *others = engine.advance(good, rows, tenant="")

    assert type(failed) is CarryoverError
    assert "a defect" not in failed.detail
    assert [outcome.step for outcome in others] == [1] * len(others)
    traces = [record for record in caplog.records if record.exc_info]
    assert len(traces) == 1
    assert traces[0].exc_info[0] is defect
    assert not engine.ticks.settlement.open_jobs
    assert engine.admission.num_rows == 0


def test_a_defect_of_a_batch_is_logged_once(engine, good, caplog):
    def fail():
        raise RuntimeError("a defect")

    good.runtime.before_return = fail

    results = engine.advance(good, [row() for _ in range(50)], tenant="")

    assert all(type(result) is CarryoverError for result in results)
    assert sum(record.exc_info is not None for record in caplog.records) == 1
