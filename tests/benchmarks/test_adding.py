from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.adding.problem import BASELINE_MSE, draw_batch
from tests.servers import ROOT

TIMESTEPS = 20


@pytest.fixture(scope="module")
def result():
    return json.loads((ROOT / "benchmarks" / "adding" / "result.json").read_text())


@pytest.fixture
def batch():
    return draw_batch(np.random.default_rng(0), 4_000, TIMESTEPS)


def test_answer_is_the_sum_of_the_two_marked_numbers(batch):
    sequences, answers = batch
    numbers, marks = sequences[..., 0], sequences[..., 1]

    assert sequences.shape == (4_000, TIMESTEPS, 2)
    assert np.all(marks[:, : TIMESTEPS // 2].sum(axis=1) == 1)
    assert np.all(marks[:, TIMESTEPS // 2 :].sum(axis=1) == 1)
    assert answers[:, 0] == pytest.approx((numbers * marks).sum(axis=1))


def test_always_answering_one_is_wrong_by_a_sixth(batch):
    assert ((batch[1] - 1) ** 2).mean() == pytest.approx(BASELINE_MSE, rel=0.05)


def test_same_generator_draws_the_same_batch(batch):
    again = draw_batch(np.random.default_rng(0), 4_000, TIMESTEPS)

    assert np.array_equal(batch[0], again[0])


def test_networks_measured_have_equal_memory_and_nearly_equal_weights(result):
    memory = {run["cell"]: run["units"] for run in result["runs"]}
    weights = {run["cell"]: run["weights"] for run in result["runs"]}

    assert memory["rnn"] == 2 * memory["lstm"]
    assert weights["rnn"] == pytest.approx(weights["lstm"], rel=0.05)


def test_document_shows_the_result(result):
    text = (ROOT / "docs" / "explanation" / "adding-problem.md").read_text()

    for run in result["runs"]:
        errors = ", ".join(f"{error:.4f}" for error in run["mse"])
        name = f"{run['cell']} ({run['units']} units)"
        assert f"| {run['timesteps']} | {name} | {run['weights']:,} |" in text
        assert f"| {run['learning_rate']} | {errors} |" in text


@pytest.mark.tensorflow
def test_same_run_gives_the_same_curve():
    # In a process of its own: where another test has made TensorFlow deterministic, it
    # does not compile, which the benchmark does.
    code = (
        "from benchmarks.adding.train import Run, train\n"
        "run = Run('rnn', 8, 0.01, seed=3)\n"
        "print([train(run, num_updates=50) for _ in range(2)])"
    )
    command = [sys.executable, "-c", code]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first
    assert first == second
