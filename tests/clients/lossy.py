"""The service's application in this process, over a transport that loses answers."""

import httpx
from carryover_client import CarryoverError

from service.sessions.version_policy import Retention
from tests import assembly
from tests.fakes import counting_model
from tests.keys import NO_KEYS
from tests.service.test_forecast import markov_model

URL = "http://service"


class LossyTransport(httpx.BaseTransport):
    """Carries requests to the application, and loses answers on request.

    Attributes:
        requests: Every request that reached the service.
        num_lost: Number of answers that are still to be lost.
    """

    def __init__(self, app):
        self.inner = httpx.WSGITransport(app)
        self.requests, self.num_lost = [], 0

    def handle_request(self, request):
        self.requests.append(request)
        response = self.inner.handle_request(request)
        if self.num_lost:
            self.num_lost -= 1
            raise httpx.ReadError("the connection was reset", request=request)
        return response


def build_app(clock, tenants=NO_KEYS):
    """The application over the counting model and one that can forecast."""
    return assembly.build_app(
        [counting_model(max_events=2000), markov_model()],
        clock=clock,
        tenants=tenants,
        retention=Retention(snapshots=3),
    )


def outcome(status, text="", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(
        status, text=text, headers=names, request=httpx.Request("GET", URL)
    )


def waits_of(client, outcomes, *, is_safe=True):
    """Seconds a call waits between its tries, and the error it ends with."""
    work = client._attempt(httpx.Request("GET", URL), is_safe)
    waits = [next(work)[0]]
    try:
        for outcome in outcomes:
            waits.append(work.send(outcome)[0])
    except (CarryoverError, StopIteration) as end:
        return waits, end
    return waits, None
