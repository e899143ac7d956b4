"""Answers as Flask's responses; every error of the application is a problem document.

No trace leaves the service.
"""

from __future__ import annotations

import logging
from typing import Any

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from service import errors
from service.api.context import services
from service.api.problems import JSON, TOO_LARGE, Answer, answer_problem

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(errors.CarryoverError, problem_response)
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(Exception, show_crash)


def show_http_error(error: HTTPException) -> Response:
    """Answer what Flask itself refuses, in the service's words."""
    response = problem_response(translate(error))
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.valid_methods or ())
    return response


def translate(error: HTTPException) -> errors.CarryoverError:
    """Find the service's error for one of Flask's."""
    if isinstance(error, NotFound):
        return translate_not_found()
    if isinstance(error, MethodNotAllowed):
        methods = ", ".join(error.valid_methods or ())
        return errors.MethodNotAllowed(
            f"{request.path[:200]} does not take {request.method}; it takes {methods}.",
            error=malformed_request(request.method, request.path[:200]),
        )
    if isinstance(error, RequestEntityTooLarge):
        limit = services().settings.max_body_bytes
        return errors.BodyTooLarge(TOO_LARGE.format(limit=limit), max_body_bytes=limit)
    return errors.InvalidRequest(f"the request cannot be read: {error.description}")


def translate_not_found() -> errors.CarryoverError:
    """Find the error for an address of nothing; under /v1, TensorFlow Serving's."""
    detail = (
        f"nothing is at {request.path[:200]}. The calls are listed at /docs; "
        "predictions are at POST /v1/models/<model>:predict."
    )
    if request.path.startswith("/v1/"):
        text = malformed_request(request.method, request.path[:200])
        return errors.MalformedRequest(detail, error=text)
    return errors.NotFound(detail)


def show_crash(error: Exception) -> Response:
    """Answer a defect of the service, through Flask."""
    return respond(answer_crash(error, g.request_id))


def answer_crash(error: Exception, request_id: str) -> Answer:
    """Answer a defect of the service; its details are for the log only."""
    return answer_problem(log_crash(error, request_id))


def log_crash(error: Exception, request_id: str) -> errors.CarryoverError:
    """Log a defect of the service, and return the error for clients."""
    log.error("unexpected error in request %s", request_id, exc_info=error)
    return errors.CarryoverError(
        "the service failed in a way it should not have; each session is where it "
        "was or past its row: ask GET /v1/models/<model>/sessions/<id>. The log of "
        "the service has the details under this request's id."
    )


def respond(answer: Answer) -> Response:
    """Make an answer Flask's response, and note for the log what it says."""
    response = Response(answer.body, answer.status, mimetype=answer.mimetype)
    response.headers.update(answer.headers)
    g.code = answer.code
    if answer.num_rows is not None:
        g.rows = answer.num_rows
    return response


def problem_response(*failures: errors.CarryoverError) -> Response:
    """Answer a request that failed, through Flask."""
    return respond(answer_problem(*failures))


def json_response(body: Any, status: int = 200, mimetype: str = JSON) -> Response:
    """Write a JSON answer."""
    data = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    return Response(data, status, mimetype=mimetype)


def malformed_request(method: str, path: str) -> str:
    """Say what TensorFlow Serving says to an address it does not know."""
    return f"Malformed request: {method} {path}"
