"""An OTLP endpoint that a test starts, which receives spans."""

import http.server
import socket
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

# Within the timeout of a span's way, and beyond it.
SLOW_SECONDS, HANG_SECONDS = 0.8, 5


class Collector(http.server.ThreadingHTTPServer):
    """An OTLP endpoint that keeps what it receives, and may fail as real ones do.

    Attributes:
        failure: How it fails: it hangs, is gone, is full, or is slow; "" for not.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received, self.ended, self.failure = [], threading.Event(), ""
        self.hang_seconds = HANG_SECONDS
        self._serve()

    def _serve(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def fail(self, failure):
        self.failure = failure
        if failure == "gone":
            self.shutdown()
            self.server_close()

    def recover(self):
        if self.failure == "gone":
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()
            self.server_activate()
            self._serve()
        self.failure = ""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self):
        """Each span with the service it is of."""
        return [
            (read_attributes(resource.resource)["service.name"], span)
            for request in list(self.received)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resources(self):
        """The attributes of what sent each request."""
        return [
            read_attributes(resource.resource)
            for request in list(self.received)
            for resource in request.resource_spans
        ]

    def find(self, name):
        return [span for _, span in self.spans() if span.name == name]

    def close(self):
        self.ended.set()
        self.shutdown()
        self.server_close()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        failure = self.server.failure
        if failure == "hangs" and not self.server.ended.wait(self.server.hang_seconds):
            return
        if failure == "slow":
            self.server.ended.wait(SLOW_SECONDS)
        assert self.path == "/v1/traces"
        if failure == "full":
            self.send_response(503)
            self.send_header("Retry-After", "7")
        else:
            self.server.received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def read_attributes(of):
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value"))
        for pair in of.attributes
    }
