"""The two addresses of the corpus as bare applications, for any server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from tests.framing.cases import PATH, POSTED

Message = dict[str, Any]
PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


def choose_status(method: str, path: str, body: bytes | None) -> int:
    """Return the status for a request; a body that cannot be read is None."""
    if path == PATH:
        return 200 if method == "GET" else 405
    if path != POSTED or method != "POST":
        return 404
    return 200 if (body or b"").replace(b" ", b"") == b"{}" else 400


def wsgi(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as a WSGI application."""
    try:
        body = environ["wsgi.input"].read()
    except OSError:
        body = None
    status = choose_status(environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
    start(f"{status} {PHRASES[status]}", [("Content-Length", "0")])
    return []


async def asgi(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer as an ASGI application."""
    while scope["type"] == "lifespan":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
    if scope["type"] != "http":
        return
    body, has_more = b"", True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    status = choose_status(scope["method"], scope["path"], body)
    length = (b"content-length", b"0")
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": b""})
