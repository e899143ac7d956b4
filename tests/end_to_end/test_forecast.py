"""`:forecast` of real exported networks, against the live ones."""

from itertools import product

import numpy as np
import pytest

from tests import networks
from tests.exported import CELLS

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

TOLERANCE = 1e-5
HISTORY = [0, 3, 1, 2]
HORIZON = 3


def names(sequence):
    return [networks.VOCABULARY[k] for k in sequence]


@pytest.mark.parametrize("cell", CELLS)
def test_most_probable_path_is_the_best_the_live_network_has(server, exported, cell):
    paths = list(product(range(len(networks.VOCABULARY)), repeat=HORIZON))
    batch = np.array([[*HISTORY, *path] for path in paths], "int32")
    ahead = exported[1][f"next-{cell}"](batch).numpy()[:, len(HISTORY) - 1 : -1]
    each = np.take_along_axis(ahead, np.array(paths)[..., None], axis=-1)[..., 0]
    best = each.prod(axis=1).argmax()
    session = {"sequence": names(HISTORY), "session": f"forecast-{cell}"}
    server.predict(f"next-{cell}", session)

    response = server.post(
        f"next-{cell}",
        "forecast",
        {
            "instances": [names(HISTORY), {"session": session["session"]}],
            "horizon": HORIZON,
            "beams": 125,
        },
    )

    assert response.status_code == 200, response.text
    for answer in response.json()["predictions"]:
        assert answer["path"]["events"] == names(paths[best])
        got = answer["path"]["probabilities"]
        np.testing.assert_allclose(got, each[best], atol=TOLERANCE)


def test_series_says_that_predict_is_its_forecast(server):
    events = [{"time": "2014-07-01T00:00:00", "value": 1.0}]

    response = server.post("series", "forecast", {"instances": [events], "horizon": 2})

    assert response.status_code == 400
    assert response.json()["code"] == "cannot_forecast"
