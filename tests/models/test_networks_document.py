"""docs/reference/networks.md says of every network what Keras builds."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

from models.features import encode_sequence, sequence_input
from models.networks import CELLS, build_network
from models.schemas import KINDS, TIME_FEATURES
from tests.servers import ROOT

pytestmark = pytest.mark.tensorflow

SIZES = [(1, 1), (3, 2), (5, 16), (13, 7)]
NUMBER = {"name": "value", "type": "number", "mean": 0.0, "std": 1.0}


def read_table(section):
    """Read a section's table: rows as lists of cells, the header left out."""
    text = (ROOT / "docs" / "reference" / "networks.md").read_text()
    body = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.S | re.M).group(1)
    rows = [line for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def formulas(cell):
    """Find the formulas of a cell, between backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def evaluate(formula, **sizes):
    """Compute a formula of the document: products and sums of sizes, nothing else."""
    assert re.fullmatch(r"[\w\s*+()]+", formula), formula
    return eval(formula, {"__builtins__": {}}, sizes)


def documented_cells():
    return {formulas(row[0])[0]: row[1:] for row in read_table("Cells")}


def find_row(section, beginning):
    """Find the only row with this first cell, or beginning of it."""
    rows = [row for row in read_table(section) if row[0].startswith(beginning)]
    assert len(rows) == 1, beginning
    return rows[0]


def head_of(kind, u, labels=3, horizon=2, quantiles=None):
    """Build a network with a head and count the head's parameters."""
    names = [f"name {k}" for k in range(labels)]
    if kind == "forecast":
        inputs = {"kind": "record", "fields": [NUMBER]}
        outputs = {"kind": kind, "name": kind, "field": "value", "horizon": horizon}
        outputs |= {"quantiles": quantiles} if quantiles else {}
    else:
        inputs = {"kind": "event", "vocabulary": names}
        outputs = {"kind": kind, "name": "probabilities", "labels": names}
    if kind == "duration":
        outputs |= {"quantiles": [0.1, 0.5, 0.9], "mean": 1.0, "std": 1.0}
    network = build_network(inputs, outputs, cell="rnn", units=(u,))
    recurrent = next(x for x in network.layers if isinstance(x, keras.layers.RNN))
    return network.count_params() - recurrent.count_params()


def encode(inputs, embedding=None):
    """Encode an input: how many features, how many parameters."""
    sequence = sequence_input(inputs)
    features = encode_sequence(sequence, inputs, embedding)
    return features.shape[-1], keras.Model(sequence, features).count_params()


def test_every_cell_is_documented_with_equation_and_source():
    documented = documented_cells()

    assert documented.keys() == CELLS.keys()
    for equations, *_, source in documented.values():
        assert "h = " in equations
        assert re.search(r"\]\(https://\S+\), \d{4}", source)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("n", "u"), SIZES)
def test_formula_counts_the_parameters_of_the_real_layer(cell, n, u):
    layer = CELLS[cell](u, return_sequences=True)
    layer.build((None, None, n))

    formula = formulas(documented_cells()[cell][2])[0]

    assert evaluate(formula, n=n, u=u) == layer.count_params()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("n", "u"), SIZES)
def test_formula_counts_the_memory_of_the_real_layer(cell, n, u):
    layer = CELLS[cell](u, return_sequences=True)
    layer.build((None, None, n))
    state = keras.tree.flatten(layer.get_initial_state(1))

    formula = formulas(documented_cells()[cell][1])[0]

    assert evaluate(formula, u=u) == sum(int(np.prod(one.shape)) for one in state)


@pytest.mark.parametrize("v", [1, 4])
@pytest.mark.parametrize("e", [2, 5])
@pytest.mark.parametrize(("row", "choice"), [("event, one", 0), ("event, emb", 0)])
def test_formula_counts_the_features_of_an_event(row, choice, v, e):
    inputs = {"kind": "event", "vocabulary": [f"name {k}" for k in range(v)]}
    _, _, features, parameters = find_row("Inputs", row)

    built = encode(inputs, e if "emb" in row else None)

    documented = [formulas(cell)[choice] for cell in (features, parameters)]
    assert built == tuple(evaluate(one, v=v, e=e) for one in documented)


@pytest.mark.parametrize("embedding", [None, 3])
def test_formula_counts_the_features_of_a_category(embedding):
    field = {"name": "door", "type": "category", "vocabulary": ["open", "shut"]}
    _, _, features, parameters = find_row("Inputs", "category")

    built = encode({"kind": "record", "fields": [field]}, embedding)

    choice = 0 if embedding is None else 1
    documented = [formulas(cell)[choice] for cell in (features, parameters)]
    assert built == tuple(evaluate(one, v=2, e=embedding) for one in documented)


@pytest.mark.parametrize("name", ["number", *TIME_FEATURES])
def test_formula_counts_the_features_of_a_number_and_of_a_time(name):
    time = {"name": "time", "type": "time", "features": [name]}
    field = NUMBER if name == "number" else time
    row = find_row("Inputs", "number" if name == "number" else f"`{name}`")

    built = encode({"kind": "record", "fields": [field]})

    assert built == tuple(evaluate(formulas(cell)[0]) for cell in row[2:])


@pytest.mark.parametrize("option", ["layer_norm", "dropout"])
def test_formula_counts_the_parameters_of_an_option(option):
    inputs = {"kind": "event", "vocabulary": ["a", "b"]}
    outputs = {"kind": "label", "name": "probabilities", "labels": ["a", "b"]}
    plain = build_network(inputs, outputs, units=(5,))
    chosen = build_network(inputs, outputs, units=(5,), **{option: 0.5})

    formula = formulas(find_row("Between layers", f"`{option}`")[2])[0]

    assert chosen.count_params() - plain.count_params() == evaluate(formula, u=5)


@pytest.mark.parametrize("u", [1, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_formula_counts_the_parameters_of_a_head(kind, u):
    rows = [row for row in read_table("Heads") if row[0] == f"`{kind}`"]

    assert len(rows) == 1
    formula = formulas(rows[0][2])[0]
    assert evaluate(formula, u=u, l=3, H=2, Q=3) == head_of(kind, u)


@pytest.mark.parametrize("quantiles", [[0.5], [0.1, 0.5, 0.9]])
def test_formula_counts_the_parameters_of_quantiles(quantiles):
    formula = formulas(find_row("Heads", "`forecast` with")[2])[0]

    counted = evaluate(formula, u=4, H=2, Q=len(quantiles))

    assert counted == head_of("forecast", 4, quantiles=quantiles)


def test_document_with_a_wrong_formula_would_fail():
    layer = CELLS["gru"](4, return_sequences=True)
    layer.build((None, None, 3))

    # The GRU as papers draw it has one bias a gate; Keras's has two.
    assert evaluate("3 * u * (n + u + 1)", n=3, u=4) != layer.count_params()
