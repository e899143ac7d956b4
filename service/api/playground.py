"""`/playground`: the page that shows a network remember, and the files it loads.

The page reaches no other host, and neither evaluates text nor has inline styles.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as Redirect

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOLDER = Path(__file__).parents[1] / "playground"
FILES = {
    path.relative_to(FOLDER).as_posix(): path
    for path in FOLDER.rglob("*")
    if path.is_file()
}
# Python reads the system's table of types too, where a script may be plain text.
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

blueprint = Blueprint("playground", __name__)


@blueprint.get("/playground")
def page() -> Response | Redirect:
    """Show the playground."""
    # The page's addresses are relative, so that it works under a proxy's prefix.
    if request.path.endswith("/"):
        return redirect("../playground")
    return send("index.html")


@blueprint.get("/playground/<path:name>")
def file(name: str) -> Response:
    """Send a file of the page: a module, a style sheet."""
    return send(name)


def send(name: str) -> Response:
    """Send a file of the folder; a browser asks each time whether it changed."""
    path = FILES.get(name)
    if path is None:
        abort(404)
    guessed = mimetypes.guess_type(name)[0]
    response = Response(
        path.read_bytes(), mimetype=TYPES.get(path.suffix, guessed or "text/plain")
    )
    response.cache_control.no_cache = True
    response.add_etag()
    response.make_conditional(request)
    return response


def accepts_page() -> bool:
    """Return whether the client prefers a page to JSON, as browsers do."""
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


@blueprint.after_request
def restrict(response: Response) -> Response:
    """Keep the page from reaching other hosts."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
