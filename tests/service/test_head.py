"""Heads of requests: what they say, and those that are refused for being unclear."""

import io

import pytest

from service.server.framing import MAX_HEAD_BYTES, read_head

LINE = b"POST /v1/models/m:predict?a=b HTTP/1.1\r\n"


def read(headers, line=LINE):
    """Read a head from its lines, a host before them."""
    return read_head(line, io.BytesIO(b"Host: x\r\n" + headers).readline)


def test_head_says_what_was_sent():
    head = read(b"Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc")

    assert (head.method, head.target, head.version) == (
        "POST",
        "/v1/models/m:predict?a=b",
        "1.1",
    )
    assert head.variables == {
        "HTTP_HOST": "x",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "3",
    }
    assert head.length == 3
    assert not head.is_chunked


def test_body_is_left_unread():
    rest = io.BytesIO(b"Host: x\r\nContent-Length: 3\r\n\r\nabcGET")

    read_head(LINE, rest.readline)

    assert rest.read() == b"abcGET"


@pytest.mark.parametrize(
    ("headers", "length", "is_chunked"),
    [
        (b"\r\n", None, False),
        (b"Content-Length: 0\r\n\r\n", 0, False),
        (b"Content-Length: 3 \r\n\r\n", 3, False),
        (b"Transfer-Encoding: chunked\r\n\r\n", None, True),
        (b"transfer-encoding: Chunked\r\n\r\n", None, True),
    ],
)
def test_body_ends_where_the_head_says(headers, length, is_chunked):
    head = read(headers)

    assert (head.length, head.is_chunked) == (length, is_chunked)


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Content-Length: +3\r\n\r\n",
        b"Content-Length: -3\r\n\r\n",
        b"Content-Length: 3, 3\r\n\r\n",
        b"Content-Length:\r\n\r\n",
        b"Content-Length: 3_0\r\n\r\n",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Content-Length : 3\r\n\r\n",
        b"X: a\r\n Content-Length: 3\r\n\r\n",
        b" X: a\r\n\r\n",
        b"X: a\nContent-Length: 3\r\n\r\n",
        b"X: a\rContent-Length: 3\r\n\r\n",
        b"X: a\0b\r\n\r\n",
        b"no colon\r\n\r\n",
        b"\xe9: a\r\n\r\n",
    ],
)
def test_unclear_head_is_refused(headers):
    with pytest.raises(ValueError, match=r"\.$") as refusal:
        read(headers)
    assert "Host" not in str(refusal.value)


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n",
        b"GET /\r\n",
        b"GET / HTTP/0.9\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"GET / HTTP/1.9\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"get / HTTP/1.1\r\n",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\n",
        b"\x16\x03\x01\x02\x00\r\n",
    ],
)
def test_no_request_is_refused(line):
    with pytest.raises(ValueError, match=r"its first line is|Invalid method"):
        read(b"\r\n", line)


def test_head_that_ends_early_is_refused():
    with pytest.raises(ValueError, match="not whole"):
        read(b"Content-Le")


@pytest.mark.parametrize(
    "headers",
    [
        b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"X: a\r\n" * (MAX_HEAD_BYTES // 6 + 1) + b"\r\n",
        b"a" * 10 * MAX_HEAD_BYTES,
    ],
    ids=["a long header", "many headers", "no end"],
)
def test_long_head_is_refused_before_it_grows(headers):
    with pytest.raises(ValueError, match=f"longer than {MAX_HEAD_BYTES}"):
        read(headers)


def test_repeated_headers_are_joined_and_lookalikes_dropped():
    head = read(
        b"X-Request-Id: a\r\nX_Request_Id: forged\r\nX-A: 1\r\nx-a: 2\r\n"
        b"Cookie: a=1\r\nCookie: b=2\r\nContent-Type: a\r\nContent-Type: b\r\n\r\n"
    )

    assert head.variables == {
        "HTTP_HOST": "x",
        "HTTP_X_REQUEST_ID": "a",
        "HTTP_X_A": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "CONTENT_TYPE": "a",
    }


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_connection_is_kept_as_the_client_asks(version, connection, expected):
    head = read(connection + b"\r\n", b"GET / HTTP/" + version + b"\r\n")

    assert head.is_kept_alive is expected


def test_upgrade_is_passed_over():
    head = read(
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"Content-Length: 3\r\n\r\n"
    )

    assert head.length == 3
    assert head.is_kept_alive
