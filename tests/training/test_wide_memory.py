"""A model that computes in float64 keeps float64 memory from request to request."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

from keras import layers  # noqa: E402

from tests.training.keras_files import sequential  # noqa: E402
from tests.training.served import ask, publish, serve  # noqa: E402

EVENTS = [[0.5, -1.0, 2.0], [1.0, 0.25, -0.5], [-2.0, 0.0, 1.0]]
# Rounding of one step in float64; float32 is 1e-8 off after three.
TOLERANCE = 1e-14


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    layer = layers.GRU(2, dtype="float64")
    model = sequential(layer, layers.Dense(1, dtype="float64"))
    loaded, version = publish(tmp_path_factory.mktemp("wide"), "wide", model)
    return loaded, serve(version)


def test_memory_after_three_requests_is_that_of_one_sequence(served):
    model, client = served
    for event in EVENTS:
        answer = ask(client, "wide", {"sequence": [event], "session": "one"})
    shown = client.get("/v1/models/wide/sessions/one/memory").json

    sequence = np.array([EVENTS], "float64")
    state = model.layers[0](sequence).numpy()[0]
    np.testing.assert_allclose(
        shown["memory"]["short_term_0"], state, rtol=0, atol=TOLERANCE
    )
    np.testing.assert_allclose(
        answer["values"], model.predict(sequence, verbose=0)[0], rtol=1e-7
    )


def test_a_sealed_token_and_an_import_keep_every_digit(served):
    model, client = served
    address = "/v1/models/wide/sessions"
    ask(client, "wide", {"sequence": EVENTS[:1], "session": "whole"})
    first = client.get(f"{address}/whole/memory").json
    copied = client.put(f"{address}/copy/memory", json=first)
    assert copied.status_code == 201, copied.text
    token = ask(client, "wide", {"sequence": EVENTS[:1], "memory": None})["memory"]

    answers = [
        ask(client, "wide", {"sequence": EVENTS[1:], **kept})
        for kept in ({"session": "whole"}, {"session": "copy"}, {"memory": token})
    ]

    expected = model(np.array([EVENTS], "float64")).numpy()[0]
    assert answers[0]["values"] == answers[1]["values"] == answers[2]["values"]
    np.testing.assert_allclose(answers[0]["values"], expected, rtol=1e-7)
    shown = [client.get(f"{address}/{n}/memory").json for n in ("whole", "copy")]
    assert shown[0]["memory"] == shown[1]["memory"]


def test_sizes_are_those_of_float64(served):
    metadata = served[1].get("/v1/models/wide/metadata").json

    assert metadata["memory_dtype"] == "float64"
    assert metadata["memory_bytes"] == 16
