import pytest

from service.sessions.version_policy import POLICIES
from service.settings import POLICIES as settings_policies
from service.settings import (
    TABLE,
    SettingError,
    Settings,
    describe_settings,
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
        (
            "CARRYOVER_MEMORY",
            "lmbd://x",
            "lmdb://PATH, redis://HOST, rediss://HOST or memory://",
        ),
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


def test_reference_has_the_table():
    page = ROOT / "docs" / "reference" / "settings.md"

    assert page.read_text().endswith("\n" + describe_settings() + "\n")
