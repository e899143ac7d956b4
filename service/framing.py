"""Where a request ends: refused where its headers leave two answers to that.

A proxy in front may take one and this server the other, and what one takes for a body
the other takes for the next request (request smuggling; RFC 9112, sections 6.1, 6.3).
"""

from __future__ import annotations

from email.message import Message


def check_framing(headers: Message) -> None:
    """Refuse headers that say twice, or unclearly, how long the body is.

    Raises:
        ValueError: They do.
    """
    codings = headers.get_all("Transfer-Encoding", [])
    lengths = headers.get_all("Content-Length", [])
    if len(codings) + len(lengths) > 1:
        raise ValueError(
            f"the request has {len(codings)} Transfer-Encoding and {len(lengths)} "
            "Content-Length headers; expected one of one kind."
        )
    if codings and codings[0].strip().lower() != "chunked":
        raise ValueError(
            f"Transfer-Encoding is {codings[0][:40]!r}; expected chunked or none."
        )
