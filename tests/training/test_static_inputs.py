"""An input without timesteps: given with a session's first event, then carried."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
from keras import layers  # noqa: E402

from models.export import export_programs  # noqa: E402
from models.export.compilation import Form  # noqa: E402
from models.wrapping import wrap_model  # noqa: E402
from service.errors import InvalidEvent  # noqa: E402
from service.registry.catalog import load_model  # noqa: E402
from service.registry.encoding.events import build_encoder  # noqa: E402
from tests.training.keras_files import randomise  # noqa: E402
from tests.training.served import ask, predict, publish, serve  # noqa: E402
from tests.training.test_proof import prove_wrapped  # noqa: E402
from training import export_keras  # noqa: E402

TOLERANCE = 1e-5
FORMS = (Form("advance", 1, 1), Form("explain", 1, 1))
TIMESTEPS = 4
EVENTS = [[0.5, -1.0], [1.0, 0.25], [-2.0, 0.0], [0.125, 3.0]]
NAME = "machines"
AGE, KIND = [0.75, -1.5], 2


def join_after(sensors, age):
    return layers.Dense(2)(layers.Concatenate()([layers.LSTM(2)(sensors), age]))


def resolve_start(sensors, age):
    states = [layers.Dense(2)(age), layers.Dense(2, activation="tanh")(age)]
    return layers.LSTM(2)(sensors, initial_state=states)


def begin_stack(sensors, age):
    cells = [layers.GRUCell(2), layers.LSTMCell(1)]
    states = [[layers.Dense(2)(age)], [layers.Dense(1)(age), layers.Dense(1)(age)]]
    return layers.RNN(cells)(sensors, initial_state=states)


def repeat(sensors, age):
    repeated = layers.Dense(2)(layers.RepeatVector(TIMESTEPS)(age))
    return layers.GRU(2)(layers.Concatenate()([sensors, repeated]))


def broadcast(sensors, age):
    gate = layers.Dense(2)(age)
    return layers.GRU(2)(layers.Add()([sensors * gate[:, None, :], gate]))


def join(sensors, age):
    return {"joined": join_after(sensors, age), "begun": resolve_start(sensors, age)}


def join_otherwise(sensors, age):
    return {"stack": begin_stack(sensors, age), "broadcast": broadcast(sensors, age)}


def build(join, timesteps):
    sensors = keras.Input((timesteps, 2), name="sensors")
    age = keras.Input((2,), name="age")
    return keras.Model([sensors, age], join(sensors, age))


def build_index():
    """An index of a kind of machine, embedded, on windows of three events."""
    sensors, kind = keras.Input((3, 2), name="sensors"), keras.Input((1,), name="kind")
    embedded = layers.Flatten()(layers.Embedding(4, 2)(kind))
    hidden = layers.Bidirectional(layers.GRU(1))(sensors)
    return keras.Model([sensors, kind], layers.Concatenate()([hidden, embedded]))


# Proved as at export, where events leave the static input out.
PROVED = {
    "stack and broadcast": (lambda: build(join_otherwise, None), None),
    "repeated": (lambda: build(repeat, TIMESTEPS), None),
    "index and window": (build_index, 3),
}


@pytest.mark.parametrize("name", PROVED)
def test_every_use_of_it_equals_the_model(name):
    make, window = PROVED[name]
    model = randomise(make())
    wrapped = wrap_model(model, window=window)

    proof = prove_wrapped(model, wrapped)

    assert proof.difference <= TOLERANCE


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model and a client of the service that runs its programs."""
    few = partial(export_programs, forms=FORMS)
    folder = tmp_path_factory.mktemp("statics")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_keras, "export_programs", few)
        model, version = publish(folder, NAME, build(join, None), compiled=True)
    assert load_model(version, 1).runtime.name == "litert"
    return model, serve(version)


def write(k, **static):
    return {"sensors": EVENTS[k], **(static if k == 0 else {})}


def assert_near(answer, expected):
    for name, output in expected.items():
        np.testing.assert_allclose(answer[name], output, atol=TOLERANCE)


def test_value_of_the_first_event_counts_for_all(served):
    model, client = served
    rows = [write(k, age=AGE) for k in range(TIMESTEPS)]

    for k, row in enumerate(rows):
        answer = ask(client, NAME, {"sequence": [row], "session": "one"})
        assert_near(answer, predict(model, EVENTS[: k + 1], AGE))

    whole = ask(client, NAME, {"sequence": rows, "session": "whole"})
    assert_near(whole, predict(model, EVENTS, AGE))


def test_newest_value_counts_from_then_on(served):
    model, client = served
    later = [1.0, 2.0]
    rows = [write(0, age=AGE), {"sensors": EVENTS[1], "age": later}, write(2)]

    answer = ask(client, NAME, {"sequence": rows, "session": "new"})

    expected = predict(model, EVENTS[:3], later)["joined"]
    np.testing.assert_allclose(answer["joined"], expected, atol=TOLERANCE)


@pytest.mark.parametrize("session", [{}, {"session": "none"}, {"memory": None}])
def test_first_event_without_it_is_refused(served, session):
    problem = ask(
        served[1],
        NAME,
        {"sequence": [write(1), write(2)], **session},
        status=400,
    )

    assert "sequence[0] lacks age" in problem["error"]
    assert "Send age with the first event" in problem["error"]


def test_inputs_of_the_model_itself_are_taken(served):
    model, client = served
    expected = predict(model, EVENTS, AGE)
    row = {"sensors": EVENTS, "age": AGE}

    bare = ask(client, NAME, row)
    columns = {"inputs": {key: [value] for key, value in row.items()}}
    laid = client.post(f"/v1/models/{NAME}:predict", json=columns).json["outputs"]

    assert_near(bare, expected)
    assert_near({name: rows[0] for name, rows in laid.items()}, expected)


def test_tensors_of_the_open_protocol_are_taken(served):
    model, client = served
    shapes = {"sensors": [1, 2, 2], "age": [1, 2]}
    values = {"sensors": EVENTS[:2], "age": AGE}

    def infer(names, events, **parameters):
        values["sensors"] = events
        inputs = [
            {"name": n, "datatype": "FP32", "shape": shapes[n], "data": values[n]}
            for n in names
        ]
        body = {"inputs": inputs, "parameters": parameters}
        return client.post(f"/v2/models/{NAME}/infer", json=body)

    first = infer(["sensors", "age"], EVENTS[:2], sequence_id=9, sequence_start=True)
    second = infer(["sensors"], EVENTS[2:], sequence_id=9)
    lacking = infer(["sensors"], EVENTS[2:])

    assert first.status_code == 200, first.text
    expected = predict(model, EVENTS, AGE)
    assert_near({x["name"]: x["data"] for x in second.json["outputs"]}, expected)
    assert lacking.status_code == 400
    assert "lacks age" in lacking.text


def test_last_event_is_shown_as_it_was_sent(served):
    _, client = served
    for k in (0, 1):
        ask(client, NAME, {"sequence": [write(k, age=AGE)], "session": "shown"})

        shown = client.get(f"/v1/models/{NAME}/sessions/shown").json["last_event"]
        assert shown == write(k, age=AGE)


def test_explanation_knows_the_value(served):
    row = {"sequence": [write(k, age=AGE) for k in range(3)]}

    response = served[1].post(f"/v1/models/{NAME}:explain", json={"instances": [row]})

    assert response.status_code == 200, response.text


def test_index_is_left_out_as_a_vector_is():
    fields = [
        {"name": "sensors", "type": "vector", "size": 2},
        {"name": "kind", "type": "index", "size": 4, "static": True},
    ]
    encoder = build_encoder({"kind": "record", "fields": fields}, max_events=9)

    sequence = encoder.encode([write(0, kind=KIND), write(1)])
    # The input of the model is of shape (batch, 1).
    listed = encoder.encode([write(0, kind=[KIND]), write(1)])

    np.testing.assert_array_equal(sequence[:, 2], [KIND, np.nan])
    np.testing.assert_array_equal(listed, sequence)
    with pytest.raises(InvalidEvent, match="kind may be left out after the first"):
        encoder.encode([{"kind": KIND}])
