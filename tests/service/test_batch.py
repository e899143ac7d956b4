import numpy as np
import pytest

from service.engine.execution import (
    advance_batch,
    find_bad,
    gather_events,
    gather_memory,
)
from service.engine.job import Run
from service.errors import NonFiniteResult
from tests.fakes import TickingRuntime, counting_model

RED, GREEN, POISON = 0, 1, 2


def run_of(*events, memory=None, position=0):
    run = Run(np.array(events, "int32"), memory)
    run.position = position
    return run


def test_next_events_are_stacked_and_shorter_runs_padded():
    runs = [run_of(1, 2, 1, 2), run_of(2, 1, position=1), run_of(2, 2)]

    gathered = gather_events(runs, [3, 1, 2])

    assert gathered.tolist() == [[1, 2, 1], [1, 0, 0], [2, 2, 0]]


def test_records_keep_their_columns():
    sequence = np.arange(12, dtype="float32").reshape(4, 3)
    runs = [Run(sequence, None), Run(sequence[1:], None)]

    assert gather_events(runs, [2, 2]).shape == (2, 2, 3)
    assert gather_events(runs, [2, 1])[1].tolist() == [[3, 4, 5], [0, 0, 0]]


def test_a_run_that_has_not_begun_has_a_memory_of_zeros():
    begun = np.array([1, 2, 3], "<f4").tobytes()

    packed = gather_memory(counting_model(), [run_of(1), run_of(1, memory=begun)])

    assert packed.tolist() == [[0, 0, 0], [1, 2, 3]]


def test_sequences_go_on_from_their_memories():
    model = counting_model(runtime=TickingRuntime(largest=2))
    begun = np.array([2, 0, 0], "<f4").tobytes()
    events = [[RED] * 5, [GREEN], [GREEN, GREEN, GREEN]]

    rows = advance_batch(
        model, "advance", [np.array(e, "int32") for e in events], [None, begun, begun]
    )

    memories = [np.frombuffer(row.tensors, "<f4").tolist() for row in rows]
    assert memories == [[5, 0, 0], [2, 1, 0], [2, 3, 0]]
    assert [len(row.outputs["probabilities"]) for row in rows] == [5, 1, 3]


def test_a_sequence_without_a_number_fails_alone():
    model = counting_model(runtime=TickingRuntime())
    sequences = [np.array(e, "int32") for e in ([RED, POISON, RED], [RED, RED])]

    bad, good = advance_batch(model, "advance", sequences, [None, None])

    assert isinstance(bad, NonFiniteResult)
    assert np.frombuffer(good.tensors, "<f4").tolist() == [2, 0, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_found_in_its_row(value):
    memory, output = np.zeros((3, 2), "float32"), np.zeros((3, 4, 2), "float32")
    memory[0, 1] = output[2, 1, 0] = value

    assert find_bad([memory, output], [4, 4, 2]) == {0, 2}


def test_padding_may_hold_anything():
    memory, output = np.zeros((2, 2), "float32"), np.zeros((2, 4, 2), "float32")
    output[1, 2:] = np.nan

    assert find_bad([memory, output], [4, 2]) == set()


def test_numbers_with_squares_that_overflow_are_numbers():
    large = np.full((1, 2), 1e30, "float32")

    assert find_bad([large], [1]) == set()
