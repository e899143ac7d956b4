"""Requests made up from /openapi.json, right and wrong ones (schemathesis).

No answer is a 5xx, and each is as the document says. Without `FUZZ_SECONDS` this is a
sample, the same on each machine: every limit that the document names, and then
`FUZZ_EXAMPLES` requests a call. With it, as `make fuzz-api` does, it runs for as long.
"""

import json
import os
import re

import pytest
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import Status, events, from_schema

SECONDS = os.environ.get("FUZZ_SECONDS")
NUM_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))
# The same calls by another address; `test_routes_apart.py` has every address.
ALIASES = re.compile(r"/(versions/\{version\}|labels/\{label\})[:/]")
# Names of the counting model's, so that many requests get past the first check.
EVENTS = {"anyOf": [{"enum": ["red", "green"]}, {}]}
CONFIG = {
    **({"max-time": int(SECONDS)} if SECONDS else {}),
    # Flask's test client does not decompress.
    "headers": {"Accept-Encoding": "identity"},
    "seed": int(os.environ.get("FUZZ_SEED", "1")),
    "generation": {"mode": "all", "max-examples": NUM_EXAMPLES, "database": "none"},
    "checks": {
        # What its form allows may be wrong in its meaning: an event of no model, a
        # session that is gone; classify and regress are refused by design.
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", 400, 404, 409, 410, 501]
        },
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", 501]},
    },
    "operations": [
        {
            # A wrong row among right ones is answered in its place: see the check.
            "include-path-regex": ":(predict|explain|stream)$",
            "checks": {"negative_data_rejection": {"enabled": False}},
        },
        {
            # A session's id may end so too; then GET and DELETE are of that session.
            "include-path-regex": r"/sessions/\{id\}[:/]",
            "checks": {"allow_header_conformance": {"enabled": False}},
        },
    ],
}


@schemathesis.serializer("application/x-ndjson")
def write_line(_ctx, row):
    """Send a row of `:stream` as its only line."""
    return json.dumps(row).encode() + b"\n"


@schemathesis.check
def wrong_rows_are_refused_in_their_place(ctx, response, case):
    """A body that breaks the document is refused, whole or in one of its rows."""
    body = case.meta and case.meta.components.get(ParameterLocation.BODY)
    is_rows = case.method == "POST" and case.path.endswith((":predict", ":explain"))
    if not is_rows or response.status_code != 200 or not body:
        return
    if not body.mode.is_negative:
        return
    answer = response.json()
    rows = answer.get("predictions", [])
    assert any(isinstance(row, dict) and "code" in row for row in rows), case.body


@pytest.fixture
def api(client):
    """The service's document, with the counting model's events made likely."""
    document = client.get("/openapi.json").get_json()
    if SECONDS is None:
        kept = {p: c for p, c in document["paths"].items() if not ALIASES.search(p)}
        document["paths"] = kept
    row = document["components"]["schemas"]["ObjectRow"]
    row["properties"]["sequence"]["items"] = EVENTS
    config = schemathesis.Config.from_dict(CONFIG)
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.app = client.application
    return schema


def short(failure):
    """Show a failure in a few lines."""
    return "\n".join([line for line in failure.splitlines() if line.strip()][:12])


def test_made_up_requests_are_answered_as_the_document_says(api):
    failures, answered = [], 0

    for event in from_schema(api).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            failures.append(str(getattr(event, "value", event)))
        if isinstance(event, events.ScenarioFinished):
            answered += len(event.recorder.interactions)
            failures += [
                f"{event.label}: {check.failure_info.failure}"
                for checks in event.recorder.checks.values()
                for check in checks
                if check.status is Status.FAILURE
            ]

    assert not failures, "\n\n".join(sorted({short(text) for text in failures}))
    assert answered > 100
