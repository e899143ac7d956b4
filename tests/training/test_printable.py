"""Names in files do not command the terminal that they are shown on."""

import tomllib

import pytest

from training.__main__ import main
from training.toml import write_toml

NAME = "ev\x1b[31m\x07\x9b\u202e\u2028\U000e0001ent"


@pytest.mark.parametrize("case", ["case", "cases"])
def test_names_of_columns_are_shown_without_controls(tmp_path, capsys, case):
    file = tmp_path / "log.csv"
    file.write_text(f"case,{NAME}\n" + "1,a\n2,b\n" * 9, encoding="utf-8")

    main(["inspect", str(file), "--case", case])

    printed = "".join(capsys.readouterr())
    assert r"ev\u001b[31m\u0007\u009b\u202e\u2028\U000e0001ent" in printed
    assert all(c.isprintable() or c == "\n" for c in printed)


def test_a_configuration_has_escapes_that_read_as_the_characters():
    written = write_toml({"name": NAME})

    assert tomllib.loads(written) == {"name": NAME}
