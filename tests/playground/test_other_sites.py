"""A page of another site in a real browser: what it sends unasked changes nothing."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = pytest.mark.server

# What a page may send to any address without asking first: plain text, no-cors.
SEND = """async address => {
  const row = { sequence: ["bear"], session: "from-elsewhere" };
  const body = JSON.stringify({ instances: [row] });
  const answer = await fetch(address, { method: "POST", mode: "no-cors", body });
  return answer.type;
}"""


@pytest.fixture
def other_site(tmp_path):
    """A site by the name localhost, which is another than 127.0.0.1."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title>")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://localhost:{site.server_port}"
        site.shutdown()


def test_page_of_another_site_begins_no_session(chromium, playground, other_site):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(other_site)
    address = f"{playground.url}/v1/models/nature:predict"
    with page.expect_response(address) as seen:
        assert page.evaluate(SEND, address) == "opaque"
    assert seen.value.status == 403

    page.goto(f"{playground.url}/playground")
    own = SEND.replace("from-elsewhere", "from-here")
    with page.expect_response(address) as seen:
        page.evaluate(own, address)
    assert seen.value.status == 200
    sessions = page.request.get(f"{playground.url}/v1/models/nature/sessions").json()
    assert [one["session"] for one in sessions["sessions"]] == ["from-here"]
    context.close()
