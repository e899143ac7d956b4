"""The bundled models keep what the README says, measured on the exported folders."""

import csv

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

PRIOR = (0.80, 0.15, 0.05)
NATURE_ANSWER = (0.2, 0.8, 0.0)
NEUTRAL = ["squirrel", "tree", "person"]
# What is promised of the network, in nats and in probability.
MAX_DIVERGENCE = 0.01
MAX_NEUTRAL_ERROR = 0.03


@pytest.fixture(scope="module")
def nature(bundled):
    """Probabilities after every event, from the exported `advance` alone."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(bundled / "nature" / "1"))

    def predict(events):
        batch, timesteps = events.shape
        memory = {n: tf.zeros((batch, 16)) for n in ("short_term_0", "long_term_0")}
        answer = loaded.signatures["advance"](
            sequence=tf.constant(events, tf.int32),
            length=tf.fill([batch], timesteps),
            **memory,
        )
        return answer["probabilities"].numpy()

    return predict


def test_divergence_from_the_exact_posterior_is_within_target(nature):
    from training.data.nature import NatureOptions, exact_posterior, generate_programmes
    from training.evaluate.nature import divergence

    options = NatureOptions("nature", 1, 500, telling=0.05, blurry=0.2)
    # Not a seed of the training's: these programmes were neither trained nor measured.
    programmes = generate_programmes(options, 500, np.random.default_rng(20260101))
    nats = divergence(exact_posterior(programmes.events), nature(programmes.events))

    assert nats[programmes.is_shown].mean() <= MAX_DIVERGENCE
    assert nats[programmes.is_blurry].mean() <= MAX_DIVERGENCE


def test_a_bear_is_remembered_over_sixty_neutral_pictures(bundled_server):
    rng = np.random.default_rng(7)
    rows = [["bear", *rng.choice(NEUTRAL, 60).tolist(), "blurry"] for _ in range(50)]

    response = bundled_server.predict("nature", *rows)

    wolf = np.array(response.json()["predictions"])[:, 1]
    assert wolf.min() >= 0.75
    assert wolf.max() <= 0.85


def test_neutral_pictures_alone_say_nothing(nature):
    rng = np.random.default_rng(8)
    events = rng.choice([4, 5, 6, 7], (300, 150))

    error = np.abs(nature(events) - PRIOR).max()

    assert error <= MAX_NEUTRAL_ERROR


def test_the_lesson_s_two_sentences(bundled_server):
    response = bundled_server.predict("nature", ["blurry"], ["bear", "blurry"])

    without, remembered = response.json()["predictions"]
    np.testing.assert_allclose(without, PRIOR, atol=0.03)
    np.testing.assert_allclose(remembered, NATURE_ANSWER, atol=0.03)


def test_taxi_forecast_beats_its_baselines_as_served(bundled, bundled_server):
    from tests.servers import ROOT

    with (ROOT / "training" / "data" / "taxi.csv").open() as file:
        rows = [(r["timestamp"], float(r["value"])) for r in csv.DictReader(file)]
    values = np.array([value for _, value in rows])
    begin = int(0.8 * len(rows))
    events = [{"time": time, "value": value} for time, value in rows]

    forecasts = []
    for start in range(0, len(rows), 5000):  # within the limit of one row
        row = {"sequence": events[start : start + 5000], "session": "whole-series"}
        response = bundled_server.predict("taxi", row, **{"return": "all"})
        forecasts += response.json()["predictions"][0]["forecast"]

    asked = np.arange(begin, len(rows) - 5)
    truth = values[asked + 5]

    def mape(predicted):
        return np.abs(predicted - truth).mean() / truth.mean()

    network = mape(np.array(forecasts)[asked, 4])
    assert network < mape(values[asked])
    assert network < mape(values[asked + 5 - 48])
    assert network < mape(values[asked + 5 - 336])


def test_roommate_is_always_right_and_always_decided(tmp_path, monkeypatch):
    import json

    import tensorflow as tf

    from models.export import FORMS
    from tests.servers import ROOT
    from training.__main__ import main

    config = ROOT / "training" / "configs" / "roommate.toml"
    places = ["--artifacts", tmp_path / "artifacts", "--runs", tmp_path / "runs"]
    # What is asked below is the SavedModel.
    monkeypatch.setattr("training.programs.FORMS", FORMS[:1])
    assert main([*map(str, ["fit", "--config", config, *places])]) == 0

    folder = tmp_path / "artifacts" / "roommate" / "1"
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    manifest = json.loads(
        (folder / "assets.extra" / "carryover" / "manifest.json").read_text()
    )
    dishes = manifest["output"]["labels"]
    rng = np.random.default_rng(9)
    weather = rng.choice(["sunny", "rainy"], (200, 60))

    probabilities = serve(sequence=tf.constant(weather))["probabilities"].numpy()

    rainy_days = (weather == "rainy").sum(axis=1)
    expected = [["apple pie", "burger", "chicken"][days % 3] for days in rainy_days]
    assert [dishes[k] for k in probabilities.argmax(axis=1)] == expected
    assert probabilities.max(axis=1).min() > 0.9
