"""Sessions of real networks when a retrained one is served."""

import numpy as np
import pytest

from service.engine.rows import Row
from service.registry.catalog import Catalog, load_model
from service.sessions.version_policy import Policies, Retention
from tests import networks
from tests.assembly import build_engine
from tests.exported import export_model

pytestmark = pytest.mark.tensorflow

TOLERANCE = 1e-5
EVENTS = networks.random_events(1, 9, seed=8)[0]
# One row at a time; the other programs are tested elsewhere.
ONE_ROW = (("advance", 1, 1),)


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Two versions with other weights: their folder and the live networks."""
    folder = tmp_path_factory.mktemp("versions")
    schemas = networks.EVENTS, networks.NEXT_EVENT
    live = [
        export_model(
            folder, "days", *schemas, version=version, seed=version, forms=ONE_ROW
        )
        for version in (1, 2)
    ]
    models = [load_model(folder / "days" / n, max_events=50) for n in ("1", "2")]
    return Catalog(models), live


@pytest.mark.parametrize(("policy", "answers_as"), [("pin", 0), ("replay", 1)])
def test_session_continues_as_its_policy_says(versions, policy, answers_as):
    catalog, live = versions
    engine = build_engine(
        retention=Retention(policies=Policies(policy)), catalog=catalog
    )
    engine.advance(catalog.find("days", 1), [Row(EVENTS[:4], session="s")], tenant="")
    engine.advance(catalog.find("days", 1), [Row(EVENTS[4:6], session="s")], tenant="")

    (outcome,) = engine.advance(
        catalog.find("days"), [Row(EVENTS[6:], session="s")], tenant=""
    )

    expected = live[answers_as](EVENTS[None]).numpy()[0, 6:]
    other = live[1 - answers_as](EVENTS[None]).numpy()[0, 6:]
    got = outcome.outputs["probabilities"]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)
    assert np.abs(got - other).max() > 100 * TOLERANCE
    assert (outcome.step, outcome.version) == (9, answers_as + 1)
    assert outcome.is_continued
    surprise = -np.log(live[answers_as](EVENTS[None]).numpy()[0, 5, EVENTS[6]])
    np.testing.assert_allclose(outcome.outputs["surprise"][0], surprise, atol=1e-4)
