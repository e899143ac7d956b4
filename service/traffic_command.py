"""`python -m service traffic`, `promote` and `rollback`: calls of a running service."""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from service.settings import SettingError

COMMANDS = ("traffic", "promote", "rollback")
TIMEOUT_SECONDS = 120.0  # a version may have to be loaded
# Not through a proxy of the environment: it would not know this machine's loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def add_commands(commands: Any) -> None:
    """Describe the commands."""
    traffic = commands.add_parser(
        "traffic", help="show or set on which version new sessions of a model begin"
    )
    promote = commands.add_parser(
        "promote", help="begin all new sessions on the canary, or on a version"
    )
    rollback = commands.add_parser(
        "rollback", help="take the canary back, or else the last promotion"
    )
    for command in (traffic, promote, rollback):
        command.add_argument("model", help="name of a served model")
        command.add_argument(
            "--url", help="where the service is (default: as its settings say)"
        )
        command.add_argument(
            "--key-file", type=Path, metavar="FILE", help="API key of scope admin"
        )
    traffic.add_argument("--stable", type=int, metavar="VERSION")
    for part, text in (
        ("canary", "share of new sessions begins on it"),
        ("shadow", "share of the sessions is followed by it, unseen"),
    ):
        traffic.add_argument(
            f"--{part}", metavar="VERSION=SHARE", help=f"{text}, such as 3=0.05"
        )
    promote.add_argument("version", type=int, nargs="?", help="instead of the canary")


def run_command(arguments: argparse.Namespace, address: str) -> str:
    """Make the call of a command, and return what is in force after it.

    Args:
        arguments: As parsed.
        address: Where the service is, unless the arguments say otherwise.

    Raises:
        SettingError: An argument has no right form, or the call failed.
    """
    method, path, body = build_call(arguments)
    headers = {}
    if arguments.key_file:
        try:
            key = arguments.key_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"--key-file cannot be read: {error}") from None
        headers["Authorization"] = f"Bearer {key}"
    model = quote(arguments.model, safe="")
    url = f"{arguments.url or address}/v1/models/{model}{path}"
    return json.dumps(call(method, url, body, headers))


def build_call(arguments: argparse.Namespace) -> tuple[str, str, dict[str, Any]]:
    """Return method, end of the address and body of a command's call."""
    if arguments.command != "traffic":
        version = getattr(arguments, "version", None)
        body = {} if version is None else {"version": version}
        return "POST", f":{arguments.command}", body
    parts = {
        "stable": arguments.stable,
        "canary": read_part("canary", arguments.canary),
        "shadow": read_part("shadow", arguments.shadow),
    }
    body = {name: part for name, part in parts.items() if part is not None}
    return ("PUT" if body else "GET"), "/traffic", body


def read_part(name: str, text: str | None) -> dict[str, Any] | None:
    """Read a version and its share, written as 3=0.05.

    Raises:
        SettingError: It is not written so.
    """
    if text is None:
        return None
    version, _, share = text.partition("=")
    try:
        return {"version": int(version), "share": float(share)}
    except ValueError:
        raise SettingError(
            f"--{name} is {text!r}; expected VERSION=SHARE. Write such as 3=0.05."
        ) from None


def call(method: str, url: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
    """Call the service.

    Raises:
        SettingError: It does not answer, or refuses; with its words.
    """
    data = None if method == "GET" else json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, data, headers, method=method)
        with OPENER.open(request, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            raise SettingError(read_problem(error)) from None
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{url} does not answer as the service does: {error}. Start it, or name "
            "its address with --url."
        ) from None


def read_problem(error: urllib.error.HTTPError) -> str:
    """Return what a problem document says."""
    try:
        problem = json.load(error)
        return str(problem.get("detail") or problem.get("error") or error)
    except (ValueError, AttributeError):
        return str(error)
