"""Start the service and say where it is: `python -m service [--help]`.

`python -m service key TENANT [--scope SCOPE] [--expires TIME]` makes an API key.
`python -m service promote MODEL` and `rollback MODEL` decide about a canary.

Starts gunicorn with `service.gunicorn_config`, waits until it is ready, prints the
address and a first call to try. A container runs gunicorn itself.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from service import traffic_command
from service.api.api_keys import (
    NEVER,
    SCOPES,
    USUAL_SCOPES,
    add_key,
    check_keys_file,
    parse_expiry,
)
from service.registry.artifact import find_versions
from service.settings import SettingError, Settings, describe_settings, read_settings

COMMAND = ("gunicorn", "-c", "python:service.gunicorn_config", "service.wsgi:app")
READY_SECONDS = 120.0
COPY_HELP = "a new directory, to copy what can be read into"
# <linux/prctl.h>: the signal a process gets when its parent ends.
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.1
POLL_TIMEOUT_SECONDS = 5.0
# Not through a proxy of the environment: it would not know this machine's loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> int:
    """Run the service until it is stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve the models of CARRYOVER_MODELS over HTTP.",
        epilog="settings (environment variables):\n\n" + describe_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    key = commands.add_parser("key", help="make an API key, and print it once")
    key.add_argument("tenant", help="owner of the key: letters, digits, dots, - and _")
    key.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="what the key allows, and nothing else; may be repeated (default: "
        "predict and sessions)",
    )
    key.add_argument(
        "--expires",
        metavar="TIME",
        help="from when the key is refused: 2027-01-31 or 2027-01-31T12:00:00Z",
    )
    check = commands.add_parser("check-store", help="check the store of sessions")
    check.add_argument("--copy-to", type=Path, metavar="PATH", help=COPY_HELP)
    traffic_command.add_commands(commands)
    arguments = parser.parse_args()
    try:
        settings = read_settings(os.environ)
        if arguments.command in traffic_command.COMMANDS:
            print(traffic_command.run_command(arguments, address(settings)))
            return 0
        if arguments.command == "check-store":
            return check_memory(settings, arguments.copy_to)
        if arguments.command == "key":
            return make_key(
                settings, arguments.tenant, arguments.scope, arguments.expires
            )
        check_memory_address(settings)
        check_keys(settings)
        check_models(settings)
        check_port(settings)
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return run(settings)


def make_key(
    settings: Settings, tenant: str, scopes: list[str] | None, expires: str | None
) -> int:
    """Add a key of a tenant to the API keys file, and print it.

    Raises:
        SettingError: There is no such file to be, no such tenant or no such time.
    """
    if not settings.api_keys_file:
        raise SettingError(
            "CARRYOVER_API_KEYS_FILE is not set; set it to the file the service is to "
            "read its keys from, such as var/api.keys."
        )
    try:
        expires_at = read_expiry(expires)
        path = Path(settings.api_keys_file)
        print(add_key(path, tenant, scopes or USUAL_SCOPES, expires_at))
    except (ValueError, OSError) as error:
        raise SettingError(str(error)) from None
    print(
        f"added to {settings.api_keys_file}; the key is shown this once. A "
        "service that runs takes it within a second.",
        file=sys.stderr,
    )
    return 0


def check_memory(settings: Settings, copy_to: Path | None) -> int:
    """Check the store of sessions, and copy what can be read.

    Raises:
        SettingError: It is another kind of store, is in use, or cannot be read at all.
    """
    from service.sessions.check_store import check_store, find_path, print_report

    try:
        report = check_store(find_path(settings.memory), copy_to)
    except (ValueError, OSError) as error:
        raise SettingError(str(error)) from None
    return print_report(report, copy_to, print)


def check_memory_address(settings: Settings) -> None:
    """Refuse an address of a store that no start can make right.

    Raises:
        SettingError: It is one.
    """
    from service.stores.schemes import check_address

    try:
        check_address(settings.memory)
    except ValueError as error:
        raise SettingError(f"CARRYOVER_MEMORY: {error}") from None


def read_expiry(text: str | None) -> float:
    """Read when a new key expires.

    Raises:
        ValueError: It is not a time, or in the past.
    """
    if text is None:
        return NEVER
    expires_at = parse_expiry(text)
    if expires_at <= time.time():
        raise ValueError(
            f"expires is {text}, which is past; expected a time to come. Name a "
            "later one."
        )
    return expires_at


def check_keys(settings: Settings) -> None:
    """Refuse to start with an API keys file that cannot be read.

    Raises:
        SettingError: It cannot be read. A line of another form costs its own key only;
            the workers log it.
    """
    try:
        if settings.api_keys_file:
            check_keys_file(settings.api_keys_file)
    except ValueError as error:
        raise SettingError(str(error)) from None


def check_models(settings: Settings) -> None:
    """Refuse to start with nothing to serve.

    Raises:
        SettingError: No folder under `models` holds a version.
    """
    logging.basicConfig(level=logging.ERROR)  # one sentence is enough
    if not list(find_versions(Path(settings.models))):
        raise SettingError(
            f"no model is in CARRYOVER_MODELS={settings.models!r}. Train one: make "
            "train CONFIG=training/configs/nature.toml"
        )


def check_port(settings: Settings) -> None:
    """Refuse a port that another program listens on.

    Raises:
        SettingError: The port cannot be bound.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingError(
                f"port {settings.port} of {settings.host} cannot be listened on: "
                f"{error.strerror}. Choose another: make serve PORT=8081, or "
                "CARRYOVER_PORT=8081."
            ) from None


def run(settings: Settings) -> int:
    """Start gunicorn, announce it when ready, and stay until it ends."""
    print("starting the service ...", flush=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    # In a session of its own, so that Ctrl-C reaches this process only: gunicorn then
    # gets SIGTERM, on which it lets requests under way finish (SIGINT cuts them off).
    server = subprocess.Popen(
        [sys.executable, "-m", *COMMAND],
        start_new_session=True,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    try:
        if wait_until_ready(server, settings):
            print(announcement(settings), flush=True)
        return server.wait()
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # once is enough
        server.terminate()
        server.wait()
        print("stopped; the sessions are kept")
        return 0


def die_with_parent(parent: int) -> None:
    """Ask Linux to stop this process when its parent is killed.

    Args:
        parent: The parent's process id; it may have been killed already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def interrupt(signum: int, frame: object) -> NoReturn:
    """Treat SIGTERM and a closed terminal as Ctrl-C.

    Raises:
        KeyboardInterrupt: Always.
    """
    raise KeyboardInterrupt


def wait_until_ready(server: subprocess.Popen[bytes], settings: Settings) -> bool:
    """Wait for the first healthy answer; False when the server ends before."""
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if fetch(settings, "/v2/health/ready")["ready"]:
                return True
        except OSError:
            pass  # not listening yet, or still loading
        time.sleep(POLL_SECONDS)
    if server.poll() is None:
        print(f"not ready after {READY_SECONDS:.0f} s; see above", file=sys.stderr)
    return False


def fetch(settings: Settings, path: str) -> dict[str, Any]:
    """Get a JSON answer from the service."""
    with OPENER.open(
        address(settings) + path, timeout=POLL_TIMEOUT_SECONDS
    ) as response:
        body: dict[str, Any] = json.load(response)
        return body


def address(settings: Settings) -> str:
    """Write where the service is, an IPv6 host in brackets."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def announcement(settings: Settings) -> str:
    """Write the address and a call to try."""
    served = find_versions(Path(settings.models))
    names = sorted(version.parent.name for version, *_ in served)
    lines = ["", f"ready: {address(settings)}", f"models: {', '.join(names)}"]
    if "nature" in names:
        body = '{"instances": [{"sequence": ["bear"], "session": "first-try"}]}'
        header = ' -H "Authorization: Bearer KEY"' if settings.api_keys_file else ""
        lines += [
            "",
            "Try:",
            "",
            f"  curl {address(settings)}/v1/models/nature:predict{header} -d '{body}'",
        ]
    return "\n".join([*lines, "", "Ctrl-C stops it; the sessions are kept."])


if __name__ == "__main__":
    sys.exit(main())
