"""Every error of the application as a problem document; no trace leaves the service."""

from __future__ import annotations

import logging

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from service import errors
from service.current import services
from service.problems import PROBLEM_JSON, json_response, problem, status_of

# When a full store is worth another try: sweeps free its space every half minute.
RETRY_AFTER_SECONDS = 30
log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(errors.CarryoverError, show_error)
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(Exception, show_crash)


def show_error(error: errors.CarryoverError) -> Response:
    """Answer a refusal."""
    response = json_response(problem(error), status_of(error), PROBLEM_JSON)
    if status_of(error) == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def show_http_error(error: HTTPException) -> Response:
    """Answer what Flask itself refuses, in the service's words."""
    response = show_error(translate(error))
    if error.code == 405:
        response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", ()) or ())
    return response


def translate(error: HTTPException) -> errors.CarryoverError:
    """Find the service's error for one of Flask's."""
    if error.code == 404:
        return errors.NotFound(
            f"nothing is at {request.path[:200]}. The calls are listed in the README; "
            "predictions are at POST /v1/models/<model>:predict."
        )
    if error.code == 405:
        methods = ", ".join(getattr(error, "valid_methods", ()) or ())
        return errors.MethodNotAllowed(
            f"{request.path[:200]} does not take {request.method}; it takes {methods}."
        )
    if error.code == 413:
        limit = services().settings.max_body_bytes
        return errors.BodyTooLarge(
            f"the body is longer than {limit} bytes. Split the rows over several "
            "requests; sessions carry the memory across them.",
            max_body_bytes=limit,
        )
    return errors.InvalidRequest(f"the request cannot be read: {error.description}")


def show_crash(error: Exception) -> Response:
    """Answer a defect of the service; its details are for the log only."""
    log.error("unexpected error", exc_info=error)
    return show_error(
        errors.CarryoverError(
            "the service failed in a way it should not have; the memory is as it was, "
            "or one step on: ask GET /v1/models/<model>/sessions/<id>. The log of the "
            "service has the details under this request's id."
        )
    )
