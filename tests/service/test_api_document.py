"""`docs/api.md` names every call and every error."""

import pytest

from service.errors import CarryoverError, Conflict, Gone
from service.problems import status_of
from tests.servers import ROOT


def error_classes(cls=CarryoverError):
    yield cls
    for child in cls.__subclasses__():
        yield from error_classes(child)


@pytest.mark.parametrize(
    "cls",
    [c for c in error_classes() if c not in (Gone, Conflict)],
    ids=lambda c: c.code,
)
def test_every_error_is_documented_with_its_status(cls):
    table = (ROOT / "docs" / "api.md").read_text()

    assert f"| `{cls.code}` | {status_of(cls('x'))} |" in table


def test_every_call_is_documented(client):
    documented = (ROOT / "docs" / "api.md").read_text()

    for rule in client.application.url_map.iter_rules():
        path = rule.rule.replace("/versions/<int:version>", "")
        path = path.replace("/labels/<label:label>", "")
        path = path.replace("<model:name>", "{model}")
        path = path.replace("<session_id:session>", "{id}")
        (method,) = rule.methods - {"HEAD", "OPTIONS"}
        assert f"`{method} {path}`" in documented
