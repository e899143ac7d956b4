"""Start the service and say where it is: `python -m service [--help]`.

Starts gunicorn with `service.gunicorn_config`, waits until it is ready, prints the
address and a first call to try. A container runs gunicorn itself.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from typing import Any, NoReturn

from service.settings import SettingError, Settings, describe_settings, read_settings

COMMAND = ("gunicorn", "-c", "python:service.gunicorn_config", "service.wsgi:app")
READY_SECONDS = 120.0
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
    parser.parse_args()
    try:
        settings = read_settings(os.environ)
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return run(settings)


def run(settings: Settings) -> int:
    """Start gunicorn, announce it when ready, and stay until it ends."""
    print("starting the service ...", flush=True)
    # In a session of its own, so that Ctrl-C reaches this process only: gunicorn then
    # gets SIGTERM, on which it lets requests under way finish (SIGINT cuts them off).
    server = subprocess.Popen([sys.executable, "-m", *COMMAND], start_new_session=True)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        if wait_until_ready(server, settings):
            print(announcement(settings), flush=True)
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        print("stopped; the sessions are kept")
        return 0


def interrupt(signum: int, frame: object) -> NoReturn:
    """Treat SIGTERM as Ctrl-C."""
    raise KeyboardInterrupt


def wait_until_ready(server: subprocess.Popen[bytes], settings: Settings) -> bool:
    """Wait for the first healthy answer; False when the server ends before."""
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if fetch(settings, "/v2/health/ready")["ready"]:
                return True
        except OSError:
            pass  # not listening yet, or no model loaded
        time.sleep(POLL_SECONDS)
    if server.poll() is None:
        print(
            f"not ready after {READY_SECONDS:.0f} s; does CARRYOVER_MODELS="
            f"{settings.models!r} hold a model? Train one: make train "
            "CONFIG=training/configs/nature.toml",
            file=sys.stderr,
        )
    return False


def fetch(settings: Settings, path: str) -> dict[str, Any]:
    """Get a JSON answer from the service."""
    address = f"http://{settings.host}:{settings.port}{path}"
    with OPENER.open(address, timeout=POLL_TIMEOUT_SECONDS) as response:
        body: dict[str, Any] = json.load(response)
        return body


def announcement(settings: Settings) -> str:
    """Write the address and a call to try."""
    names = fetch(settings, "/v1/models")["models"]
    address = f"http://{settings.host}:{settings.port}"
    lines = ["", f"ready: {address}", f"models: {', '.join(names)}"]
    if "nature" in names:
        body = '{"instances": [{"sequence": ["bear"], "session": "tonight"}]}'
        lines += [
            "",
            "Try:",
            "",
            f"  curl {address}/v1/models/nature:predict -d '{body}'",
        ]
    return "\n".join([*lines, "", "Ctrl-C stops it; the sessions are kept."])


if __name__ == "__main__":
    sys.exit(main())
