from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from training.config import load_config
from training.errors import ConfigError, ModelError
from training.key_reference import describe_keys
from training.names import NAME_WORDS, check_name
from training.sources import SOURCES
from training.toml import write_toml

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
BUNDLED = sorted(path.stem for path in CONFIGS.glob("*.toml"))

MINIMAL = """
name = "tiny"

[data]
source = "series"
file = "tiny.csv"
time_column = "time"
value_column = "value"
horizon = 2
held_out = 0.25
window = 8
stride = 2

[network]
cell = "gru"
units = [4, 3]

[training]
epochs = 3
batch_size = 2
learning_rate = 0.01
"""


@pytest.fixture
def write_config(tmp_path):
    """Write a configuration file, one piece of text replaced."""

    def write(old="", new=""):
        path = tmp_path / "tiny.toml"
        assert old in MINIMAL
        path.write_text(MINIMAL.replace(old, new, 1) if old else MINIMAL)
        return path

    return write


def test_every_source_has_a_bundled_configuration():
    sources = [load_config(CONFIGS / f"{name}.toml").data.source for name in BUNDLED]

    assert set(sources) == set(SOURCES)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_configuration_is_valid_and_named_after_its_file(name):
    assert load_config(CONFIGS / f"{name}.toml").name == name


@pytest.mark.parametrize("name", BUNDLED)
def test_every_key_of_a_bundled_configuration_has_a_comment(name):
    lines = (CONFIGS / f"{name}.toml").read_text().splitlines()

    silent = [
        line
        for before, line in pairwise(lines)
        if "=" in line.partition("#")[0] and "#" not in line and before[:1] != "#"
    ]

    assert [line for line in silent if not line.startswith(("name", "source"))] == []


def test_a_number_where_text_is_expected_is_to_be_put_in_quotes(tmp_path):
    file = tmp_path / "mine.toml"
    bundled = (CONFIGS / "visits.toml").read_text()
    file.write_text(bundled.replace('# fold = "0"', "fold = 1"))

    with pytest.raises(ConfigError, match=r'expected text\. Write it in quotes: "1"\.'):
        load_config(file)
    # The shell takes the outer quotes.
    with pytest.raises(ConfigError, match=r"Write it in quotes: '\"2\"'\."):
        load_config(CONFIGS / "visits.toml", ["data.fold=2"])
    assert load_config(CONFIGS / "visits.toml", ['data.fold="2"']).data.fold == "2"


def test_reference_has_every_key_with_type_default_and_meaning():
    page = (CONFIGS.parents[1] / "docs/reference/configuration.md").read_text()

    assert page.endswith("\n" + describe_keys() + "\n"), (
        "write the tables again, all from 'The top of the file' on: "
        "python -m training.key_reference prints them"
    )
    silent = re.findall(r"^\| `(\w+)` .*\|  \|$", page, re.M)
    assert set(silent) == {"source"}


@pytest.mark.parametrize("name", ["a", "7", "_a", "a.b-c_d", "a" * 64])
def test_names_of_models_are_those_that_export_takes(write_config, name):
    check_name(name)

    assert load_config(write_config("tiny", name)).name == name


@pytest.mark.parametrize("name", ["", ".a", "-a", "..", "a b", "a/b", "a" * 65])
def test_names_that_export_refuses_are_refused_with_the_same_words(write_config, name):
    with pytest.raises(ModelError) as refused:
        check_name(name)
    with pytest.raises(ConfigError) as error:
        load_config(write_config('name = "tiny"', f'name = "{name}"'))

    assert NAME_WORDS in str(refused.value)
    assert NAME_WORDS in str(error.value)


def test_missing_optional_keys_take_their_defaults(write_config):
    config = load_config(write_config())

    assert (config.seed, config.decision.threshold) == (0, None)
    assert (config.network.embedding, config.network.dropout) == (None, 0.0)
    assert config.network.layer_norm is False
    assert config.data.season_rows is None
    assert config.data.quantiles is None
    assert config.data.time_features == ("time_of_day", "day_of_week")


def test_resolved_configuration_holds_every_section(write_config):
    resolved = load_config(write_config()).resolved()

    layers = {"embedding": None, "dropout": 0.0, "layer_norm": False}
    assert resolved["network"] == {"cell": "gru", "units": (4, 3), **layers}
    assert resolved["data"]["source"] == "series"
    assert resolved["decision"] == {"threshold": None}


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("training.epochs=7", lambda config: config.training.epochs == 7),
        ("network.units=[8]", lambda config: config.network.units == (8,)),
        ("network.cell=lstm", lambda config: config.network.cell == "lstm"),
        ('network.cell="lstm"', lambda config: config.network.cell == "lstm"),
        ("network.cell=peephole", lambda config: config.network.cell == "peephole"),
        ("network.embedding=8", lambda config: config.network.embedding == 8),
        ("network.dropout=0.5", lambda config: config.network.dropout == 0.5),
        ("network.layer_norm=true", lambda config: config.network.layer_norm is True),
        ("decision.threshold=0.5", lambda config: config.decision.threshold == 0.5),
        ("data.season_rows.day=4", lambda config: config.data.season_rows["day"] == 4),
        ("data.quantiles=[0.1, 0.9]", lambda c: c.data.quantiles == (0.1, 0.9)),
        (
            'data.time_features=["time_since_previous"]',
            lambda config: config.data.time_features == ("time_since_previous",),
        ),
        ("training.learning_rate=1", lambda config: config.training.learning_rate == 1),
        ("training.patience=3", lambda config: config.training.patience == 3),
        ("training.clip_norm=0", lambda config: config.training.clip_norm == 0),
        (
            "training.class_weights=balanced",
            lambda config: config.training.class_weights == "balanced",
        ),
        (
            'training.class_weights={ "a b" = 2 }',
            lambda config: config.training.class_weights == {"a b": 2},
        ),
        (" seed = 3 ", lambda config: config.seed == 3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_override_replaces_a_key(write_config, override, read):
    assert read(load_config(write_config(), [override]))


def test_a_global_norm_replaces_the_norm_of_each_array(write_config):
    plain = load_config(write_config()).training
    given = load_config(write_config(), ["training.clip_global_norm=2"])

    assert (plain.clip_norm, plain.clip_global_norm) == (1.0, 0.0)
    assert (given.training.clip_norm, given.training.clip_global_norm) == (0.0, 2)
    # What is kept with a run can be read again.
    kept = {key: value for key, value in given.resolved().items() if value is not None}
    kept["training"] = {k: v for k, v in kept["training"].items() if v is not None}
    again = [f"training.{k}={v!r}" for k, v in kept["training"].items()]
    assert load_config(write_config(), again).training == given.training


# Keys below `epochs = 3`, and what is said of them.
WRONG_TRAINING = (
    ('schedule = "linear"', "schedule is 'linear'", "one of cosine, constant, step"),
    ("warmup_epochs = -1", "training.warmup_epochs is -1", "from 0 to"),
    ("warmup_epochs = 3", "warmup_epochs is 3", "fewer than training.epochs, 3."),
    ('schedule = "step"', "training.decay_epochs is missing", "such as 1."),
    ('schedule = "step"\ndecay_epochs = 0', "decay_epochs is 0", "greater than 0"),
    ('schedule = "step"\ndecay_rate = 1', "decay_rate is 1", "less than 1"),
    ("decay_epochs = 2", "decay_epochs is 2", "none with the schedule 'cosine'"),
    ("decay_rate = 0.5", "decay_rate is 0.5", 'set training.schedule = "step"'),
    ("clip_norm = -1", "training.clip_norm is -1", "from 0 to 1,000,000"),
    ("clip_global_norm = -1", "clip_global_norm is -1", "from 0 to 1,000,000"),
    (
        "clip_norm = 1\nclip_global_norm = 2",
        "clip_global_norm is 2; expected 0 or none, as training.clip_norm is 1",
        "Leave one of them out.",
    ),
    ("label_smoothing = 1", "training.label_smoothing is 1", "from 0 to 0.9"),
    ('class_weights = "even"', "class_weights is 'even'", '"balanced", or a table'),
    ("class_weights = {}", "class_weights is {}", "numbers above 0 by label"),
    ("class_weights = { a = 0 }", "class_weights is {'a': 0}", "numbers above 0"),
    ("patience = 0", "training.patience is 0", "a whole number from 1"),
)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("epochs = 3", "epoch = 3", ["training.epoch is not", "Did you mean epochs?"]),
        ("epochs = 3", "", ["training.epochs is missing", "from 1 to 100,000"]),
        ("epochs = 3", "epochs = 0", ["training.epochs is 0", "from 1 to"]),
        ("epochs = 3", "epochs = true", ["epochs is True", "a whole number"]),
        ("epochs = 3", "epochs = 2.5", ["epochs is 2.5", "a whole number"]),
        ('"gru"', '"gro"', ["network.cell is 'gro'", "one of lstm, gru, rnn"]),
        ("units =", "dropout = 1\nunits =", ["dropout is 1", "from 0 to 0.95"]),
        ("units =", "layer_norm = 1\nunits =", ["layer_norm is 1", "true or false"]),
        ("units =", "embedding = 0\nunits =", ["embedding is 0", "a whole number"]),
        ("[4, 3]", "[]", ["network.units is []", "(at least one), each from 1"]),
        ("[4, 3]", "[4, 'b']", ["network.units", "a list of whole numbers"]),
        ("[4, 3]", "4", ["network.units is 4", "a list of whole numbers"]),
        ("0.01", "nan", ["learning_rate is nan", "a number"]),
        ("0.01", "0", ["learning_rate is 0", "greater than 0"]),
        *(
            ("epochs = 3", f"epochs = 3\n{keys}", parts)
            for keys, *parts in WRONG_TRAINING
        ),
        ('"tiny"', '"../tiny"', ["name is '../tiny'", "letters, digits"]),
        ("[network]", "[networks]", ["networks is not a key", "mean network?"]),
        (
            "[network]",
            "[decision]\ncell = 1\n[network]",
            ["decision.cell is not a key"],
        ),
        ('"series"', '"serie"', ["data.source is 'serie'", "series, nature"]),
        ('source = "series"', "", ["data.source is missing", "series, nature"]),
        ("horizon = 2", "horizon = 'x'", ["data.horizon is 'x'", "a whole number"]),
        ("stride = 2", "season_rows = 4", ["data.stride is missing"]),
        ("stride = 2", "stride = 2\nseason_rows = 4", ["season_rows is 4", "a table"]),
        ("stride = 2", "stride = 2\nquantiles = [0.5, 0.5]", ["greater than the one"]),
        ("stride = 2", "stride = 2\nquantiles = [1.5]", ["greater than 0 and less"]),
        ("stride = 2", "stride = 2\nquantiles = []", ["at least one"]),
        ("stride = 2", "stride = 2\nquantiles = [true]", ["a list of numbers"]),
        (
            "stride = 2",
            'stride = 2\ntime_features = ["hour"]',
            ["data.time_features is ['hour']", "time_since_previous"],
        ),
        (
            "stride = 2",
            'stride = 2\ntime_features = ["day_of_week", "day_of_week"]',
            ["none twice"],
        ),
        ("[training]", "[training", ["is not valid TOML", "line"]),
        ("[network]", "network = 1\n[other]", ["other is not a key"]),
    ],
)
def test_wrong_configuration_names_file_key_value_and_expectation(
    write_config, old, new, parts
):
    path = write_config(old, new)

    with pytest.raises(ConfigError) as raised:
        load_config(path)

    message = str(raised.value)
    assert str(path) in message
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("training.epochs", "is not key=value"),
        ("=3", "is not key=value"),
        ("training.=3", "is not key=value"),
        ("training.epochs=many", "--set: training.epochs is 'many'"),
        ("training.epoch=3", "--set: training.epoch is not a key"),
        ("name.first=3", "--set: name is 'tiny'"),
        ("data.season_rows.day=soon", "--set: data.season_rows is"),
    ],
)
def test_wrong_override_names_itself(write_config, override, part):
    with pytest.raises(ConfigError, match=r".") as raised:
        load_config(write_config(), [override])

    assert part in str(raised.value)


def test_weights_of_labels_are_written_and_read_again(write_config, tmp_path):
    weights = 'training.class_weights={ plain = 2, "with space" = 0.5, "é\\"" = 1 }'
    config = load_config(write_config(), [weights])
    kept = tmp_path / "kept.toml"
    kept.write_text(write_toml(config.resolved()))

    assert load_config(kept).training == config.training
    assert config.training.class_weights["with space"] == 0.5


def test_missing_section_is_named(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(MINIMAL.partition("[training]")[0])

    with pytest.raises(ConfigError, match=r"section \[training\] is missing"):
        load_config(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        load_config(tmp_path / "none.toml")


def test_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match=r"tiny\.toml is not valid TOML"):
        load_config(path)


def test_brackets_too_deep_to_read_are_named(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text("name = " + "[" * 5_000 + "]" * 5_000)

    with pytest.raises(ConfigError, match="brackets"):
        load_config(path)


def test_override_of_brackets_too_deep_to_read_is_refused(write_config):
    deep = "[" * 5_000 + "]" * 5_000

    with pytest.raises(ConfigError, match=r"training\.epochs is"):
        load_config(write_config(), [f"training.epochs={deep}"])
