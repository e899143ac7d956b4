import os
import subprocess
import sys

import pytest

from service.common.setting_types import POLICIES as settings_policies
from service.common.setting_types import list_store_forms
from service.sessions.version_policy import POLICIES
from service.settings import (
    TABLE,
    SettingError,
    Settings,
    describe_settings,
    find_exposure,
    read_settings,
)
from tests.servers import ROOT


def test_every_setting_has_a_default():
    settings = read_settings({})

    assert settings.memory == "lmdb://var/memory"
    assert [setting.name for setting in TABLE] == list(Settings.__dataclass_fields__)


def test_other_variables_are_none_of_ours():
    assert read_settings({"PATH": "x", "carryover_port": "x"}) == read_settings({})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("CARRYOVER_PORT", "http", "a whole number from 1 to 65535, such as 8080"),
        ("CARRYOVER_PORT", "70000", "a whole number from 1 to 65535"),
        ("CARRYOVER_MEMORY", "lmbd://x", list_store_forms()),
        ("CARRYOVER_MAX_SESSIONS", "-1", "a whole number of at least 0, such as 0"),
        ("CARRYOVER_WORKERS", "0", "a whole number of at least 1, such as 2"),
        ("CARRYOVER_TOKEN_SECONDS", "-1", "a number of seconds above 0"),
        ("CARRYOVER_TOKEN_SECONDS", "nan", "a number of seconds above 0"),
        ("CARRYOVER_SNAPSHOTS", "-1", "a whole number of at least 0, such as 0"),
        ("CARRYOVER_POLICY", "keep", "pin, replay, reset or refuse, such as pin"),
        ("CARRYOVER_POLICIES", "taxi", "model=policy pairs with commas between"),
        ("CARRYOVER_POLICIES", "taxi=keep", "model=policy pairs"),
        ("CARRYOVER_LOG_LEVEL", "loud", "debug, info, warning or error"),
    ],
)
def test_bad_value_names_key_value_and_what_is_expected(key, value, expected):
    with pytest.raises(SettingError) as caught:
        read_settings({key: value})

    assert f"{key} has value {value!r}; expected {expected}" in str(caught.value)


def test_password_of_an_address_is_not_shown():
    with pytest.raises(SettingError) as caught:
        read_settings({"CARRYOVER_MEMORY": "reddis://user:secret@example.org"})

    assert "reddis://***@example.org" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_policies_of_single_models_are_read():
    settings = read_settings({"CARRYOVER_POLICIES": "nature=replay, taxi=reset"})

    assert settings.policies == {"nature": "replay", "taxi": "reset"}


def test_settings_know_every_policy():
    assert settings_policies == POLICIES


def test_unknown_setting_names_the_known_ones():
    with pytest.raises(SettingError, match=r"CARRYOVER_PROT='1' is no setting.*_PORT"):
        read_settings({"CARRYOVER_PROT": "1"})


def test_memory_of_one_process_refuses_two_workers():
    with pytest.raises(SettingError, match="Set CARRYOVER_WORKERS=1"):
        read_settings({"CARRYOVER_MEMORY": "memory://"})


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("localhost", False),
        ("[::1]", False),
        ("0.0.0.0", True),
        ("[::]", True),
        ("10.1.2.3", True),
        ("service.example", True),
    ],
)
def test_address_of_other_machines_needs_keys_or_warns(host, is_open):
    environ = {"CARRYOVER_HOST": host}

    warning = find_exposure(read_settings(environ))

    assert (warning is not None) == is_open
    if is_open:
        assert host in warning
    environ["CARRYOVER_API_KEYS_FILE"] = "keys"
    assert find_exposure(read_settings(environ)) is None


def test_open_service_warns_at_its_start(tmp_path):
    code = (
        "import logging; from types import SimpleNamespace\n"
        "from service import gunicorn_config\n"
        "log = logging.getLogger()\n"
        "gunicorn_config.when_ready(SimpleNamespace(reload=None, log=log))"
    )
    environ = {"CARRYOVER_HOST": "0.0.0.0", "CARRYOVER_STATE": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )

    assert "can be reached by other machines" in done.stderr


def test_reference_has_the_table():
    page = ROOT / "docs" / "reference" / "settings.md"

    assert page.read_text().endswith("\n" + describe_settings() + "\n"), (
        "write the table again: service.settings.describe_settings() returns it"
    )
