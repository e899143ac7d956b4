"""Run the attack against a service and print what another client saw."""

from __future__ import annotations

import argparse

from benchmarks.fairness.attack import run


def main() -> None:
    """Read the command line, attack, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--model", default="nature")
    parser.add_argument("--event", default="tree")
    parser.add_argument("--connections", type=int, default=36)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--events", type=int, default=390)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    body = {"instances": [[args.event] * args.events] * args.rows}
    probe = {"instances": [{"sequence": [args.event], "session": "probe"}]}
    url = f"{args.url}/v1/models/{args.model}:predict"
    print(run(url, body, probe, args.connections, args.seconds))


if __name__ == "__main__":
    main()
