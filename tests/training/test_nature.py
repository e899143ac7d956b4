from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.servers import ROOT
from training.config import load_config
from training.data.nature import (
    BLURRY,
    LABELS,
    MAX_LENGTH,
    MIN_LENGTH,
    NEUTRAL,
    P_LABEL_HOME,
    P_LABEL_NATURE,
    P_LABEL_PRIOR,
    P_NATURE,
    TELL_HOME,
    TELL_NATURE,
    VOCABULARY,
    NatureOptions,
    exact_posterior,
    generate_programmes,
    label_examples,
    load_nature,
)
from training.errors import DataError
from training.evaluate.nature import divergence

OPTIONS = NatureOptions("nature", 4000, 50, telling=0.02, blurry=0.2)
# Four standard errors of a share of 4,000 programmes; seeds are fixed besides.
SHARE_TOLERANCE = 4 * 0.5 / 4000**0.5


@pytest.fixture(scope="module")
def programmes():
    """Four thousand programmes."""
    return generate_programmes(OPTIONS, OPTIONS.programmes, np.random.default_rng(0))


def test_prior_is_the_lessons(programmes):
    assert pytest.approx([0.80, 0.15, 0.05]) == P_LABEL_PRIOR
    assert programmes.is_nature.mean() == pytest.approx(P_NATURE, abs=SHARE_TOLERANCE)


def test_lengths_are_uniform_from_5_to_150(programmes):
    assert programmes.lengths.min() == MIN_LENGTH == 5
    assert programmes.lengths.max() == MAX_LENGTH == 150
    assert programmes.lengths.mean() == pytest.approx(77.5, abs=4 * 42 / 4000**0.5)


@pytest.mark.parametrize("is_nature", [True, False], ids=["nature", "home"])
def test_kinds_are_equally_frequent_in_both_topics(programmes, is_nature):
    events = programmes.events[programmes.is_nature == is_nature]

    telling = np.isin(events, TELL_NATURE if is_nature else TELL_HOME)
    other = np.isin(events, TELL_HOME if is_nature else TELL_NATURE)

    assert telling.mean() == pytest.approx(OPTIONS.telling, abs=0.002)
    assert (events == BLURRY).mean() == pytest.approx(OPTIONS.blurry, abs=0.005)
    assert not other.any()


@pytest.mark.parametrize("kind", [TELL_NATURE, TELL_HOME, NEUTRAL])
def test_pictures_of_a_kind_are_equally_likely(programmes, kind):
    counts = np.array([(programmes.events == event).sum() for event in kind])

    assert np.all(abs(counts / counts.mean() - 1) < 0.1)


@pytest.mark.parametrize(
    ("is_nature", "expected"), [(True, P_LABEL_NATURE), (False, P_LABEL_HOME)]
)
def test_labels_are_drawn_from_their_topic(programmes, is_nature, expected):
    labels = programmes.labels[programmes.is_nature == is_nature]

    shares = np.bincount(labels.ravel(), minlength=len(LABELS)) / labels.size

    assert shares == pytest.approx(expected, abs=0.005)


def test_target_is_the_label_of_the_next_blurry_picture(programmes):
    examples = label_examples(programmes)

    for row, step in itertools.product(range(20), range(MAX_LENGTH)):
        upcoming = np.flatnonzero(programmes.is_blurry[row, step:])
        follows = len(upcoming) > 0
        assert examples.weights[row, step] == follows
        if follows:
            expected = programmes.labels[row, step + upcoming[0]]
            assert examples.targets[row, step] == expected


def brute_force_posterior(events):
    """Bayes' rule picture by picture, from the generator's description alone."""
    emission = np.zeros((2, len(VOCABULARY)))
    for topic, telling in enumerate((TELL_HOME, TELL_NATURE)):
        emission[topic, list(telling)] = OPTIONS.telling / len(telling)
        emission[topic, BLURRY] = OPTIONS.blurry
        neutral = 1 - OPTIONS.telling - OPTIONS.blurry
        emission[topic, list(NEUTRAL)] = neutral / len(NEUTRAL)
    labels = np.array([[0.938462, 0, 0.061538], [0.2, 0.8, 0]])
    belief = np.array([0.8125, 0.1875])
    answers = []
    for event in events:
        belief = belief * emission[:, event]
        belief = belief / belief.sum()
        answers.append(belief @ labels)
    return answers


def test_exact_posterior_agrees_with_brute_force_bayes(programmes):
    rows = programmes.events[:200]

    exact = exact_posterior(rows)

    expected = np.array([brute_force_posterior(row) for row in rows])
    assert np.abs(exact - expected).max() < 1e-6


def test_posterior_is_the_labels_frequency(programmes):
    exact = exact_posterior(programmes.events)
    nature = np.isclose(exact[..., 1], 0.8)
    unsettled = np.isclose(exact[..., 1], 0.15)

    wolf = programmes.labels == LABELS.index("wolf")

    assert wolf[nature].mean() == pytest.approx(0.8, abs=0.005)
    assert wolf[unsettled].mean() == pytest.approx(0.15, abs=0.02)


def test_same_seed_gives_the_same_programmes():
    first, again, other = (load_nature(OPTIONS, seed) for seed in (1, 1, 2))

    assert first.facts == again.facts
    assert first.facts["fingerprint"] != other.facts["fingerprint"]


def test_epochs_and_held_out_programmes_all_differ():
    dataset = load_nature(OPTIONS, 1)

    first, second = (
        dataset.draw_epoch(np.random.default_rng((1, epoch))).sequences
        for epoch in range(2)
    )

    num_held_out = OPTIONS.held_out
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[:num_held_out], dataset.held_out.events)


@pytest.mark.parametrize("seed", range(8))
def test_one_held_out_programme_is_enough_to_compare_an_export_on(seed):
    options = replace(OPTIONS, held_out=1, blurry=0.4)

    dataset = load_nature(options, seed)

    rows, timesteps = dataset.real.shape
    assert rows == 1
    assert timesteps == min(50, dataset.held_out.lengths[0])


def test_held_out_programmes_without_a_blurry_picture_are_refused():
    options = replace(OPTIONS, held_out=1, blurry=1e-9)

    with pytest.raises(DataError, match=r"data\.held_out is 1"):
        load_nature(options, 1)


@pytest.mark.tensorflow
def test_memoryless_baseline_of_the_bundled_model_is_fully_trained(bundled):
    """It reaches what the best function of a single picture does: no strawman."""
    manifest = bundled / "nature" / "1" / "assets.extra" / "carryover" / "manifest.json"
    metrics = json.loads(manifest.read_text())["metrics"]
    config = load_config(ROOT / "training" / "configs" / "nature.toml")
    held_out = load_nature(config.data, config.seed).held_out
    exact = exact_posterior(held_out.events)
    best = np.zeros_like(exact)
    for picture in range(len(VOCABULARY)):
        there = held_out.events == picture
        best[there] = exact[there & held_out.is_shown].mean(axis=0)

    nats = divergence(exact, best)

    reached = [metric["baselines"]["memoryless"] for metric in metrics[:2]]
    least = [nats[held_out.is_blurry].mean(), nats[held_out.is_shown].mean()]
    assert reached == pytest.approx(least, rel=0.01)
    assert all(one >= other for one, other in zip(reached, least, strict=True))
