"""The table `[tune]`: what it takes, and what is said of what it does not take."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.servers import ROOT
from training.__main__ import main
from training.config import check_config, load_config
from training.errors import ConfigError
from training.ranges import Range, check_ranges, read_ranges

BASE = """
name = "tickets"

[data]
source = "events"
file = "log.csv"
case = "ticket"
event = "what"

[network]
cell = "gru"
units = [4]

[training]
epochs = 3
batch_size = 16
learning_rate = 0.01

[tune]
"""


def read(lines):
    return read_ranges(tomllib.loads(BASE + lines), "mine.toml")


def test_lists_spans_steps_and_logarithms_are_read():
    ranges = read(
        "network.units = [[32], [64, 64]]\n"
        "network.dropout = { from = 0.0, to = 0.5, step = 0.1 }\n"
        "training.learning_rate = { from = 0.001, to = 0.1, log = true }\n"
        "training.batch_size = { from = 8, to = 64 }\n"
    )

    assert ranges == [
        Range("network.units", values=([32], [64, 64])),
        Range("network.dropout", low=0.0, high=0.5, step=0.1),
        Range("training.learning_rate", low=0.001, high=0.1, log=True),
        Range("training.batch_size", low=8, high=64),
    ]
    assert [one.is_whole for one in ranges[1:]] == [False, False, True]


def test_the_example_of_the_documentation_suits_the_bundled_configuration():
    page = (ROOT / "docs/how-to/tune.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    file = ROOT / "training/configs/visits.toml"
    table = tomllib.loads(file.read_text() + example)

    config = check_ranges(table, read_ranges(table, "tune.md"), "tune.md")

    assert config == load_config(file)


def test_a_key_that_only_the_search_has_takes_its_first_value():
    table = tomllib.loads(BASE + "training.learning_rate = [0.1, 0.2]\n")
    del table["training"]["learning_rate"]

    config = check_ranges(table, read_ranges(table, "mine.toml"), "mine.toml")

    assert config.training.learning_rate == 0.1


def test_a_training_ignores_the_table():
    config = check_config(tomllib.loads(BASE + "network.units = 3"), "mine.toml")

    assert "tune" not in config.resolved()


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ("", ["the section [tune] is empty", "training.learning_rate = {"]),
        ("data.window = [2, 3]", ["tune.data is not a key of [network] or [training]"]),
        ("seed = [1, 2]", ["tune.seed is not a key", "cannot be compared"]),
        ("network = 3", ["tune.network is not a key"]),
        ("network.unit = [[1], [2]]", ["tune.network.unit is", "Did you mean units?"]),
        ("network.units = [[1]]", ["network.units is [[1]]", "a list of two values"]),
        ("network.units = 3", ["network.units is 3", "or a range, such as { from"]),
        ("training.epochs = { from = 3 }", ["numbers `from` and `to`"]),
        ("training.epochs = { from = 3, to = 3 }", ["the second larger"]),
        ("training.epochs = { from = 3, top = 4 }", ["top is not a key", "mean to?"]),
        ("training.epochs = { from = 1, to = 3, step = 5 }", ["a `step` above 0"]),
        ("network.dropout = { from = 0.0, to = 0.5, log = true }", ["`from` above 0"]),
        ("network.dropout = { from = 0.1, to = 0.5, log = 1 }", ["`log = true` with"]),
        (
            "training.epochs = { from = 1, to = 3, step = 1, log = true }",
            ["and no `step`"],
        ),
        ("training.batch_size = { from = 0, to = 3 }", ["[tune]", "batch_size is 0"]),
        ("training.batch_size = { from = 1, to = 2.5 }", ["size is 2.5", "a whole"]),
        ("network.units = [[4], [0]]", ["network.units is [0]", "each from 1 to"]),
        ("training.warmup_epochs = [1, 3]", ["warmup_epochs is 3", "fewer than"]),
    ],
)
def test_wrong_ranges_are_refused_in_a_sentence_before_any_trial(
    tmp_path, capsys, lines, parts
):
    path = tmp_path / "mine.toml"
    path.write_text(BASE + lines)

    status = main(["tune", "--config", str(path), "--runs", str(tmp_path / "runs")])

    said = capsys.readouterr().err
    assert status == 2
    assert said.startswith(f"error: {path}")
    assert said.count("\n") == 1
    assert [part for part in parts if part not in said] == []


def test_a_configuration_without_the_table_is_refused():
    with pytest.raises(ConfigError, match=r"the section \[tune\] is missing; expected"):
        read_ranges(tomllib.loads(BASE.replace("[tune]", "")), "mine.toml")


def test_the_configuration_is_not_overwritten(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(BASE + "network.units = [[1], [2]]")

    assert main(["tune", "--config", str(path), "--write", str(path)]) == 2

    assert "the configuration itself" in capsys.readouterr().err


def test_without_optuna_the_file_to_install_is_named(tmp_path, capsys, monkeypatch):
    path = tmp_path / "mine.toml"
    path.write_text(BASE + "network.units = [[1], [2]]")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert main(["tune", "--config", str(path)]) == 2

    assert "pip install -r requirements-tune.txt" in capsys.readouterr().err


@pytest.mark.parametrize("trials", ["0", "-1", "many", "100001"])
def test_trials_are_a_whole_number(trials, capsys):
    with pytest.raises(SystemExit):
        main(["tune", "--config", "mine.toml", "--trials", trials])

    assert "expected a whole number, 1 to 100000" in capsys.readouterr().err
