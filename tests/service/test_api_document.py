"""`docs/reference/http-v1.md` names every call of the service."""

from service.api.openapi import PAGES
from tests.servers import ROOT


def test_every_call_is_documented(client):
    documented = (ROOT / "docs" / "reference" / "http-v1.md").read_text()

    for rule in client.application.url_map.iter_rules():
        if rule.endpoint.startswith(PAGES):
            continue  # pages and their files
        path = rule.rule.replace("/versions/<version:version>", "")
        path = path.replace("/labels/<label:label>", "")
        path = path.replace("<model:name>", "{model}")
        path = path.replace("<session_id:session>", "{id}")
        (method,) = rule.methods - {"HEAD", "OPTIONS"}
        assert f"`{method} {path}`" in documented
