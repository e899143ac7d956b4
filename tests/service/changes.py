"""An engine, and calls that change sessions without an event."""

from service.registry.catalog import Catalog
from service.sessions.version_policy import Policies, Retention
from tests.assembly import build_engine

PATH = "/v1/models/counting/sessions/"


def engine(clock, model):
    """An engine with sessions that keep three earlier memories and their history."""
    retention = Retention(snapshots=3, policies=Policies("replay"))
    return build_engine(clock, retention=retention, catalog=Catalog([model]))


def send(predict):
    """Send events to a session and return the answer's row."""

    def send(session, *events, **options):
        row = {"sequence": list(events), "session": session, **options}
        response = predict(row)
        assert response.status_code == 200, response.get_json()
        return response.get_json()["predictions"][0]

    return send
