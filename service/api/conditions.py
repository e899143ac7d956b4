"""The conditions and the query of the current request, as Flask has parsed them."""

from __future__ import annotations

from collections.abc import Collection

from flask import Response, request

from service.api.etags import Condition
from service.errors import InvalidRequest, UnknownField


def read_condition() -> Condition:
    """Read `If-Match`, and `If-None-Match: *`."""
    if "If-Match" not in request.headers:
        return Condition(None, False, request.if_none_match.star_tag)
    match = request.if_match
    # What is not in quotation marks comes as None: no tag, and none that matches.
    tags = {tag for tag in match.as_set() if tag}
    return Condition(tags, match.star_tag, request.if_none_match.star_tag)


def answer_unless_known(response: Response) -> Response:
    """Answer 304 without a body to who has this state already (`If-None-Match`)."""
    tag, _ = response.get_etag()
    if tag is not None and request.if_none_match.contains_weak(tag):
        response.status_code = 304
        response.set_data(b"")
    return response


def read_query(*known: str) -> dict[str, str]:
    """Read the query of the address.

    Raises:
        UnknownField: It has a parameter this call does not know, or one twice.
    """
    for name, values in request.args.lists():
        if name not in known:
            raise UnknownField(
                f"the address has an unknown parameter {name[:80]!r}; this call takes "
                f"{', '.join(known) or 'none'}."
            )
        if len(values) > 1:
            raise InvalidRequest(f"the address has {name} {len(values)} times; send 1.")
    return request.args.to_dict()


def read_flag(query: dict[str, str], name: str) -> bool:
    """Read a parameter that is true or false; false where it is left out.

    Raises:
        InvalidRequest: It is another word.
    """
    words: Collection[str] = ("true", "false")
    if (word := query.get(name, "false")) not in words:
        raise InvalidRequest(f"{name} is {word[:80]!r}; expected true or false.")
    return word == "true"
