"""Records of an event and its fields: unknown names, missing numbers, surprise."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from models.export import export_network  # noqa: E402
from models.export.verification import random_sequence  # noqa: E402
from models.networks import build_network  # noqa: E402
from service.registry.encoding.events import build_encoder, warn_of_unknown  # noqa: E402

INPUTS = {
    "kind": "record",
    "fields": [
        {
            "name": "what",
            "type": "category",
            "vocabulary": ["a", "b", "?"],
            "unknown": "?",
        },
        {"name": "amount", "type": "number", "mean": 5.0, "std": 2.0, "optional": True},
        {"name": "team", "type": "category", "vocabulary": ["x", "?"], "unknown": "?"},
    ],
}
OUTPUTS = {
    "kind": "next_event",
    "name": "probabilities",
    "labels": ["a", "b", "?", "end"],
    "end": "end",
    "event": "what",
}
EVENTS = [
    {"what": "a", "amount": 3.5, "team": "x"},
    {"what": "never seen", "amount": None, "team": "nobody"},
    {"what": "b", "team": "x"},
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Export a network of records; return it and its signatures."""
    keras.utils.set_random_seed(1)
    network = build_network(INPUTS, OUTPUTS, cell="rnn", units=(4,), embedding=2)
    path = tmp_path_factory.mktemp("records") / "1"
    real = random_sequence(INPUTS, 2, 9, np.random.default_rng(1))
    export_network(network, INPUTS, OUTPUTS, path, real=real)
    return network, tf.saved_model.load(path).signatures


def test_unknown_names_and_missing_numbers_reach_the_network_by_both_ways(exported):
    network, signatures = exported
    encoder = build_encoder(INPUTS, max_events=9)

    sequence = encoder.encode(EVENTS)

    np.testing.assert_array_equal(
        sequence, [[0, 3.5, 0], [2, np.nan, 1], [1, np.nan, 0]]
    )
    expected = network(sequence[None]).numpy()[0, -1]
    assert np.isfinite(expected).all()
    answered = signatures["serving_default"](
        what=tf.constant([[e["what"] for e in EVENTS]]),
        amount=tf.constant([[3.5, np.nan, np.nan]], tf.float32),
        team=tf.constant([[e["team"] for e in EVENTS]]),
    )
    np.testing.assert_allclose(answered["probabilities"][0], expected, atol=1e-6)


def test_missing_number_is_another_input_than_the_mean(exported):
    network, _ = exported

    given, missing = (
        network(np.array([[[0, amount, 0]]], np.float32)).numpy()
        for amount in (5.0, np.nan)
    )

    assert np.abs(given - missing).max() > 1e-4


def test_surprise_is_that_of_the_event_among_the_fields(exported):
    network, signatures = exported
    sequence = build_encoder(INPUTS, max_events=9).encode(EVENTS)[None]
    units = {"short_term_0": np.zeros((1, 4), np.float32)}

    results = signatures["advance"](
        sequence=tf.constant(sequence),
        length=tf.constant([3]),
        expected=tf.zeros((1, 4)),
        **{name: tf.constant(value) for name, value in units.items()},
    )

    given = network(sequence).numpy()[0]
    expected = [0, -np.log(given[0, 2]), -np.log(given[1, 1])]
    np.testing.assert_allclose(results["surprise"][0], expected, rtol=1e-5)


def test_warning_names_the_field_and_what_it_was_taken_as():
    encoder = build_encoder(INPUTS, max_events=9)

    warning = warn_of_unknown(encoder, EVENTS)

    assert warning == (
        "sequence[1].what is 'never seen', which training has not seen; it was taken "
        "as '?'. sequence[1].team is 'nobody', which training has not seen; it was "
        "taken as '?'."
    )
    assert warn_of_unknown(encoder, EVENTS[:1]) is None


def test_infinite_number_is_still_refused(exported):
    _, signatures = exported

    with pytest.raises(tf.errors.InvalidArgumentError, match="a number of amount"):
        signatures["serving_default"](
            what=tf.constant([["a"]]),
            amount=tf.constant([[np.inf]], tf.float32),
            team=tf.constant([["x"]]),
        )


@pytest.mark.parametrize("event", ["team", "amount", None])
def test_event_to_predict_is_the_first_field(event):
    with pytest.raises(ValueError, match="expected plain events, or records with"):
        build_network(INPUTS, {**OUTPUTS, "event": event}, units=(2,))
