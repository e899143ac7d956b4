"""Fast path of the hot calls, `:predict` of /v1 and `infer` of /v2, without Flask.

Without routing, contexts and response objects of Flask a request of one event takes
less time (docs/explanation/decisions/fast-path.md). What is done is the same: the same
tenants, dialect, engine, errors, log line and metrics, by the same functions. Every
other request continues to Flask.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from service.api.access_log import choose_id, list_phases, log_request, name_request
from service.api.body import CLAIM, read_body, release_body, reserve
from service.api.problems import Answer, answer_problem
from service.api.v1.predict import PredictRequest, answer_predict
from service.api.v2.infer import InferRequest, Parts, answer_infer
from service.common.value import Value
from service.engine.job import Timings
from service.errors import CarryoverError
from service.registry.catalog import Model
from service.telemetry import tracing
from service.telemetry.request_record import RequestRecord

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from service.api.context import Services

# A version or label that is written in another way continues to Flask.
MODEL, VERSION = r"(?P<name>[^/:]+)", r"/versions/(?P<version>[0-9]{1,18})"
LABEL = r"/labels/(?P<label>[^/:]+)"
PREDICT = re.compile(rf"/v1/models/{MODEL}(?:{VERSION}|{LABEL})?:predict")
INFER = re.compile(rf"/v2/models/{MODEL}(?:{VERSION})?/infer")
# By call, and by what its address names last.
ROUTES = {
    (PREDICT, "name"): "/v1/models/<model:name>:predict",
    (PREDICT, "version"): "/v1/models/<model:name>/versions/<version:version>:predict",
    (PREDICT, "label"): "/v1/models/<model:name>/labels/<label:label>:predict",
    (INFER, "name"): "/v2/models/<model:name>/infer",
    (INFER, "version"): "/v2/models/<model:name>/versions/<version:version>/infer",
}
STATUS_LINES = {int(status): f"{int(status)} {status.phrase}" for status in HTTPStatus}


class Target(Value, frozen=True):
    """Parsed address of a hot call: call, route, model, and version if any."""

    call: re.Pattern[str]
    route: str
    model: Model
    version: int | None


class Sent(list[bytes]):
    """A body that logs its request when it is sent: no client waits for the log.

    Attributes:
        close: Logs the request; the server calls it at the end in any case.
    """

    close: Callable[[], None]


class FastPath:
    """A WSGI application in front of Flask's.

    Args:
        app: Flask's, for all but the hot calls.
        services: What the call works with.
        crash: What to answer to a defect of the service.
    """

    def __init__(
        self,
        app: WSGIApplication,
        services: Services,
        crash: Callable[[Exception, str], Answer],
    ) -> None:
        self._app = app
        self._services = services
        self._crash = crash

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request, or pass it on."""
        path = environ["PATH_INFO"]
        found = PREDICT.fullmatch(path) or INFER.fullmatch(path)
        if (
            found is None
            or environ["REQUEST_METHOD"] != "POST"
            or ("%" in environ.get("RAW_URI", "") and has_encoded_slash(environ))
        ):
            return self._app(environ, start_response)
        began = time.perf_counter()
        try:
            target = self._find(found)
        except (CarryoverError, OSError):  # Flask's way answers the error
            return self._app(environ, start_response)
        request_id = choose_id(environ.get("HTTP_X_REQUEST_ID", ""))
        timings = None if tracing.running is None else Timings()
        answer = self._answer(environ, target, request_id, timings)
        limiter = self._services.limiter
        if limiter is not None:
            answer.headers.update(limiter.finish(environ))
        manifest = target.model.manifest
        record = RequestRecord(
            request_id,
            time.perf_counter() - began,
            "POST",
            target.route,
            manifest.name,
            manifest.version,
            answer.num_rows,
            answer.status,
            answer.code,
            environ.get("HTTP_TRACEPARENT", ""),
            phases=None if timings is None else list_phases(timings),
        )
        headers = [
            ("Content-Type", answer.mimetype),
            ("Content-Length", str(len(answer.body))),
            *answer.headers.items(),
        ]
        if record.traceparent:
            headers += name_request(record).items()
        else:
            headers.append(("X-Request-Id", request_id))
        start_response(STATUS_LINES[answer.status], headers)
        sent = Sent((answer.body,))
        sent.close = partial(log_request, record)
        return sent

    def _find(self, found: re.Match[str]) -> Target:
        by = found.lastgroup or "name"
        version = label = None
        if by == "version":
            version = int(found[by]) or None  # 0 is the default one, as OpenVINO has it
        elif by == "label":
            label = found[by]
        if label is None:
            model = self._services.catalog.find(found["name"], version)
        else:
            model = self._services.find_model(found["name"], version, label)
        if label is not None:
            version = model.manifest.version
        return Target(found.re, ROUTES[found.re, by], model, version)

    def _answer(
        self,
        environ: Any,
        target: Target,
        request_id: str,
        timings: Timings | None,
    ) -> Answer:
        try:
            tenant = self._services.tenants.identify(environ, "predict")
            here = self._services
            if here.limiter is not None:
                here.limiter.begin(environ, tenant)
            most = here.settings.max_body_bytes
            data = read_body(environ, most, here.bodies, tenant)
            if target.call is INFER:
                return self._infer(environ, target, tenant, data, timings)
            asked = PredictRequest(
                target.model,
                "advance",
                tenant,
                target.version,
                environ.get("HTTP_IDEMPOTENCY_KEY"),
                timings,
            )
            return answer_predict(here.engine, here.settings, asked, data)
        except CarryoverError as error:
            return answer_problem(error)
        except Exception as error:
            return self._crash(error, request_id)
        finally:
            if CLAIM in environ:
                release_body(environ)

    def _infer(
        self,
        environ: Any,
        target: Target,
        tenant: str,
        data: bytes,
        timings: Timings | None,
    ) -> Answer:
        services = self._services
        asked = InferRequest(
            model=target.model,
            tenant=tenant,
            version=target.version,
            key=environ.get("HTTP_IDEMPOTENCY_KEY"),
            header_length=environ.get("HTTP_INFERENCE_HEADER_CONTENT_LENGTH"),
            coding=environ.get("HTTP_CONTENT_ENCODING", ""),
            accepted=environ.get("HTTP_ACCEPT_ENCODING", ""),
            reserve=partial(reserve, environ, services.bodies, tenant),
            timings=timings,
        )
        parts = Parts(services.engine, services.settings, services.statistics)
        return answer_infer(parts, asked, data)


def has_encoded_slash(environ: dict[str, Any]) -> bool:
    """Return whether the path was sent with an encoded slash."""
    return "%2f" in environ.get("RAW_URI", "").partition("?")[0].lower()
