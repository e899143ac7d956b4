"""Any graph: what `model.predict` says over HTTP, or a sentence, never a traceback.

A few graphs of fixed seeds; `make random-graphs` tries 2,000, and others with SEED.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import requests
from werkzeug.serving import make_server

pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from models import layer_kinds  # noqa: E402
from service.app import build_services, create_app  # noqa: E402
from service.settings import read_settings  # noqa: E402
from tests.models.random_graphs import (  # noqa: E402
    TIMESTEPS,
    draw_events,
    draw_graph,
    find_subjects,
)
from tests.models.random_layers import NOT_DRAWN, find_layers  # noqa: E402
from training.errors import ModelError  # noqa: E402
from training.export_keras import Order, export_file  # noqa: E402

# Read at import: a fixture hides the settings of the shell.
GRAPHS = int(os.environ.get("CARRYOVER_GRAPHS", "32"))
FIRST = int(os.environ.get("CARRYOVER_GRAPHS_SEED", "0"))
# Graphs a service has at a time.
AT_ONCE = 60
# Of ten graphs, how many that cannot stream are tried with --window, as its sentence
# says: an export each. All where as many graphs are tried as a service has.
WINDOWS = 1 if GRAPHS < AT_ONCE else 10
# Of an output, relative to its size where that is above 1.
TOLERANCE = 1e-5
# Of the plausible graphs and of those about one of all layers, far below what is
# measured (docs/how-to/bring-a-keras-model.md); what refuses everything fails.
LEAST_SHARES = {"plausible": 0.5, "any layer": 0.25}


def test_every_layer_of_keras_has_a_kind():
    kinds = [layer_kinds.ALONE, layer_kinds.REMEMBERS, layer_kinds.FOLDS]
    known = {*layer_kinds.PARTS, *layer_kinds.REFUSED}.union(*kinds)

    missing = set(find_layers()) - known

    assert not missing, f"say in models/layer_kinds.py what {missing} do with timesteps"


def test_no_layer_is_left_out_without_a_reason():
    assert set(NOT_DRAWN) <= set(find_layers())
    assert all(NOT_DRAWN.values())


@pytest.mark.parametrize("start", range(8))
def test_every_layer_is_placed_in_a_graph(start):
    subjects = find_subjects()
    # Seeds of graphs about one layer are odd, a layer after another.
    for seed in range(2 * start + 1, 2 * len(subjects), 16):
        graph = draw_graph(seed)
        subject = subjects[seed // 2 * 37 % len(subjects)]
        assert subject in graph.names


def publish(seed, folder, window=None):
    """Export one graph; the model, or the sentence that refuses it."""
    model = draw_graph(seed).model
    path = folder / f"graph{seed}.keras"
    model.save(path)
    order = Order(path, f"graph{seed}", compiled=False, window=window)
    try:
        export_file(order, folder / "artifacts")
    except ModelError as error:
        sentence = str(error)
        assert re.fullmatch(r"[^\n]+\.", sentence), sentence
        assert "Traceback" not in sentence
        assert sentence.count(". ") >= 1, sentence  # the reason, then the way out
        return sentence
    return model


@contextmanager
def serve(folder):
    """Serve the exported graphs over HTTP, in this process: it has TensorFlow already.

    Yields:
        A function from a seed and a row to the answer.
    """
    paths = {"MODELS": "artifacts", "TOKEN_KEY_FILE": "token.key", "STATE": "state"}
    environ = {f"CARRYOVER_{k}": str(folder / name) for k, name in paths.items()}
    environ |= {"CARRYOVER_MEMORY": "memory://", "CARRYOVER_WORKERS": "1"}
    services = build_services(read_settings(environ))
    server = make_server("127.0.0.1", 0, create_app(services))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.port}/v1/models/graph"
    try:
        yield lambda seed, row: requests.post(
            f"{url}{seed}:predict", json={"instances": [row]}, timeout=60
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def list_events(model, sequence):
    """Turn the arrays of a model's inputs into events of a client."""
    if not isinstance(sequence, dict):
        return sequence[0].tolist()
    return [
        {x.name: pick_event(x, sequence, k) for x in model.inputs}
        for k in range(TIMESTEPS)
    ]


def pick_event(tensor, sequence, k):
    """Return what an input gets with event k: the same where it has no timesteps."""
    values = sequence[tensor.name][0]
    return (values if len(tensor.shape) == 2 else values[k]).tolist()


def cut(sequence, stop):
    """Cut sequences of inputs to their first events."""
    if not isinstance(sequence, dict):
        return sequence[:, :stop]
    return {
        name: values[:, :stop] if values.ndim > 2 else values
        for name, values in sequence.items()
    }


def expect(model, sequence, stop):
    """Return the outputs of a model for the first events, by name.

    All events go through `model.predict`; fewer through the same without compiling.
    """
    given = cut(sequence, stop)
    whole = stop == TIMESTEPS
    outputs = model.predict(given, verbose=0) if whole else model(given, training=False)
    arrays = [np.asarray(x, "float32")[0] for x in keras.tree.flatten(outputs)]
    names = ["values"] if len(arrays) == 1 else model.output_names
    return dict(zip(names, arrays, strict=True))


def assert_equal_over_http(predict, seed, model, is_window):
    """Send events singly and compare each answer with the model on all so far."""
    sequence = draw_events(model, TIMESTEPS, seed)
    events = list_events(model, sequence)
    is_whole = is_window or model.inputs[0].shape[1]
    for stop in range(1, TIMESTEPS + 1):
        row = {"sequence": events[stop - 1 : stop], "session": f"graph {seed}"}
        response = predict(seed, row)
        if is_whole and stop < TIMESTEPS:
            continue
        expected = expect(model, sequence, stop)
        if not all(np.isfinite(x).all() for x in expected.values()):
            assert response.json()["code"]
            return
        assert response.status_code == 200, response.text
        assert_close(response.json()["predictions"][0], expected)


def assert_close(answer, expected):
    """Compare an answer with the last timestep that a model says."""
    for name, values in expected.items():
        got = np.array(answer[name], "float32")
        last = values if got.ndim == values.ndim else values[-1]
        atol = TOLERANCE * max(1.0, np.abs(values).max())
        np.testing.assert_allclose(got, last, rtol=0, atol=atol, err_msg=name)


def try_graphs(seeds, folder):
    """Publish graphs, those that cannot stream as windows, and compare the answers.

    Returns:
        What became of each seed: `streamed`, `windowed` or the sentence.
    """
    folder.mkdir()
    models, became = {}, {}
    for seed in seeds:
        result, became[seed] = publish(seed, folder), "streamed"
        is_tried = seed // 2 % 10 < WINDOWS
        if is_tried and isinstance(result, str) and "--window N" in result:
            became[seed], result = "windowed", publish(seed, folder, TIMESTEPS)
        if isinstance(result, str):
            became[seed] = result
        else:
            models[seed] = result
    with serve(folder) as predict:
        for seed, model in models.items():
            assert_equal_over_http(predict, seed, model, became[seed] == "windowed")
    keras.backend.clear_session()
    return became


def test_random_graphs_equal_predict_or_are_refused(tmp_path, capsys):
    became = {}
    for start in range(FIRST, FIRST + GRAPHS, AT_ONCE):
        seeds = range(start, min(start + AT_ONCE, FIRST + GRAPHS))
        became |= try_graphs(seeds, tmp_path / str(start))

    lines, shares = describe(became)
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    for kind, least in LEAST_SHARES.items():
        assert shares[kind] >= least


def describe(became):
    """Write what became of the graphs; the share that streams, by their kind."""
    lines, shares = [], {}
    for parity, kind in enumerate(LEAST_SHARES):
        results = [x for seed, x in became.items() if seed % 2 == parity]
        counts = Counter(x if x in ("streamed", "windowed") else "" for x in results)
        shares[kind] = counts["streamed"] / len(results)
        lines.append(
            f"{len(results)} graphs, {kind}: {counts['streamed']} streamed "
            f"({shares[kind]:.0%}), {counts['']} refused, {counts['windowed']} refused "
            "and served with --window N"
        )
    return lines, shares
