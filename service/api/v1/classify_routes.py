"""`:classify` and `:regress`: calls of TensorFlow Serving that are left out here."""

from __future__ import annotations

from typing import NoReturn

from flask import Blueprint

from service.api.openapi import describes
from service.api.v1.predict_routes import PATHS
from service.errors import NotServed

blueprint = Blueprint("classify", __name__)

NOT_SERVED = (
    "{verb} takes tf.Example protocol buffers, which this service does not serve. Send "
    "the same events to :predict; top and threshold name the labels."
)


@blueprint.post(PATHS[0].format(verb="classify"))
@blueprint.post(PATHS[1].format(verb="classify"))
@blueprint.post(PATHS[2].format(verb="classify"))
@describes("predict", "any", errors=[NotServed])
def classify(
    name: str, version: int | None = None, label: str | None = None
) -> NoReturn:
    """Refuse TensorFlow Serving's call for tf.Example, and name the one to use."""
    raise NotServed(NOT_SERVED.format(verb="classify"))


@blueprint.post(PATHS[0].format(verb="regress"))
@blueprint.post(PATHS[1].format(verb="regress"))
@blueprint.post(PATHS[2].format(verb="regress"))
@describes("predict", "any", errors=[NotServed])
def regress(
    name: str, version: int | None = None, label: str | None = None
) -> NoReturn:
    """Refuse TensorFlow Serving's call for tf.Example, and name the one to use."""
    raise NotServed(NOT_SERVED.format(verb="regress"))
