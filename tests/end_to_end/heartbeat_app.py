"""The application, and for how long a request stopped the event loop.

`GET /stopped` answers the longest stop since it was last asked, in milliseconds of the
process's own time: what other processes take of the machine does not count, but a
thread that keeps Python's lock does.
"""

import time

import gevent

from service.wsgi import app as served

BEAT_SECONDS = 0.001
longest = 0.0


def beat():
    """Measure each turn of the loop."""
    global longest
    began = time.process_time()
    while True:
        gevent.sleep(BEAT_SECONDS)
        now = time.process_time()
        longest = max(longest, now - began)
        began = now


def app(environ, start_response):
    """Answer, or pass a request on."""
    global longest
    if environ["PATH_INFO"] != "/stopped":
        return served(environ, start_response)
    content, longest = str(1000 * longest).encode(), 0.0
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]


gevent.spawn(beat)
