"""`:predict` and `:explain` of the v1 dialect, from bytes to an answer.

One function for the two ways a request comes in: Flask's view, and the short way past
Flask. Knows the dialect and the engine; the web framework is the callers' business.
"""

from __future__ import annotations

from operator import attrgetter

from service.api.problems import JSON, Answer, answer_problem
from service.api.rows import is_replayed, limit_events
from service.api.v1.parse import parse_body
from service.api.v1.render import render_body
from service.api.v1.texts import reword
from service.common.value import Value
from service.engine.call import Timings
from service.engine.engine import Engine
from service.engine.idempotency import Idempotency, fingerprint_request, parse_key
from service.errors import CarryoverError
from service.registry.backends.base import Signature
from service.registry.catalog import Model
from service.settings import Settings

ROW = attrgetter("row")


class PredictRequest(Value, frozen=True):
    """What a request says in addition to its body.

    Args:
        model: Which network it is for.
        signature: `explain` for the gates too.
        tenant: Whom its sessions belong to.
        version: The version its address names, if any.
        key: Its `Idempotency-Key` header, if any.
        timings: Where to measure what its time is spent on, if anybody asks.
    """

    model: Model
    signature: Signature
    tenant: str
    version: int | None = None
    key: str | None = None
    timings: Timings | None = None


def answer_predict(
    engine: Engine, settings: Settings, asked: PredictRequest, data: bytes
) -> Answer:
    """Parse, advance, render.

    Raises:
        CarryoverError: The request as a whole cannot be answered.
    """
    explain, key = asked.signature == "explain", asked.key
    parsed = parse_body(
        data,
        asked.model,
        max_rows=settings.max_rows,
        explain=explain,
        idempotency=None if key is None else read_idempotency(data, asked, key),
        timeout_seconds=settings.request_timeout_seconds,
    )
    rows = list(map(ROW, parsed.rows))
    if explain:
        limit_events(rows, settings.max_explained_events, "explained")
    elif not parsed.options.is_last_only:
        limit_events(rows, settings.max_returned_events, "returned")
    results = engine.advance(
        asked.model,
        rows,
        tenant=asked.tenant,
        signature=asked.signature,
        is_version_named=asked.version is not None,
        timeout_seconds=settings.request_timeout_seconds,
        timings=asked.timings,
    )
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if failures:
        reword(parsed, results)
    if len(failures) == len(results):
        return answer_problem(*failures).replace(num_rows=len(rows))
    body = render_body(parsed, results, asked.model, explain=explain)
    headers: dict[str, str] = {}
    if is_replayed(rows, results):
        headers["Idempotency-Replayed"] = "true"
    return Answer(200, body, JSON, headers, num_rows=len(rows))


def read_idempotency(data: bytes, asked: PredictRequest, key: str) -> Idempotency:
    """Read the request's idempotency key and digest what it asks for."""
    fingerprint = fingerprint_request(data, asked.signature, str(asked.version))
    return Idempotency(parse_key(key), fingerprint)
