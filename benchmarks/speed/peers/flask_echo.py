"""The echo: a Flask view that reads JSON and writes it back, and does nothing else."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

app = Flask(__name__, static_folder=None)


@app.route("/", methods=["GET", "POST"])
def echo() -> Any:
    """Answer with what came."""
    return request.get_json(force=True) if request.method == "POST" else {}
