"""The tenant of a request: API keys, and the answers without one."""

import os
import stat
import subprocess
import sys
import timeit
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from service.api.api_keys import add_key
from service.api.tenants import Tenants, load_tenants
from service.app import create_app
from service.errors import Unauthorized
from service.settings import SettingError, read_settings
from tests.keys import digest, keyed
from tests.problems import assert_problem
from tests.servers import ROOT

PREDICT = "/v1/models/counting:predict"
# Measured 1 us; a loaded machine may need many times that, a slow hash a thousand.
MAX_MICROSECONDS = 20


TENANTS = keyed(("acme", "key-a"), ("umbrella", "key-u"))


@pytest.fixture
def guarded(services):
    return create_app(replace(services, tenants=TENANTS)).test_client()


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_AUTHORIZATION": "Bearer key-a"},
        {"HTTP_AUTHORIZATION": "bearer  key-a "},
        {"HTTP_X_API_KEY": "key-a"},
        {"HTTP_X_API_KEY": "key-a", "HTTP_AUTHORIZATION": "Basic eDp5"},
        {"HTTP_X_API_KEY": "key-u", "HTTP_AUTHORIZATION": "Bearer key-a"},
    ],
    ids=["bearer", "other case", "own header", "beside a proxy's", "bearer goes first"],
)
def test_key_names_the_tenant(environ):
    assert TENANTS.identify(environ, "predict") == "acme"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_AUTHORIZATION": "Bearer "},
        {"HTTP_AUTHORIZATION": "Bearer key-A"},
        {"HTTP_AUTHORIZATION": "Basic key-a"},
        {"HTTP_AUTHORIZATION": "key-a"},
        {"HTTP_AUTHORIZATION": f"Bearer {digest('key-a')}"},
        {"HTTP_X_API_KEY": "kéy\ud800"},
        {"HTTP_X_API_KEY": "Bearer key-a"},
    ],
    ids=ascii,
)
def test_anything_else_is_nobody(environ):
    with pytest.raises(Unauthorized):
        TENANTS.identify(environ, "predict")


def test_service_without_keys_takes_everybody_for_one_tenant():
    assert Tenants(None).identify({"HTTP_X_API_KEY": "whatever"}, None) == ""


def test_service_with_an_empty_keys_file_takes_nobody(tmp_path):
    (tmp_path / "keys").write_text("# none yet\n\n")

    with pytest.raises(Unauthorized):
        load_tenants(str(tmp_path / "keys")).identify({}, None)


def test_check_is_cheap_enough_for_every_request():
    environ = {"HTTP_AUTHORIZATION": "Bearer " + "k" * 53}
    tenants = keyed(("acme", "k" * 53))

    best = min(
        timeit.repeat(
            lambda: tenants.identify(environ, "predict"), number=500, repeat=20
        )
    )

    assert best / 500 * 1e6 < MAX_MICROSECONDS


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", PREDICT),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/nope"),
        ("GET", "/v1/models/counting/sessions/s"),
        ("GET", "/nothing/here"),
        ("PATCH", "/v1/models"),
        ("GET", "/v2/healthy"),
        ("GET", "/metrics/x"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "guess"}], ids=["no", "unknown"])
def test_without_a_key_every_call_is_refused_alike(guarded, method, path, headers):
    response = guarded.open(path, method=method, headers=headers)

    assert_problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="carryover"'


def test_health_needs_no_key(guarded):
    assert guarded.get("/v2/health/live").status_code == 200
    assert guarded.get("/v2/health/ready").status_code == 200
    assert guarded.get("/").get_json() == {"status": "alive"}


def test_refused_request_changes_nothing(guarded):
    row = {"instances": [{"sequence": ["red"], "session": "s"}]}

    guarded.post(PREDICT, json=row)

    mine = {"X-API-Key": "key-a"}
    assert (
        guarded.get("/v1/models/counting/sessions/s", headers=mine).status_code == 404
    )


def test_key_is_in_no_log_line(guarded, caplog):
    with caplog.at_level("DEBUG"):
        guarded.get("/v1/models", headers={"Authorization": "Bearer key-a"})
        guarded.get("/v1/models", headers={"Authorization": "Bearer secret-guess"})

    assert "key-a" not in caplog.text
    assert "secret-guess" not in caplog.text
    assert digest("key-a") not in caplog.text


def test_keys_that_were_added_are_the_tenants(tmp_path):
    path = tmp_path / "var" / "api.keys"

    keys = [add_key(path, tenant) for tenant in ("acme", "umbrella", "acme")]

    tenants = load_tenants(str(path))
    found = [tenants.identify({"HTTP_X_API_KEY": key}, None) for key in keys]
    assert found == ["acme", "umbrella", "acme"]
    assert len(set(keys)) == 3
    assert not any(key in path.read_text() for key in keys)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_added_at_once_are_all_kept(tmp_path):
    path = tmp_path / "api.keys"

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda k: add_key(path, f"t{k}"), range(40)))

    tenants = load_tenants(str(path))
    found = [tenants.identify({"HTTP_X_API_KEY": key}, None) for key in keys]
    assert found == [f"t{k}" for k in range(40)]


def test_line_that_lacks_its_end_is_ended_first(tmp_path):
    path = tmp_path / "api.keys"
    path.write_text(f"acme: {digest('old')}")

    add_key(path, "umbrella")

    assert load_tenants(str(path)).identify({"HTTP_X_API_KEY": "old"}, None) == "acme"


def run_service(*arguments, **environ):
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True
    )


def test_command_makes_a_key_and_shows_it_once(tmp_path):
    path = str(tmp_path / "api.keys")

    done = run_service("key", "acme", CARRYOVER_API_KEYS_FILE=path)

    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert load_tenants(path).identify({"HTTP_X_API_KEY": key}, None) == "acme"


def test_command_says_what_it_lacks(tmp_path):
    unset = run_service("key", "acme")
    bad = run_service("key", "a b", CARRYOVER_API_KEYS_FILE=str(tmp_path / "keys"))
    missing = run_service(CARRYOVER_API_KEYS_FILE=str(tmp_path / "none"))

    assert (unset.returncode, bad.returncode, missing.returncode) == (2, 2, 2)
    assert "CARRYOVER_API_KEYS_FILE is not set" in unset.stderr
    assert "'a b' cannot name a tenant" in bad.stderr
    assert "cannot be read" in missing.stderr


def test_keys_themselves_cannot_be_a_setting():
    with pytest.raises(SettingError):
        read_settings({"CARRYOVER_API_KEYS": "secret"})
