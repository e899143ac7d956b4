"""The service's application in this process, over a transport that loses answers."""

import time
from types import SimpleNamespace
from unittest.mock import patch

import carryover_client
import httpx
from carryover_client import CarryoverError, Client

from service.sessions.version_policy import Retention
from tests import assembly
from tests.fakes import counting_model
from tests.keys import NO_KEYS
from tests.service.markov import markov_model

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


class Exhausted(Exception):
    """A call asks for one more outcome than it was given."""


def waits_of(outcomes, *, is_safe=True, **options):
    """Seconds a call waits between its tries, and the error it ends with.

    Args:
        outcomes: What each request gets: an answer, or an error of the network.
        is_safe: Whether the call may be repeated although it may be applied.
        **options: Options of the client.

    Returns:
        The seconds before each request, and the error; None after an answer, and
        `Exhausted` where the call would ask again.
    """
    waits, left = [], iter(outcomes)

    def reply(request):
        for given in left:
            if isinstance(given, Exception):
                raise given
            return given
        raise Exhausted

    # The waits alone: the module reads the time of day by `time` too.
    clock = SimpleNamespace(time=time.time, sleep=waits.append)
    row = {"sequence": ["red"], "session": "s"}
    with (
        patch.object(carryover_client, "time", clock),
        Client(URL, transport=httpx.MockTransport(reply), **options) as client,
    ):
        try:
            if is_safe:
                client.get("models")
            else:
                client.predict("counting", [row], key="")
        except (CarryoverError, Exhausted) as end:
            return waits, end
    return waits, None
