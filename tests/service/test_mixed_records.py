"""Mixed records and quantiles over HTTP, with a network one can do by hand."""

import numpy as np
import pytest

from service.registry.artifact import Manifest
from service.registry.backends.base import Plan
from service.registry.catalog import Model
from service.registry.encoding.events import build_encoder
from tests.assembly import serve
from tests.problems import assert_problem

SHOP = {
    "kind": "record",
    "fields": [
        {"name": "weather", "type": "category", "vocabulary": ["rain", "sun"]},
        {"name": "guests", "type": "number"},
    ],
}
FORECAST = {
    "kind": "forecast",
    "name": "forecast",
    "field": "guests",
    "horizon": 2,
    "quantiles": [0.1, 0.5, 0.9],
}
RAIN, SUN = {"weather": "rain", "guests": 3}, {"weather": "sun", "guests": 4}


class SummingRuntime:
    """Memory sums guests; the quantiles are the sum, one more per step and level."""

    name = "summing"

    def plan(self, signature, remaining):
        return Plan(len(remaining), min(remaining))

    def run(self, signature, tensors):
        sequence, memory = tensors["sequence"], tensors["short_term_0"]
        sums = memory + np.cumsum(sequence[..., 1] * sequence[..., 0], axis=1)
        ahead = np.arange(2)[:, None] + np.arange(3)  # (horizon, quantiles)
        last = np.take_along_axis(sums, tensors["length"][:, None] - 1, axis=1)
        forecast = sums[..., None, None] + ahead
        return {"forecast": forecast.astype("float32"), "short_term_0": last}


@pytest.fixture
def predict(engine):
    manifest = Manifest(
        format=1,
        name="shop",
        version=1,
        task="forecast",
        cell="rnn",
        units=[1],
        input=SHOP,
        output=FORECAST,
        memory={"short_term_0": [1]},
        network="cd" * 32,
        files={},
    )
    encoder = build_encoder(SHOP, max_events=10)
    client = serve([Model(manifest, SummingRuntime(), encoder)], engine=engine)

    def send(*instances, **body):
        body = {"instances": list(instances), **body}
        return client.post("/v1/models/shop:predict", json=body)

    return send


def test_quantiles_are_nested_lists_named_once(predict):
    answer = predict([RAIN, SUN], [SUN, SUN]).json

    assert answer["quantiles"] == [0.1, 0.5, 0.9]
    assert answer["predictions"] == [
        [[4.0, 5.0, 6.0], [5.0, 6.0, 7.0]],
        [[8.0, 9.0, 10.0], [9.0, 10.0, 11.0]],
    ]
    assert "labels" not in answer


def test_all_timesteps_are_one_list_more(predict):
    answer = predict({"sequence": [RAIN, SUN], "session": "a"}, **{"return": "all"})

    (row,) = answer.json["predictions"]
    assert np.shape(row["forecast"]) == (2, 2, 3)


def test_mixed_records_are_remembered(predict):
    predict({"sequence": [SUN], "session": "a"})

    (row,) = predict({"sequence": [RAIN, SUN], "session": "a"}).json["predictions"]

    assert row["forecast"][0] == [8.0, 9.0, 10.0]
    assert row["step"] == 3


def test_unknown_category_is_a_problem_of_its_row(predict):
    response = predict([{**SUN, "weather": "snow"}])

    assert_problem(response, 400, "unknown_event")
    detail = response.json["detail"]
    assert "instances[0]: sequence[0].weather is 'snow'" in detail
    assert "It knows rain, sun" in detail
