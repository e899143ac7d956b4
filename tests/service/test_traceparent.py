"""`traceparent` as the W3C has it, on its own and in the log line."""

import json

import pytest

from service.telemetry.request_record import TraceParent, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (HEADER, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f" {HEADER}\t", True),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-holds", True),
    ],
)
def test_valid_headers_are_read(header, is_sampled):
    assert parse_traceparent(header) == TraceParent(TRACE, SPAN, is_sampled)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"01-{TRACE}-{SPAN}-01x",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"{HEADER},{HEADER}",
        f"{HEADER}\n",
    ],
)
def test_invalid_headers_are_as_good_as_none(header):
    assert parse_traceparent(header) is None


def test_log_line_names_the_trace_and_the_answer_echoes_it(client, caplog):
    with caplog.at_level("INFO", logger="service.api.access_log"):
        response = client.get("/v1/models", headers={"traceparent": HEADER})

    line = json.loads(caplog.records[-1].message)
    assert (line["trace_id"], line["parent_id"]) == (TRACE, SPAN)
    assert response.headers["traceparent"] == HEADER


def test_log_line_without_a_trace_names_none(client, caplog):
    with caplog.at_level("INFO", logger="service.api.access_log"):
        response = client.get("/v1/models", headers={"traceparent": "00-x"})

    line = json.loads(caplog.records[-1].message)
    assert "trace_id" not in line
    assert "traceparent" not in response.headers
