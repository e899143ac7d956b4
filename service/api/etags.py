"""Entity tags of sessions, and requests that are conditional on them.

A tag is the store's version of the record and a digest of it. The version alone would
come again when an id is forgotten and begun again; with the digest, which covers the
time it was created at, it does not. Knows the fields `If-Match` and `If-None-Match`
(RFC 9110), parsed; neither Flask nor stores.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import NamedTuple

from flask import Response, request

from service.errors import PreconditionFailed, PreconditionRequired
from service.sessions.preconditions import StoredSession
from service.sessions.record import Session, encode

DIGEST_BYTES = 8
# What a tag of a session's memory in another form than JSON ends with: a strong tag
# stands for the bytes, and both forms are of one state.
FORM_MARK = "+"


def tag_of(stored: StoredSession) -> str:
    """Return the tag of a live session's state; empty without one."""
    if not isinstance(stored.record, Session):
        return ""
    digest = blake2b(encode(stored.record), digest_size=DIGEST_BYTES).hexdigest()
    return f"{stored.version}-{digest}"


class Condition(NamedTuple):
    """Precondition of a request on a session's state (RFC 9110).

    Attributes:
        tags: Tags of `If-Match`; None where it does not say. Weak ones never match.
        is_any: Whether `If-Match` is `*`: any live session.
        is_new: Whether `If-None-Match` is `*`: no live session.
    """

    tags: Collection[str] | None = None
    is_any: bool = False
    is_new: bool = False

    def check(self, stored: StoredSession) -> None:
        """Refuse a state the request is not for.

        Raises:
            PreconditionFailed: It is for another state.
        """
        tag = tag_of(stored)
        if self.is_new and tag:
            raise _failed(
                stored, "the request says If-None-Match: *; the session lives"
            )
        if self.tags is None or (self.is_any and tag):
            return
        if not tag:
            raise _failed(
                stored, "the request says If-Match, and no session lives here"
            )
        if tag not in {sent.partition(FORM_MARK)[0] for sent in self.tags}:
            raise _failed(stored, "the session is in another state than If-Match says")

    def check_replacing(self, stored: StoredSession) -> None:
        """Refuse to replace a live session for who does not say which state of it.

        Raises:
            PreconditionRequired: It is live, and the request has no `If-Match`.
            PreconditionFailed: The request is for another state.
        """
        self.check(stored)
        if isinstance(stored.record, Session) and self.tags is None:
            raise PreconditionRequired(
                f"the session is live, at step {stored.record.step}, and the request "
                "does not say which state of it is to be replaced. Send its ETag in "
                "If-Match, as GET answers it, or If-Match: * to replace any state.",
                step=stored.record.step,
                etag=f'"{tag_of(stored)}"',
            )


def _failed(stored: StoredSession, what: str) -> PreconditionFailed:
    members: dict[str, object] = {}
    if isinstance(stored.record, Session):
        members = {"step": stored.record.step, "etag": f'"{tag_of(stored)}"'}
    return PreconditionFailed(
        f"{what}; nothing was changed. Ask for the session and decide again.", **members
    )


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
