"""Traces: a span of each request, sent by OpenTelemetry's SDK over OTLP/HTTP.

The standard variables `OTEL_*` say where to, whom it belongs to and what is sampled;
without an endpoint there are no traces, and the SDK is not imported. It is made in
each worker, after the fork. A collector that hangs or is gone holds up no request:
spans wait in a queue of bounded size, and those beyond it are lost and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from service.telemetry.engine_metrics import LOST_SPANS, SPANS
from service.telemetry.request_record import RequestRecord, parse_traceparent
from service.telemetry.tallies import find_counter

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# Of a batch, unless OTEL_BSP_MAX_EXPORT_BATCH_SIZE says another: a worker encodes it at
# a stretch, in about two milliseconds.
BATCH_SPANS = 64
QUEUED_SPANS = 2048  # as the standard has it
# How the names of variables end that are numbers.
NUMBERS = ("_ARG", "_DELAY", "_LIMIT", "_SIZE", "_TIMEOUT")
# Of a stop, with what was not sent.
STOP_SECONDS = 1.0
log = logging.getLogger(__name__)


def open_tracing(environ: Mapping[str, str]) -> Tracing | None:
    """Prepare to trace requests as the environment says; None for not at all."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if is_off or environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return None
    if not any(environ.get(name) for name in ENDPOINTS):
        return None
    try:
        return Tracing(environ)
    except ImportError as error:
        log.error(
            "requests are not traced, though an endpoint is set: %s. Install "
            "requirements-tracing.txt, or unset %s.",
            error,
            " and ".join(ENDPOINTS),
        )
        return None
    except ValueError as error:  # not a number, or out of its range
        given = [name for name in environ if name.startswith("OTEL_")]
        log.error(
            "requests are not traced: %s. Set the numbers of %s as OpenTelemetry takes "
            "them, or unset them.",
            error,
            ", ".join(sorted(name for name in given if name.endswith(NUMBERS))),
        )
        return None


class Tracing:
    """Sends a span of each request.

    Args:
        environ: The environment; the SDK reads its own variables.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        limit = int(environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or QUEUED_SPANS)
        size = int(environ.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") or BATCH_SPANS)
        self._exporter = CountedExporter(OTLPSpanExporter())
        self._processor = BatchSpanProcessor(
            cast("SpanExporter", self._exporter), max_export_batch_size=min(size, limit)
        )
        provider = TracerProvider(
            resource=Resource.create(name_service(environ)), shutdown_on_exit=False
        )
        self._limit = limit
        self._tracer = provider.get_tracer("carryover")

    def trace(self, record: RequestRecord) -> None:
        """Send the span of an answered request, with others a moment later."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        end = time.time_ns()
        span: Any = self._tracer.start_span(
            f"{record.method} {record.route or ''}".strip(),
            context=find_parent(record.traceparent),
            kind=SpanKind.SERVER,
            attributes=describe(record),
            start_time=end - round(1e9 * record.seconds),
        )
        if record.status >= 500:
            span.set_status(Status(StatusCode.ERROR, record.code))
        span.end(end)
        if not span.is_recording() and not span.get_span_context().trace_flags.sampled:
            return
        find_counter(SPANS).number += 1
        if self._exporter.num_waiting >= self._limit:
            find_counter(LOST_SPANS).number += 1
            return
        self._exporter.num_waiting += 1
        self._processor.on_end(span)

    def stop(self) -> None:
        """Send what is left, for a moment."""
        stopping = threading.Thread(target=self._processor.shutdown, daemon=True)
        stopping.start()
        stopping.join(STOP_SECONDS)


class CountedExporter:
    """Exports spans, and counts those that are lost.

    Args:
        exporter: Sends them.

    Attributes:
        num_waiting: Spans that were handed over and are neither sent nor lost.
    """

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self.num_waiting = 0

    def export(self, spans: Sequence[Any]) -> Any:
        """Send spans."""
        try:
            result = self._exporter.export(spans)
        finally:
            self.num_waiting -= len(spans)
        if result.name != "SUCCESS":
            find_counter(LOST_SPANS).number += len(spans)
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: nothing waits here."""
        return True


def name_service(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the service's name for the resource, unless the environment has one."""
    resource = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if environ.get("OTEL_SERVICE_NAME") or "service.name=" in resource:
        return {}
    return {"service.name": "carryover"}


def find_parent(traceparent: str) -> Any:
    """Return the context of the caller's span, if the request named one."""
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    found = parse_traceparent(traceparent)
    if found is None:
        return None
    parent = SpanContext(
        int(found.trace_id, 16),
        int(found.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(found.is_sampled)),
    )
    return set_span_in_context(NonRecordingSpan(parent))


def describe(record: RequestRecord) -> dict[str, str | int | float]:
    """Return a span's attributes: OpenTelemetry's names, where it has them."""
    found: dict[str, str | int | float | None] = {
        "http.request.method": record.method,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "error.type": record.code,
        "carryover.request_id": record.request_id,
        "carryover.model": record.model,
        "carryover.version": record.version,
        "carryover.rows": record.num_rows,
    }
    if record.phases is not None:
        phases = record.phases._asdict().items()
        found |= {f"carryover.{name}_seconds": seconds for name, seconds in phases}
    return {name: value for name, value in found.items() if value is not None}


def start(environ: Mapping[str, str]) -> None:
    """Trace requests from now on, if the environment says so."""
    global running
    running = open_tracing(environ)


def trace(record: RequestRecord) -> None:
    """Send the span of an answered request, if requests are traced."""
    if running is not None:
        running.trace(record)


def stop() -> None:
    """Send what is left, for a moment."""
    if running is not None:
        running.stop()


# None where requests are not traced.
running: Tracing | None = None
