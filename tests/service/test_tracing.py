"""Spans of requests, as an OTLP endpoint that the test starts receives them."""

import json
import statistics
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families as parse

from service.telemetry.engine_metrics import LOST_SPANS, SPANS
from service.telemetry.request_record import Phases, RequestRecord
from service.telemetry.tallies import find_counter
from service.telemetry.tracing import Tracing, describe, open_tracing
from tests.servers import ROOT, Server
from tests.service.collector import SLOW_SECONDS, Collector, read_attributes
from tests.waiting import TIMEOUT_SECONDS, wait_until

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = "00-11111111111111111111111111111111-00f067aa0ba902b7-00"
ROW = {"instances": [{"session": "s", "sequence": ["open"]}]}
TENSOR = {"name": "sequence", "datatype": "BYTES", "shape": [1, 1], "data": ["open"]}
CALLS = {
    "POST /v1/models/<model:name>:predict": ("/v1/models/label:predict", ROW),
    "POST /v1/models/<model:name>:explain": ("/v1/models/label:explain", ROW),
    "POST /v2/models/<model:name>/infer": (
        "/v2/models/label/infer",
        {"inputs": [TENSOR]},
    ),
    "POST /v1/models/<model:name>:stream": (
        "/v1/models/label:stream",
        ROW["instances"][0],
    ),
}

TIMED = [name for name in CALLS if "stream" not in name]


@pytest.fixture(scope="module")
def collector():
    opened = Collector()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory, collector):
    home = tmp_path_factory.mktemp("traced")
    started = Server(exported[0], home, runtime="litert")
    started.environ |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BSP_MAX_QUEUE_SIZE": "8",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
    }
    with started:
        yield started


def call(server, name, traceparent=PARENT):
    path, body = CALLS[name]
    answer = requests.post(
        server.url + path,
        data=json.dumps(body),
        headers={"traceparent": traceparent, "Content-Type": "application/json"},
        timeout=TIMEOUT_SECONDS,
    )
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Request-Id"]


@pytest.mark.server
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", CALLS)
def test_request_has_one_span_with_its_times_and_its_parent(server, collector, name):
    request_id = call(server, name)

    def find():
        return [
            span
            for span in collector.find(name)
            if read_attributes(span)["carryover.request_id"] == request_id
        ]

    wait_until(find)
    [span] = find()
    assert {found["deployment.environment"] for found in collector.resources()} == {
        "test"
    }
    assert span.trace_id.hex() == PARENT.split("-")[1]
    assert span.parent_span_id.hex() == PARENT.split("-")[2]
    found = read_attributes(span)
    assert found["http.response.status_code"] == 200
    assert found["carryover.model"] == "label"
    assert found["carryover.rows"] == 1
    if name in TIMED:
        times = [found[f"carryover.{phase}_seconds"] for phase in Phases._fields]
        assert all(seconds >= 0 for seconds in times)
        assert found["carryover.network_seconds"] > 0
        taken = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        assert sum(times) <= taken


@pytest.mark.server
@pytest.mark.tensorflow
def test_unsampled_requests_and_health_have_no_span(server, collector):
    [name, *_] = CALLS
    for _ in range(20):  # of either worker
        call(server, name, UNSAMPLED)
        requests.get(f"{server.url}/v2/health/ready", timeout=TIMEOUT_SECONDS)
    sent = call(server, name)

    wait_until(lambda: sent in str(collector.received))
    assert {service for service, _ in collector.spans()} == {"carryover"}
    assert not any("health" in span.name for _, span in collector.spans())
    unsampled = UNSAMPLED.split("-")[1]
    assert not any(s.trace_id.hex() == unsampled for _, s in collector.spans())


def count(server, metric):
    asked = {"traceparent": UNSAMPLED}
    url = f"{server.url}/metrics"
    text = requests.get(url, headers=asked, timeout=TIMEOUT_SECONDS).text
    return sum(
        sample.value
        for family in parse(text)
        for sample in family.samples
        if sample.name == f"carryover_{metric}_total"
    )


def read_counts(server, collector):
    """Spans that were made, lost and received."""
    lost, made = count(server, "lost_spans"), count(server, "spans")
    return np.array([made, lost, len(collector.spans())])


def send_many(server):
    """Call 60 times; the seconds of each."""
    [name, *_] = CALLS
    taken = []
    for _ in range(60):  # more than the queues of both workers
        began = time.monotonic()
        call(server, name)
        taken.append(time.monotonic() - began)
    return taken


@pytest.mark.server
@pytest.mark.tensorflow
@pytest.mark.parametrize("failure", ["hangs", "gone", "full", "slow"])
def test_collector_that_fails_loses_spans_that_are_counted_and_delays_no_request(
    server, collector, failure
):
    [name, *_] = CALLS
    before = settle(server, collector)
    collector.fail(failure)
    try:
        taken = send_many(server)
        wait_until(lambda: count(server, "lost_spans") > before[1])
    finally:
        collector.recover()
    calls = list(taken)

    def is_back():
        calls.append(call(server, name))
        return len(collector.spans()) > before[2]

    wait_until(is_back)
    made, lost, received = settle(server, collector) - before

    assert made == len(calls)
    assert lost + received == made
    # No request waited for it, or most would have, those that find the queues full: a
    # wait is at least as long as its delay. A busy machine may hold up some.
    assert statistics.median(taken) < SLOW_SECONDS, sorted(taken)


def settle(server, collector):
    """Wait until each span is received or lost, and both workers have counted."""
    counts = [read_counts(server, collector)]

    def is_settled():
        time.sleep(0.5)  # a worker counts a moment after it has answered
        counts.append(read_counts(server, collector))
        made, lost, received = counts[-1]
        return made == lost + received and (counts[-1] == counts[-2]).all()

    wait_until(is_settled)
    return counts[-1]


def record(**more):
    return RequestRecord(
        "id", 0.1, "GET", "/r", None, None, None, 500, "internal", **more
    )


def test_queue_is_bounded_and_a_stop_is_soon(monkeypatch):
    threads = set(threading.enumerate())
    collector = Collector()
    collector.hang_seconds = TIMEOUT_SECONDS
    collector.fail("hangs")
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "600",  # a stop that waited for it would show
        "OTEL_BSP_MAX_QUEUE_SIZE": "5",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    before = find_counter(SPANS).number, find_counter(LOST_SPANS).number
    tracing = Tracing(environ)
    try:
        for _ in range(100):
            tracing.trace(record())
        assert find_counter(SPANS).number == before[0] + 100
        assert find_counter(LOST_SPANS).number == before[1] + 95  # 5 wait
        began = time.monotonic()
        tracing.stop()
        assert time.monotonic() - began < TIMEOUT_SECONDS
    finally:
        collector.close()  # which answers what still sends, so that it ends here
    wait_until(lambda: set(threading.enumerate()) <= threads, threading.enumerate)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=["no", "empty", "disabled", "other"],
)
def test_traces_are_off(environ):
    assert open_tracing(environ) is None


def test_sdk_is_not_imported_without_an_endpoint():
    code = (
        "import os, sys, service.app; from service.telemetry import tracing\n"
        "tracing.start({}); sys.exit('opentelemetry' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_missing_sdk_is_said_loudly_and_stops_no_start(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)

    assert open_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}) is None
    assert "Install requirements-tracing.txt" in caplog.text


def test_attributes_are_those_that_are_known():
    assert describe(record(phases=Phases(1.0, 2.0, 3.0, 4.0))) == {
        "http.request.method": "GET",
        "http.route": "/r",
        "http.response.status_code": 500,
        "error.type": "internal",
        "carryover.request_id": "id",
        "carryover.queue_seconds": 1.0,
        "carryover.fetch_seconds": 2.0,
        "carryover.network_seconds": 3.0,
        "carryover.commit_seconds": 4.0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "abc"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "x"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-3"),
    ],
)
def test_number_that_is_invalid_turns_tracing_off(monkeypatch, caplog, name, value):
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", name: value}
    for one, given in environ.items():
        monkeypatch.setenv(one, given)

    tracing = open_tracing(environ)

    assert tracing is None
    assert f"Set the numbers of {name} as" in caplog.text


@pytest.mark.parametrize(
    "name", ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"]
)
def test_empty_number_is_the_default(monkeypatch, name):
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", name: ""}
    for one, given in environ.items():
        monkeypatch.setenv(one, given)

    tracing = open_tracing(environ)

    assert tracing is not None
    tracing.stop()
