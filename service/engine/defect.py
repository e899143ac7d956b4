"""A defect of the service: logged once with its trace, answered without one."""

from __future__ import annotations

import logging

from service.errors import CarryoverError

log = logging.getLogger(__name__)


def log_defect(work: str) -> CarryoverError:
    """Log the exception being handled, and return what its rows answer.

    Args:
        work: What failed, for the log.
    """
    log.exception("%s failed; its rows answer 500, all others continue", work)
    return defect_error()


def defect_error() -> CarryoverError:
    """Return the error of a row that a defect of the service left without a result."""
    return CarryoverError(
        "the service failed in a way it should not have; the session is where it was "
        "or past the row: ask GET /v1/models/<model>/sessions/<id>."
    )
