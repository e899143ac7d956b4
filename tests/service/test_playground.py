"""The playground's files: who gets the page, what it may load, what it is made of."""

import hashlib
import json
import re

import pytest

from service import errors
from service.api.playground import FOLDER
from service.app import create_app
from tests.servers import ROOT

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
FILES = [path for path in sorted(FOLDER.rglob("*")) if path.is_file()]
MODULES = sorted((FOLDER / "js").glob("*.js"))
VENDOR = FOLDER / "vendor"
MAX_LINES = 300


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html;q=0"])
def test_root_answers_alive_to_clients(client, accept):
    response = client.get("/", headers={"Accept": accept} if accept else {})

    assert response.get_json() == {"status": "alive"}
    assert "Accept" in response.vary


def test_root_is_the_page_to_browsers(client):
    response = client.get("/", headers={"Accept": BROWSER})

    assert response.mimetype == "text/html"
    assert response.data == client.get("/playground").data
    assert "Accept" in response.vary


@pytest.mark.parametrize("address", ["/", "/playground", "/playground/js/main.js"])
def test_page_may_load_only_its_own_files(client, address):
    policy = client.get(address, headers={"Accept": BROWSER}).headers[
        "Content-Security-Policy"
    ]

    assert policy.startswith(
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; img-src 'self' data:"
    )
    assert "unsafe" not in policy


def test_page_ends_in_no_slash_for_its_addresses_are_relative(client):
    response = client.get("/playground/")

    assert response.status_code == 302
    assert response.location == "../playground"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_served_and_kept_fresh(client, path):
    address = f"/playground/{path.relative_to(FOLDER).as_posix()}"

    response = client.get(address)
    again = client.get(address, headers={"If-None-Match": response.headers["ETag"]})

    assert response.data == path.read_bytes()
    assert (path.suffix != ".js") or "javascript" in response.mimetype
    assert "no-cache" in response.headers["Cache-Control"]
    assert again.status_code == 304


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "js/../../app.py", "none.js", "js"]
)
def test_no_other_file_is_served(client, name):
    assert client.get(f"/playground/{name}").status_code == 404


def test_page_needs_no_key(services, tmp_path):
    from dataclasses import replace

    from service.api.tenants import load_tenants

    keys = tmp_path / "api.keys"
    keys.write_text("")
    guarded = replace(services, tenants=load_tenants(str(keys), lambda: 0.0))
    client = create_app(guarded).test_client()

    assert client.get("/v1/models").status_code == 401
    for address in ("/", "/playground", "/playground/js/main.js"):
        answer = client.get(address, headers={"Accept": BROWSER})
        assert answer.status_code == 200


def test_vendored_files_are_those_of_the_manifest():
    manifest = json.loads((VENDOR / "manifest.json").read_text())

    licences = {name for entry in manifest.values() for name in entry["licences"]}
    files = {path.name for path in VENDOR.iterdir()} - {"manifest.json"}
    assert files == set(manifest) | licences
    for name, entry in manifest.items():
        digest = hashlib.sha256((VENDOR / name).read_bytes()).hexdigest()
        assert digest == entry["sha256"], name


def imports(path):
    return re.findall(r'\b(?:from|import)\s*\(?"([^"]+)"', path.read_text())


def test_every_module_is_reached_by_relative_imports_alone():
    reached, waiting = set(), [FOLDER / "js" / "main.js"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for name in imports(path):
            assert name.startswith(("./", "../vendor/")), (path.name, name)
            if name.startswith("./"):
                waiting.append((path.parent / name).resolve())

    assert reached == set(MODULES)


def test_page_has_neither_inline_script_nor_style():
    page = (FOLDER / "index.html").read_text()

    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?:", page)
    for path in MODULES:
        text = path.read_text()
        assert not re.search(r"\beval\(|new Function|innerHTML|https?://", text), path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_small_and_say_what_they_are(path):
    text = path.read_text()

    assert text.startswith("/** ")
    assert len(text.splitlines()) <= MAX_LINES


def test_image_contains_the_page():
    assert "COPY service /app/service" in (ROOT / "Dockerfile").read_text()


def codes_of_errors(cls=errors.CarryoverError):
    return {cls.code}.union(*map(codes_of_errors, cls.__subclasses__()))


def test_problem_codes_of_the_page_are_those_of_the_service_or_its_own():
    text = "".join(path.read_text() for path in MODULES)
    own = set(re.findall(r'new Problem\("(\w+)"', text))
    advice = re.search(r"const ADVICE = (.*?);\n\n", text, re.S)[1]
    tokens = re.search(r"UNUSABLE_TOKEN = \[(.*?)\]", text, re.S)[1]
    known = set(
        re.findall(r"^ +(\w+): ", advice, re.M) + re.findall(r'"(\w+)"', tokens)
    )

    assert len(own) > 3
    assert len(known) > 8
    assert known <= codes_of_errors()
    assert own & codes_of_errors() == set()
