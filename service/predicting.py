"""`:predict` and `:explain` of the v1 dialect, from bytes to an answer.

One function for the two ways a request comes in: Flask's view, and the short way past
Flask. Knows the dialect and the engine; the web framework is the callers' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from service.catalog import Model
from service.dialects import v1, v1_answer
from service.dialects.v1_texts import reword
from service.engine import Engine
from service.errors import CarryoverError, TooManyEvents
from service.idempotency import Idempotency, fingerprint_request, parse_key
from service.loop import long_work
from service.problems import JSON, Answer, answer_problem
from service.rows import Outcome, Refused, Result, Row
from service.runtime import Signature
from service.settings import Settings


class Asked(NamedTuple):
    """What a request says beside its body.

    Args:
        model: Which network it is for.
        signature: `explain` for the gates too.
        tenant: Whom its sessions belong to.
        version: The version its address names, if any.
        key: Its `Idempotency-Key` header, if any.
    """

    model: Model
    signature: Signature
    tenant: str
    version: int | None = None
    key: str | None = None


def predict(engine: Engine, settings: Settings, asked: Asked, data: bytes) -> Answer:
    """Parse, advance, render.

    Raises:
        CarryoverError: The request as a whole cannot be answered.
    """
    explain = asked.signature == "explain"
    with long_work(len(data), settings.request_timeout_seconds):
        parsed = v1.parse(
            data,
            asked.model,
            max_rows=settings.max_rows,
            explain=explain,
            idempotency=read_idempotency(data, asked),
        )
    rows = [parsed_row.row for parsed_row in parsed.rows]
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
    )
    failures = [result for result in results if isinstance(result, CarryoverError)]
    if failures:
        reword(parsed, results)
    if len(failures) == len(results):
        return answer_problem(*failures)._replace(num_rows=len(rows))
    body = v1_answer.render(parsed, results, asked.model, explain=explain)
    is_repeat = is_replayed(rows, results)
    headers = {"Idempotency-Replayed": "true"} if is_repeat else {}
    return Answer(200, body, JSON, headers, num_rows=len(rows))


def read_idempotency(data: bytes, asked: Asked) -> Idempotency | None:
    """Read the request's idempotency key and digest what it asks for."""
    if asked.key is None:
        return None
    fingerprint = fingerprint_request(data, asked.signature, str(asked.version))
    return Idempotency(parse_key(asked.key), fingerprint)


def is_replayed(rows: Sequence[Row | Refused], results: Sequence[Result]) -> bool:
    """Tell whether every row of a session had its answer from an earlier request."""
    is_any = False
    for row, result in zip(rows, results, strict=True):
        if row.session is None:
            continue
        if not isinstance(result, Outcome) or not result.is_replayed:
            return False
        is_any = True
    return is_any


def limit_events(rows: Sequence[Row | Refused], max_events: int, what: str) -> None:
    """Refuse answers about more events than one can reasonably hold.

    Raises:
        TooManyEvents: The rows hold more events together.
    """
    events = sum(len(row.sequence) for row in rows if isinstance(row, Row))
    if events > max_events:
        raise TooManyEvents(
            f"the rows hold {events} events; at most {max_events} are {what} one by "
            "one in a request. Split them over several requests of a session.",
            max_events=max_events,
        )
