"""Choice of the worker that takes a new connection: one that has few, never none."""

import pytest

from service.server.accepting import MAX_SECONDS, TURNS_PER_CONNECTION, Passing


def count_passed(passing, connections, first_turn, seconds_a_turn=0.0):
    """Count the turns a connection is let pass for before it is taken."""
    passed = 0
    while passing.lets_pass(connections, first_turn + passed, passed * seconds_a_turn):
        passed += 1
    return passed


@pytest.mark.parametrize("connections", [0, 1, 3])
def test_a_connection_is_let_pass_a_while_for_each_there_is(connections):
    assert count_passed(Passing(), connections, 1) == connections * TURNS_PER_CONNECTION


def test_each_connection_is_let_pass_again_though_others_took_those_before():
    passing = Passing()
    for turn in (10, 20, 30):  # each seen once, then taken by another worker
        assert passing.lets_pass(5, turn, 0.0)

    assert count_passed(passing, 5, 40) == 5 * TURNS_PER_CONNECTION


def test_after_one_is_taken_the_next_is_let_pass_again():
    passing = Passing()
    passed = count_passed(passing, 2, 1)

    assert count_passed(passing, 2, passed + 2) == passed


def test_a_busy_worker_takes_it_when_nobody_else_did_for_long():
    passed = count_passed(Passing(), 1000, 1, seconds_a_turn=MAX_SECONDS / 4)

    assert passed == 4
