"""The table of layers in the how-to says of every layer of Keras what the code does."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorflow

from models import layer_kinds  # noqa: E402
from models.forms import FORMS  # noqa: E402
from models.running import REDUCTIONS  # noqa: E402
from tests.models.random_layers import find_layers  # noqa: E402

HOW_TO = Path(__file__).parents[2] / "docs/how-to/bring-a-keras-model.md"
ROW = re.compile(r"\| ([^|]+) \| ([A-Za-z0-9, ]+) \|")


def read_table():
    """Map what each row says to the layers in it."""
    _, _, section = HOW_TO.read_text().partition("## Every layer of Keras\n")
    lines = section.partition("\n## ")[0].splitlines()
    rows = [row for line in lines if (row := ROW.fullmatch(line))]
    return {row[1]: row[2].split(", ") for row in rows if row[1] != "in a stream"}


def describe_code():
    """The same by the code: kinds that stream, and the reasons of those that do not."""
    said = defaultdict(list)
    said["applied to every timestep alone"] = layer_kinds.ALONE
    said["has a memory"] = layer_kinds.REMEMBERS
    said["folds timesteps into the batch"] = layer_kinds.FOLDS
    said["part of a layer or a graph"] = layer_kinds.PARTS
    for name, (reason, _) in layer_kinds.REFUSED.items():
        if name in find_layers():
            said[f"cannot: {reason}"].append(name)
    return {reason: sorted(names) for reason, names in said.items()}


def test_table_says_of_every_layer_what_the_code_does():
    table = read_table()

    assert table == describe_code()
    assert {name for names in table.values() for name in names} >= set(find_layers())


def test_only_layers_with_a_memory_have_a_form():
    formed = {
        name
        for name, kind in find_layers().items()
        if name in REDUCTIONS or issubclass(kind, tuple(FORMS))
    }

    assert formed - {"ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"} == {
        *layer_kinds.REMEMBERS,
        *layer_kinds.FOLDS,
    }
