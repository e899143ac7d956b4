"""The n-gram beside the formula written out, and beside figures of others."""

from __future__ import annotations

import zipfile
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from training.data.dataset import Sequences
from training.evaluate.guesses import guess
from training.evaluate.ngram import (
    MAX_ORDER,
    choose_ngram,
    fit_ngram,
    measure_surprise,
)

LABELS = 4  # three events and the end
BEGIN = -1


def pack(cases, *, end=True):
    """Make sequences of lists of events; without an end their last has no target."""
    lengths = [len(case) for case in cases]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    inputs = np.concatenate([np.array(case, np.uint8) for case in cases])
    targets, weights = np.roll(inputs, -1), np.ones(len(inputs), np.uint8)
    targets[offsets[1:] - 1] = LABELS - 1 if end else 0
    weights[offsets[1:] - 1] = end
    return Sequences(inputs, targets, weights, offsets)


def draw_cases(count, seed):
    rng = np.random.default_rng(seed)
    return [list(rng.integers(0, 3, rng.integers(1, 9))) for _ in range(count)]


def expect(cases, context, order):
    """Compute Witten-Bell's probabilities as the formula reads: a dictionary each."""
    after = {}
    for case in cases:
        padded = [BEGIN, *case]
        for place, came in enumerate([*case[1:], LABELS - 1], start=1):
            for length in range(min(order, place + 2)):
                h = tuple(padded[place + 1 - length : place + 1])
                after.setdefault(h, Counter())[came] += 1
    shares = [1 / LABELS] * LABELS
    for length in range(min(order, len(context) + 2)):
        counts = after.get(tuple([BEGIN, *context][len(context) + 1 - length :]))
        if counts is None:
            break
        kinds, total = len(counts), counts.total()
        shares = [
            (counts[w] + kinds * shares[w]) / (total + kinds) for w in range(LABELS)
        ]
    return shares


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_are_those_of_the_formula(order):
    cases, asked = draw_cases(40, seed=0), draw_cases(6, seed=1)

    model = fit_ngram(pack(cases), LABELS, order)

    for case in asked:
        (shares,) = model.predict(np.array([case], np.int32))
        expected = [expect(cases, case[: k + 1], order) for k in range(len(case))]
        assert shares == pytest.approx(np.array(expected))
        assert shares.sum(axis=-1) == pytest.approx(1)


def test_surprise_of_what_came_is_that_of_all_probabilities():
    model = fit_ngram(pack(draw_cases(40, seed=0)), LABELS, 4)
    tested = pack(draw_cases(20, seed=1), end=False)

    alone = measure_surprise(model, tested)

    assert alone == pytest.approx(guess(tested, model.predict, LABELS).surprise.mean())


def test_padding_and_rows_beside_change_nothing():
    model = fit_ngram(pack(draw_cases(40, seed=0)), LABELS, 4)
    row = np.array([[0, 1, 2, 0]], np.int32)
    padded = np.array([[2, 2, 2, 2, 1, 1], [0, 1, 2, 0, 0, 0]], np.int32)

    assert np.array_equal(model.predict(padded)[1, :4], model.predict(row)[0])


def test_events_that_do_not_count_are_context_alone():
    cases = [[0, 1, 2]] * 5
    train = pack(cases)
    weights = train.weights.copy()
    weights[train.offsets[:-1]] = 0  # what follows the first event is not learnt

    model = fit_ngram(train._replace(weights=weights), LABELS, 3)

    after_first, after_second, _ = model.predict(np.array([[0, 1, 2]], np.int32))[0]
    assert after_first.argmax() != 1
    assert after_second.argmax() == 2


def test_order_is_chosen_on_the_validation_part():
    # What comes next is what came two events ago: one event of context says nothing.
    rng = np.random.default_rng(0)
    cases = [[a, b] * 4 for a, b in rng.integers(0, 3, (300, 2))]
    train, validation = pack(cases[:250]), pack(cases[250:])

    chosen = choose_ngram(train, validation, LABELS)

    surprises = [
        measure_surprise(fit_ngram(train, LABELS, order), validation)
        for order in range(1, MAX_ORDER + 1)
    ]
    assert chosen.order >= 3
    assert np.argmin(surprises) == chosen.order - 1


def test_without_validation_events_the_order_is_three():
    train = pack([[0, 1, 2]] * 5)
    nothing = pack([[0]], end=False)

    assert choose_ngram(train, nothing, LABELS).order == 3


def read_msnbc(count):
    """Read the first readers with two or more page views, 500 views each at most."""
    file = Path(__file__).parents[2].parent / "shared/data/msnbc/msnbc990928.zip"
    if not file.exists():
        pytest.skip("the whole MSNBC log is not in the repository, only a sample")
    with zipfile.ZipFile(file) as archive:
        lines = archive.read("msnbc990928.seq").decode().splitlines()[7:]
    views = ([int(word) - 1 for word in line.split()] for line in lines)
    return list(islice((case[:500] for case in views if len(case) > 1), count))


def test_figures_on_msnbc_are_the_published_ones():
    cases = read_msnbc(72_000)
    train, test = (pack(part, end=False) for part in (cases[:60_000], cases[60_000:]))

    # Published for contexts of three and four views, without the beginning of cases.
    plain = fit_ngram(train, 17, 4, sees_begin=False)
    longer = guess(test, fit_ngram(train, 17, 5, sees_begin=False).predict, 17)

    assert measure_surprise(plain, test) == pytest.approx(1.243, abs=5e-4)
    assert longer.is_right(None).mean() == pytest.approx(0.6716, abs=5e-5)
    # What the network has to beat is better.
    ours = fit_ngram(train, 17, 4)
    assert measure_surprise(ours, test) == pytest.approx(1.234, abs=5e-4)
