"""`docs/reference/http-v1.md` names every call of the service."""

import re

import pytest

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


COMING_FROM = (ROOT / "docs" / "how-to" / "coming-from.md").read_text()
CALLS = re.findall(r"`(GET|POST|PUT|DELETE) (/v[12]/[^`]+)`", COMING_FROM)


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_call_for_those_who_come_from_elsewhere_exists(client, method, path):
    addresses = client.application.url_map.bind("")

    assert addresses.match(path, method=method)


def test_page_for_those_who_come_from_elsewhere_has_calls_and_sources():
    assert len(CALLS) > 4
    for server in ("Triton", "TensorFlow Serving", "Keras", "SageMaker", "Ray Serve"):
        _, _, after = COMING_FROM.partition(f"\n## {server}\n")
        assert "](https://" in after.partition("\n## ")[0], server
