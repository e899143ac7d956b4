"""No secret of a setting is in an error: wherever it stands, however it is written."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.api_keys import check_keys_file
from service.common.text import redact
from service.settings import TABLE, SettingError, read_settings
from service.stores.redis.address import parse_address
from service.stores.schemes import open_store
from tests.servers import ROOT

SECRET = "hunter2"
PASSWORDS = [
    SECRET,
    *(
        text
        for mark in "/?#@:%[],&=+ {}\\"
        for text in (f"a{mark}{SECRET}", f"{SECRET}{mark}b", f"a{mark}{SECRET}{mark}b")
    ),
]
ADDRESSES = [
    "redis://u:{}@host",
    "redis://:{}@host:6379/0",
    "redis://{}@",
    "rediss://u:{}@host?cluster=maybe",
    "redis://u:{}@host?ca=/x",
    "redis://u:{}@host?prefix={{}}",
    "redis://u:{}@host:port",
    "redis://u:{}@host,other",
    "reddis://u:{}@host",
    "redis:/u:{}@host",
    "redis:u:{}@host",
    "u:{}@host",
    "memory://u:{}@host",
    "memory:u:{}@host",
    "lmdb:u:{}@host",
]


def errors_of(url):
    """Return what the service says of an address it cannot use."""
    said = [redact(url)]
    try:
        open_store(url).close()
        said.append(repr(parse_address(url)))
    except ValueError as error:
        said.append(str(error))
    for setting in TABLE:
        try:
            read_settings({f"CARRYOVER_{setting.name.upper()}": url})
        except SettingError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_error_shows_a_password_of_an_address(address):
    for password in PASSWORDS:
        for said in errors_of(address.format(password)):
            assert SECRET not in said, password


@given(st.text(max_size=12), st.text(max_size=12), st.sampled_from(ADDRESSES))
def test_no_text_around_a_password_makes_it_shown(before, after, address):
    url = address.format(before + SECRET + after)

    assert all(SECRET not in said for said in errors_of(url))


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "API_KEY", "SECRET", "TOKEN_KEYS"])
def test_unknown_setting_with_the_name_of_a_secret_is_named_only(name):
    with pytest.raises(SettingError) as caught:
        read_settings({f"CARRYOVER_{name}": SECRET})

    assert f"CARRYOVER_{name}='***'" in str(caught.value)


def test_key_in_the_place_of_the_keys_file_is_not_shown():
    key = "carryover_" + "x" * 43

    with pytest.raises(ValueError, match="cannot be read") as caught:
        check_keys_file(key)

    assert key not in str(caught.value)


@pytest.mark.parametrize("module", ["service", "service.wsgi"])
def test_command_shows_no_password(module):
    environ = {"CARRYOVER_MEMORY": f"redis://u:a/{SECRET}@host"}

    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=os.environ | environ | {"CARRYOVER_MODELS": "/nowhere"},
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert SECRET not in done.stdout + done.stderr
