"""The training report over HTTP: the page as it was written, and a policy to match."""

from __future__ import annotations

import base64
import hashlib
import json

import msgspec
import pytest

from service.api.v1.models import write_policy
from service.app import create_app
from service.registry.catalog import Model
from tests.assembly import serve
from tests.fakes import counting_model
from tests.problems import assert_problem

FILE = "assets.extra/carryover/report.html"
STYLE = "p { color: red; }"
PAGE = f"<!doctype html><title>é</title><style>{STYLE}</style><p>worth it".encode()
ADDRESSES = ("/report", "/versions/1/report", "/labels/stable/report")


@pytest.fixture
def folder(tmp_path):
    """A folder of models: version 1 with a report, and a label for it."""
    file = tmp_path / "counting" / "1" / FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(PAGE)
    (tmp_path / "counting" / "labels.json").write_text(json.dumps({"stable": 1}))
    return tmp_path


def listing(model, **files):
    """The same model with other files in its manifest."""
    manifest = msgspec.structs.replace(model.manifest, files=files)
    return Model(manifest, model.runtime, model.encoder)


@pytest.fixture
def client(folder, engine):
    model = listing(counting_model(), **{FILE: hashlib.sha256(PAGE).hexdigest()})
    return serve([model], settings={"CARRYOVER_MODELS": str(folder)}, engine=engine)


@pytest.mark.parametrize("address", [*ADDRESSES, "/REPORT"])
def test_the_report_is_the_page_that_training_wrote(client, address):
    response = client.get(f"/v1/models/counting{address}")

    assert response.status_code == 200
    assert response.data == PAGE
    assert response.content_type == "text/html; charset=utf-8"


def test_the_page_may_use_its_own_style_sheet_and_nothing_else(client):
    headers = client.get("/v1/models/counting/report").headers

    digest = hashlib.sha256(STYLE.encode()).digest()
    assert headers["Content-Security-Policy"].split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{base64.b64encode(digest).decode()}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    ]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_page_of_beginnings_costs_a_pass_over_it():
    page = b"<style>" * 300_000  # a pattern took hours

    policy = write_policy(page)

    assert policy == write_policy(b"no style sheet")


def test_a_link_to_itself_is_no_report(client, folder):
    file = folder / "counting" / "1" / FILE
    file.unlink()
    file.symlink_to(file.name)

    response = client.get("/v1/models/counting/report")

    assert_problem(response, 404, "report_not_found")


def test_the_page_is_sent_again_only_when_it_changed(client):
    tag = client.get("/v1/models/counting/report").headers["ETag"]

    again = client.get("/v1/models/counting/report", headers={"If-None-Match": tag})

    assert (again.status_code, again.data) == (304, b"")


def test_metadata_say_that_there_is_a_report(client):
    assert client.get("/v1/models/counting/metadata").get_json()["has_report"] is True


@pytest.mark.parametrize("change", [lambda f: f.unlink(), lambda f: f.write_text("x")])
def test_a_report_that_is_not_the_one_written_is_not_shown(client, folder, change):
    change(folder / "counting" / "1" / FILE)

    response = client.get("/v1/models/counting/report")

    body = assert_problem(response, 404, "report_not_found")
    assert str(folder) not in json.dumps(body)
    assert "is not the one that was written" in body["detail"]


def test_a_version_without_a_report_says_so(services):
    client = create_app(services).test_client()

    body = assert_problem(
        client.get("/v1/models/counting/report"), 404, "report_not_found"
    )

    assert "version 1 of model 'counting' has no training report" in body["detail"]
    assert client.get("/v1/models/counting/metadata").get_json()["has_report"] is False


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/v1/models/nope/report", 404, "model_not_found"),
        ("/v1/models/counting/versions/9/report", 404, "version_not_found"),
        ("/v1/models/counting/labels/nope/report", 400, "unknown_label"),
    ],
)
def test_what_is_not_there_is_answered_as_by_other_calls(client, address, status, code):
    assert_problem(client.get(address), status, code)
