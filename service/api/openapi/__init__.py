"""The OpenAPI document: described next to the routes, generated from what validates.

A view says with `describes` what it takes and answers, as the structs that check it;
`build_document` joins that with the application's own routes.
"""

from service.api.openapi.document import build_document
from service.api.openapi.operation import (
    OPERATIONS,
    PAGES,
    Access,
    Example,
    Parameter,
    describes,
)

__all__ = [
    "OPERATIONS",
    "PAGES",
    "Access",
    "Example",
    "Parameter",
    "build_document",
    "describes",
]
