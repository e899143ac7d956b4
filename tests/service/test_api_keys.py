"""The keys file: lines, scopes, expiry, and reading it again while requests go on."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.test import Client

from service.api.api_keys import SCOPES, add_key, check_keys_file, parse_keys
from service.api.fast_path import FastPath
from service.api.responses import answer_crash
from service.api.tenants import KeysFile, Tenants, load_tenants
from service.app import create_app
from service.errors import Forbidden, Unauthorized
from tests.fakes import FakeClock
from tests.keys import digest, keyed
from tests.problems import assert_problem
from tests.servers import ROOT

KEY = {"HTTP_X_API_KEY": "key-a"}
LINE = f"acme: {digest('key-a')}"
DAY = 86_400


@pytest.fixture
def path(tmp_path):
    return tmp_path / "api.keys"


def write(path, text, clock):
    """Write the file as if the clock were the machine's."""
    path.write_text(text)
    os.utime(path, (clock(), clock()))


def test_line_of_an_earlier_release_has_the_usual_scopes(path, clock):
    write(path, f"# keys\n{LINE}\n", clock)
    tenants = load_tenants(str(path), clock)

    assert tenants.identify(KEY, "predict") == "acme"
    assert tenants.identify(KEY, "sessions") == "acme"
    with pytest.raises(Forbidden):
        tenants.identify(KEY, "admin")


@pytest.mark.parametrize("scope", SCOPES)
def test_key_has_the_scopes_it_was_made_with_and_no_other(path, scope):
    key = add_key(path, "acme", [scope])
    tenants = load_tenants(str(path))
    environ = {"HTTP_X_API_KEY": key}

    assert tenants.identify(environ, scope) == "acme"
    for other in set(SCOPES) - {scope}:
        with pytest.raises(Forbidden) as caught:
            tenants.identify(environ, other)
        assert caught.value.members == {"scope": other}


def test_key_is_refused_from_its_expiry_on(path):
    clock = FakeClock()
    key = {"HTTP_X_API_KEY": add_key(path, "acme", expires_at=clock() + DAY)}
    tenants = load_tenants(str(path), clock)

    clock.advance(DAY - 1)
    assert tenants.identify(key, None) == "acme"
    clock.advance(1)
    with pytest.raises(Unauthorized, match="an API key that has expired"):
        tenants.identify(key, None)


BAD_LINES = [
    "acme",
    "acme: carryover_secret",
    f"a b: {'0' * 64}",
    f": {'0' * 64}",
    "acme: 0",
    f"acme: {'0' * 64} scope=root",
    f"acme: {'0' * 64} scope=",
    f"acme: {'0' * 64} expires=soon",
    f"acme: {'0' * 64} expires=",
    f"acme: {'0' * 64} scopes=admin",
    f"acme: {'0' * 64} scope=admin scope=predict",
    f"acme: {'0' * 64} admin",
    f"umbrella: {digest('key-a')}",
    f"{LINE} scope=admin",
    f"ac\udcffme: {'0' * 64}",
]


@pytest.mark.parametrize("line", BAD_LINES, ids=ascii)
def test_bad_line_is_logged_by_number_and_the_rest_is_used(path, caplog, line):
    other = f"late: {digest('key-u')}"
    path.write_bytes(f"{LINE}\n\n{line}\n{other}\n".encode(errors="surrogateescape"))

    tenants = load_tenants(str(path))

    assert tenants.identify(KEY, None) == "acme"
    assert tenants.identify({"HTTP_X_API_KEY": "key-u"}, None) == "late"
    with pytest.raises(Forbidden):
        tenants.identify(KEY, "admin")
    [record] = caplog.records
    assert f"{path}: line 3 " in record.getMessage()
    assert "secret" not in caplog.text


@pytest.mark.parametrize("text", [f"\ufeff{LINE}\r\n", f"  {LINE}  ", f"{LINE}\n" * 2])
def test_file_of_another_editor_is_read(text):
    assert parse_keys(text.encode()) == parse_keys(LINE.encode())
    assert parse_keys(text.encode())[1] == []


def test_changed_file_is_read_again_without_a_signal(path, clock):
    write(path, "", clock)
    tenants = load_tenants(str(path), clock)
    clock.advance(10)
    write(path, LINE, clock)

    clock.advance(1)
    assert tenants.identify(KEY, None) == "acme"

    write(path, "# revoked", clock)
    clock.advance(1)
    with pytest.raises(Unauthorized):
        tenants.identify(KEY, None)


def test_file_that_is_half_written_disturbs_no_request(path, clock):
    write(path, LINE, clock)
    tenants = load_tenants(str(path), clock)
    clock.advance(10)

    for half in ("", LINE[:30], LINE):
        write(path, half, clock)
        assert tenants.identify(KEY, None) == "acme"
        clock.advance(0.6)


@pytest.mark.parametrize("drift", [-3600, 3600])
def test_clocks_that_disagree_delay_a_change_by_one_look(path, clock, drift):
    write(path, "", clock)
    tenants = load_tenants(str(path), clock)
    clock.advance(10)
    path.write_text(LINE)
    os.utime(path, (clock() + drift, clock() + drift))

    assert tenants.identify(KEY, None) == "acme"


def test_clock_set_back_does_not_stop_looking(path, clock):
    write(path, "", clock)
    tenants = load_tenants(str(path), clock)
    clock.advance(-1000)
    write(path, LINE, clock)
    with pytest.raises(Unauthorized):
        tenants.identify(KEY, None)

    clock.advance(1)

    assert tenants.identify(KEY, None) == "acme"


@pytest.mark.parametrize("damage", ["removed", "a folder"])
def test_file_that_is_gone_leaves_the_last_good_keys(path, clock, caplog, damage):
    write(path, LINE, clock)
    tenants = load_tenants(str(path), clock)

    path.unlink()
    if damage == "a folder":
        path.mkdir()
    for _ in range(5):
        clock.advance(1)
        assert tenants.identify(KEY, None) == "acme"

    assert len(caplog.records) == 1
    assert "no restart is needed" in caplog.text


def test_file_that_is_missing_at_boot_opens_nothing_until_it_is_there(path, clock):
    tenants = load_tenants(str(path), clock)
    with pytest.raises(Unauthorized):
        tenants.identify(KEY, None)

    write(path, LINE, clock)
    clock.advance(1)

    assert tenants.identify(KEY, None) == "acme"


def test_looks_at_the_file_are_few(path, clock, monkeypatch):
    write(path, LINE, clock)
    file = KeysFile(path, clock)
    looks, look = [], Path.stat

    def count_and_look(self, **options):
        looks.append(self)
        return look(self, **options)

    monkeypatch.setattr(Path, "stat", count_and_look)

    for _ in range(1000):
        clock.advance(0.01)
        file.keys()

    assert 15 <= looks.count(path) <= 21


def run_command(*arguments, path):
    return subprocess.run(
        [sys.executable, "-m", "service", "key", *arguments],
        cwd=ROOT,
        env=os.environ | {"CARRYOVER_API_KEYS_FILE": str(path)},
        capture_output=True,
        text=True,
    )


def test_command_makes_a_key_with_scopes_and_an_expiry(path):
    done = run_command(
        *("ops", "--scope", "admin", "--scope", "predict", "--expires", "2999-01-31"),
        path=path,
    )

    assert done.returncode == 0, done.stderr
    environ = {"HTTP_X_API_KEY": done.stdout.strip()}
    line = path.read_text()
    assert " scope=admin,predict expires=2999-01-31T00:00:00+00:00\n" in line
    tenants = load_tenants(str(path))
    assert tenants.identify(environ, "admin") == "ops"
    assert tenants.identify(environ, "predict") == "ops"
    with pytest.raises(Forbidden):
        tenants.identify(environ, "sessions")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--expires", "soon"], "expires is 'soon'; expected a date or a time in UTC"),
        (["--expires", "2001-01-01"], "expires is 2001-01-01, which is past"),
        (["--scope", "root"], "invalid choice: 'root'"),
    ],
    ids=["no time", "past", "no scope"],
)
def test_command_refuses_what_it_cannot_give(path, options, said):
    done = run_command("ops", *options, path=path)

    assert done.returncode == 2
    assert said in done.stderr
    assert not path.exists()


def test_check_before_the_start_names_bad_lines_only(path):
    path.write_text(f"{LINE}\nnonsense\n")

    assert [text[:6] for text in check_keys_file(str(path))] == ["line 2"]


def test_key_made_while_the_service_runs_opens_both_ways_in(path, clock, services):
    write(path, "", clock)
    guarded = replace(services, tenants=load_tenants(str(path), clock))
    app = create_app(guarded)
    ways = app.test_client(), Client(FastPath(app.wsgi_app, guarded, answer_crash))
    call = {"path": "/v1/models/counting:predict", "json": {"instances": [["red"]]}}
    call["headers"] = {"X-API-Key": "key-a"}
    assert [way.post(**call).status_code for way in ways] == [401, 401]

    write(path, LINE, clock)
    clock.advance(1)

    assert [way.post(**call).status_code for way in ways] == [200, 200]


def test_both_ways_in_refuse_a_key_of_another_scope_alike(services):
    guarded = replace(services, tenants=keyed(("acme", "key-a", {"sessions"})))
    app = create_app(guarded)
    ways = app.test_client(), Client(FastPath(app.wsgi_app, guarded, answer_crash))
    headers = {"X-API-Key": "key-a", "X-Request-Id": "same"}

    long, short = (
        way.post("/v1/models/counting:predict", json={}, headers=headers)
        for way in ways
    )

    assert assert_problem(long, 403, "forbidden")["scope"] == "predict"
    assert (short.status_code, short.data) == (long.status_code, long.data)


def test_scope_does_not_matter_without_keys():
    assert Tenants(None).identify({}, "admin") == ""


def test_a_named_pipe_is_refused_at_once_and_the_old_keys_stay(tmp_path):
    path, now = tmp_path / "keys", [1e6]
    add_key(path, "acme")
    file = KeysFile(path, clock=lambda: now[0])
    before = dict(file.keys())
    path.unlink()
    os.mkfifo(path)
    now[0] += 1e3

    assert before
    assert file.keys() == before
    with pytest.raises(ValueError, match="it is no regular file"):
        check_keys_file(str(path))
