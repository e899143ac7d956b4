"""Answers of the server itself, to what is not a request: problem documents too."""

from __future__ import annotations

import logging
from http import HTTPStatus

from service.api.problems import Answer, answer_problem
from service.errors import InvalidRequest

log = logging.getLogger(__name__)


def refuse(error: Exception, client: object) -> bytes:
    """Log and answer what is not a request, or could be taken for two.

    Args:
        error: Says what is wrong with it.
        client: Its address.
    """
    log.info("refused a request from %s: %s", client, error)
    detail = f"the request is not clear HTTP/1.1: {error} The connection is closed."
    return write_last(answer_problem(InvalidRequest(detail)))


def write_last(answer: Answer) -> bytes:
    """Write an answer after which the connection is closed."""
    status = HTTPStatus(answer.status)
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        f"Content-Type: {answer.mimetype}",
        f"Content-Length: {len(answer.body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + answer.body
