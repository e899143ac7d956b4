"""A corpus of request framing and smuggling: bytes, and what may come back.

Source: RFC 9112 (sections 2.2, 3, 5, 6, 7, 9.3) and RFC 9110 (5.5, 7.2, 8.6). Each case
has a second request after its end, so that a server that ends the first one elsewhere
shows it by its answers.
"""

from __future__ import annotations

from tests.framing.cases import (
    BOTH,
    OTHER,
    PATH,
    REFUSED,
    SECOND,
    Case,
    accept,
    head,
    post,
    refuse,
)

LENGTHS = [
    refuse(
        "length and chunks",
        post(
            b"0\r\n\r\n", "Content-Length: 5", CHUNKED := "Transfer-Encoding: chunked"
        ),
    ),
    refuse("chunks and length", post(b"0\r\n\r\n", CHUNKED, "Content-Length: 5")),
    refuse("two lengths", post(b"{ }", "Content-Length: 3", "Content-Length: 5")),
    refuse(
        "two lengths, one of them 0",
        post(b"", "Content-Length: 0", "Content-Length: 40"),
    ),
    *(
        refuse(f"length {value!r}", post(b"{ }", f"Content-Length: {value}"))
        for value in (
            "3, 3",
            "3, 5",
            "+3",
            "-1",
            "0x3",
            "3 3",
            "",
            "1e1",
            "3;",
            "\x0b3",
            "\xb3",
            "3_0",
            "9" * 40,
        )
    ),
]

CODINGS = [
    refuse(f"coding {value!r}", post(b"0\r\n\r\n", f"Transfer-Encoding: {value}"), 501)
    for value in (
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "chunked x",
        "identity",
        "chunked, identity",
        "",
        "\x0bchunked",
        "chunked\x0b",
        '"chunked"',
        "chunked;q=1",
        ",chunked,x",
    )
] + [
    refuse(
        "two codings", post(b"0\r\n\r\n", CHUNKED, "Transfer-Encoding: identity"), 501
    ),
    refuse("coding twice", post(b"0\r\n\r\n", CHUNKED, CHUNKED), 501),
    refuse("coding in HTTP/1.0", post(b"0\r\n\r\n", CHUNKED).replace(b"1.1", b"1.0")),
]

HEADERS = [
    refuse("space before the colon", post(b"{ }", "Content-Length : 3")),
    refuse("tab before the colon", post(b"{ }", "Transfer-Encoding\t: chunked")),
    refuse("folded line", head("X-A: a\r\n b")),
    refuse("folded length", post(b"{ }", "Content-Length:\r\n 3")),
    refuse(
        "line that begins with a space",
        f"GET {PATH} HTTP/1.1\r\n Host: x\r\n\r\n".encode(),
    ),
    refuse("no colon", head("X-A")),
    refuse("empty name", head(": a")),
    *(
        refuse(f"name {name!r}", head(f"{name}: a"))
        for name in (
            "X A",
            "X(A)",
            "X\x00A",
            "X\xe9",
            "X\x7f",
            '"X"',
            "X[",
            "X@A",
            "X/A",
        )
    ),
    *(
        refuse(f"value {value!r}", head(f"X-A: {value}"))
        for value in ("a\x00b", "a\rb", "a\nContent-Length: 3", "a\x01b", "a\x7fb")
    ),
    refuse("lines end in LF", head("X-A: a").replace(b"\r\n", b"\n")),
    refuse("one line ends in LF", head("X-A: a").replace(b"a\r\n", b"a\n")),
    refuse("lines end in CR", head("X-A: a").replace(b"\r\n", b"\r")),
    refuse("head ends in LF", head("X-A: a")[:-2] + b"\n"),
    refuse("CR CR LF", head("X-A: a").replace(b"a\r\n", b"a\r\r\n")),
    accept("names in other cases", head("X-A: a").replace(b"Host", b"hOST")),
    accept("no space after the colon", head("X-A:a")),
    accept("tabs around a value", head("X-A:\t a \t")),
    accept("empty value", head("X-A:")),
    accept("bytes beyond ASCII in a value", head("X-A: \xe9")),
    accept("name like a length", head("Content_Length: 40")),
    refuse("header of 100,000 bytes", head("X-A: " + "a" * 100_000), 431),
    refuse("10,000 headers", head(*(f"X-{i}: a" for i in range(10_000))), 431),
]

HOSTS = [
    refuse("no host", f"GET {PATH} HTTP/1.1\r\n\r\n".encode()),
    refuse("two hosts", head("Host: y")),
    refuse("one host twice", head("Host: x")),
    *(
        refuse(
            f"host {value!r}",
            f"GET {PATH} HTTP/1.1\r\nHost: {value}\r\n\r\n".encode("latin-1"),
        )
        for value in (
            "a b",
            "a/b",
            "a@b",
            "a,b",
            "a:b",
            "a\\b",
            "a?b",
            "\xe9",
            "[::1",
            "a:99999999",
        )
    ),
    *(
        accept(
            f"host {value!r}", f"GET {PATH} HTTP/1.1\r\nHost: {value}\r\n\r\n".encode()
        )
        for value in ("x.example", "x:80", "[::1]:8080", "127.0.0.1", "a_b-c.d")
    ),
]

LINES = [
    *(
        refuse(
            f"first line {line!r}", f"{line}\r\nHost: x\r\n\r\n".encode("latin-1"), 505
        )
        for line in (
            f"GET {PATH}",
            f"GET {PATH} HTTP/0.9",
            f"GET {PATH} HTTP/2.0",
            f"GET {PATH} HTTP/1.2",
            f"GET {PATH} HTTP/11",
            f"GET {PATH} HTTP/1.1x",
            f"GET {PATH} http/1.1",
            f"GET {PATH} XTTP/1.1",
            f"GET  {PATH} HTTP/1.1",
            f"GET {PATH}  HTTP/1.1",
            f"GET {PATH} HTTP/1.1 ",
            f"GET\t{PATH} HTTP/1.1",
            f"GET {PATH} HTTP/1.1\tx",
            f" GET {PATH} HTTP/1.1",
            f"G(T {PATH} HTTP/1.1",
            "GET  HTTP/1.1",
            "GET HTTP/1.1",
            f"GET {PATH}\x00 HTTP/1.1",
            f"GET {PATH}\x7f HTTP/1.1",
            f"GET {PATH}\xe9 HTTP/1.1",
            f"GET {PATH}#part HTTP/1.1",
            "GET v2/health/live HTTP/1.1",
            "GET ? HTTP/1.1",
            "PRI * HTTP/2.0",
        )
    ),
    Case(
        "target of 100,000 bytes",
        head(target="/" + "a" * 100_000) + SECOND,
        ((400,), (414,)),
    ),
    accept("empty line before the request", b"\r\n" + head()),
    accept("absolute target", head(target=f"http://x{PATH}")),
    accept("absolute target of another host", head(target=f"http://y.example{PATH}")),
    Case(
        "absolute target without a path",
        head(target="http://x") + SECOND,
        ((404, 404), (200, 404), (406, 404)),
    ),
    Case(
        "CONNECT",
        head(method="CONNECT", target="x:80") + SECOND,
        ((400,), (404,), (405,), (404, 404), (405, 404), (501,)),
    ),
    Case(
        "OPTIONS *",
        head(method="OPTIONS", target="*") + SECOND,
        ((400,), (200, 404), (204, 404), (404, 404), (405, 404)),
    ),
    Case(
        "unknown method",
        head(method="BREW") + SECOND,
        ((400,), (405, 404), (501,), (501, 404)),
    ),
    accept("query", head(target=f"{PATH}?a=b&c=%00")),
    accept("percent-encoded letter", head(target=PATH.replace("live", "%6Cive"))),
    *(
        Case(
            f"target {target!r}",
            head(target=target) + SECOND,
            (*REFUSED, *OTHER, (400, 404)),
        )
        for target in (
            "//v1/models",
            "/%zz",
            "/%",
            "/%00",
            "/v2%2fhealth/live",
            "/v1/models/%ff",
            "/v1//models",
            "/v1/./models",
            "/v2/x/../health/live",
            "/v1/models/%2e%2e",
            "/v1/models;a",
        )
    ),
]

CHUNKS = [
    *(
        refuse(f"chunks {chunks!r}", post(chunks, CHUNKED), 431)
        for chunks in (
            b"zz\r\n{ }\r\n0\r\n\r\n",
            b"-1\r\n{ }\r\n0\r\n\r\n",
            b"+3\r\n{ }\r\n0\r\n\r\n",
            b"0x3\r\n{ }\r\n0\r\n\r\n",
            b"3 \r\n{ }\r\n0\r\n\r\n",
            b" 3\r\n{ }\r\n0\r\n\r\n",
            b"\r\n{ }\r\n0\r\n\r\n",
            b";a\r\n{ }\r\n0\r\n\r\n",
            b"3_0\r\n{ }\r\n0\r\n\r\n",
            b"10000000000000003\r\n{ }\r\n0\r\n\r\n",
            b"fffffffffffffffffffffff\r\n{ }\r\n0\r\n\r\n",
            b"3\n{ }\r\n0\r\n\r\n",
            b"3\r{ }\r\n0\r\n\r\n",
            b"3\r\n{ }0\r\n\r\n",
            b"3\r\n{ }d\r\n0\r\n\r\n",
            b"3\r\n{ }\n0\r\n\r\n",
            b"3;a\nb\r\n{ }\r\n0\r\n\r\n",
            b"3;a\x00b\r\n{ }\r\n0\r\n\r\n",
            b"3;" + b"a" * 100_000 + b"\r\n{ }\r\n0\r\n\r\n",
            b"0\r\nX-A\r\n\r\n",
            b"0\r\nX-A: a\n\r\n",
            b"0\r\nX A: a\r\n\r\n",
            b"0\r\n X: a\r\n\r\n",
            b"0\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
        )
    ),
    *(
        Case(f"chunks {chunks!r}", post(chunks, CHUNKED) + SECOND, BOTH)
        for chunks in (
            b"3\r\n{ }\r\n0\r\n\r\n",
            b"0003\r\n{ }\r\n0\r\n\r\n",
            b"A\r\n{        }\r\n0\r\n\r\n",
            b"3;a=b\r\n{ }\r\n0;c\r\n\r\n",
            b'3;a="b c"\r\n{ }\r\n0\r\n\r\n',
            b"3\r\n{ }\r\n0\r\nX-A: a\r\n\r\n",
        )
    ),
    Case(
        "trailers that would frame",
        post(
            b"3\r\n{ }\r\n0\r\nContent-Length: 40\r\nTransfer-Encoding: x\r\n\r\n",
            CHUNKED,
        )
        + SECOND,
        (BOTH[0], (400,)),
    ),
    Case(
        "chunks without content",
        post(b"0\r\n\r\n", CHUNKED) + SECOND,
        (BOTH[0], (400, 404)),
    ),
]

BODIES = [
    accept("two requests", head()),
    Case("body of a GET", head("Content-Length: 3") + b"{ }" + SECOND, BOTH),
    Case("body that nobody reads", post(b"{ }", "Content-Length: 3") + SECOND, BOTH),
    Case(
        "POST without a length",
        post(b"") + SECOND,
        ((200, 404), (400, 404), (411, 404), (411,)),
    ),
    Case(
        "request in a body",
        post(SECOND, f"Content-Length: {len(SECOND)}") + SECOND,
        ((400, 404),),
    ),
    Case("good, then bad", head() + head("X-A") + SECOND, ((200, 400),)),
    Case("bytes after the last answer", head("Connection: close") + SECOND, ((200,),)),
    Case("HTTP/1.0", head().replace(b"1.1", b"1.0") + SECOND, ((200,),)),
    Case(
        "upgrade to HTTP/2",
        head(
            "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"
        )
        + SECOND,
        BOTH,
    ),
    Case(
        "upgrade to a web socket",
        head(
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: a",
            "Sec-WebSocket-Version: 13",
        )
        + SECOND,
        (BOTH[0], (400, 404)),
    ),
    Case(
        "other expectation",
        head("Expect: tea") + SECOND,
        ((200, 404), (417, 404), (417,)),
    ),
]

CORPUS = [*LENGTHS, *CODINGS, *HEADERS, *HOSTS, *LINES, *CHUNKS, *BODIES]
