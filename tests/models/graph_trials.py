"""Trials of random graphs: exported, served over HTTP, compared, or refused."""

from __future__ import annotations

import os
import re
import shutil
import threading
import traceback
from collections import Counter
from contextlib import contextmanager
from typing import NamedTuple

import keras
import numpy as np
import requests
from werkzeug.serving import make_server

from models.keras_graph import find_embeddings, find_graph
from service.app import build_services, create_app
from service.settings import read_settings
from tests.models.random_graphs import TIMESTEPS, draw_events, draw_graph
from training.errors import ModelError
from training.export_keras import ExportRequest, export_file

# Read at import: a fixture hides the settings of the shell.
FEW = 20
GRAPHS = int(os.environ.get("CARRYOVER_GRAPHS", FEW))
FIRST = int(os.environ.get("CARRYOVER_GRAPHS_SEED", "0"))
# Graphs a service has at a time.
AT_ONCE = 30
# Of ten graphs, how many that cannot stream are tried with --window, as its sentence
# says: an export each. All where more graphs are tried than in the tests.
WINDOWS = 1 if GRAPHS <= FEW else 10
# Of an output, relative to its size where that is above 1.
TOLERANCE = 1e-5
# Reasons of Keras itself for what it cannot run differ in every number.
DETAILS = re.compile(
    r"^.*?\.keras: |layer '[^']*' |'[^']*'|\([^()]*\)|\[[^]]*\]|-?\d[\d.e+-]*"
)


class Outcome(NamedTuple):
    """Outcome of a graph's trial.

    Args:
        kind: `streamed`, `windowed` (refused as a stream, served with --window N),
            `refused`, `wrong` (other numbers than the model's) or `failed` (with
            anything else than a sentence).
        sentence: The refusal as a stream or at last, the difference, or the trace.
    """

    kind: str
    sentence: str = ""

    @property
    def reason(self):
        """The refusal without names, shapes, numbers, and without the way out."""
        plain = DETAILS.sub("", self.sentence).partition(". ")[0]
        return " ".join(re.split(r"[;:]", plain)[0].split())


def publish(model, seed, folder, window=None):
    """Export one graph; None, or the sentence that refuses it."""
    path = folder / f"graph{seed}.keras"
    model.save(path)
    order = ExportRequest(path, f"graph{seed}", compiled=False, window=window)
    try:
        export_file(order, folder / "artifacts")
    except ModelError as error:
        sentence = str(error)
        assert re.fullmatch(r"[^\n]+\.", sentence), sentence
        assert "Traceback" not in sentence
        assert sentence.count(". ") >= 1, sentence  # the reason, then the way out
        return sentence
    return None


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


def draw_indices(model, sequence):
    """Make indices of the numbers that an Embedding, in a timestep, looks up."""
    sizes = find_embeddings(find_graph(model))
    named = sequence if isinstance(sequence, dict) else {model.inputs[0].name: sequence}
    for k, tensor in enumerate(model.inputs):
        if k in sizes and len(tensor.shape) > 2:
            values = np.abs(named[tensor.name] * 10) // 1 % sizes[k]
            named = {**named, tensor.name: values}
    return named if isinstance(sequence, dict) else next(iter(named.values()))


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
    sequence = draw_indices(model, draw_events(model, TIMESTEPS, seed))
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


def export_graph(seed, folder):
    """Publish a graph, as a window where it cannot stream and that is to be tried.

    Returns:
        The model, and what became of it so far.
    """
    try:
        model = draw_graph(seed).model
        sentence = publish(model, seed, folder)
        if sentence is None:
            return model, Outcome("streamed")
        if "--window" not in sentence or seed // 2 % 10 >= WINDOWS:
            return model, Outcome("refused", sentence)
        last = publish(model, seed, folder, TIMESTEPS)
        return model, Outcome("refused" if last else "windowed", last or sentence)
    except Exception:
        return None, Outcome("failed", traceback.format_exc())


def try_graphs(seeds, folder):
    """Publish graphs and compare what a service answers with what the models say.

    Yields:
        Each seed and its outcome.
    """
    tried = {seed: export_graph(seed, folder) for seed in seeds}
    with serve(folder) as predict:
        for seed, (model, outcome) in tried.items():
            if outcome.kind in ("streamed", "windowed"):
                is_window = outcome.kind == "windowed"
                outcome = compare(predict, seed, model, is_window) or outcome
            yield seed, outcome
    keras.backend.clear_session()


def compare(predict, seed, model, is_window):
    """Compare answers with the model: None, or what is wrong with them."""
    try:
        assert_equal_over_http(predict, seed, model, is_window)
    except AssertionError as error:
        return Outcome("wrong", str(error))
    except Exception:
        return Outcome("failed", traceback.format_exc())
    return None


def try_kind(parity, folder, write):
    """Try all graphs of a kind, and write what became of them.

    Args:
        parity: Of the seeds: 0 for plausible graphs, 1 for those about any layer.
        folder: An empty one.
        write: Called with lines for who runs the tests.

    Returns:
        The share that streams.
    """
    outcomes = {}
    seeds = range(FIRST + (FIRST + parity) % 2, FIRST + GRAPHS, 2)
    for start in range(0, len(seeds), AT_ONCE):
        part = folder / str(start)
        part.mkdir()
        for seed, outcome in try_graphs(seeds[start : start + AT_ONCE], part):
            outcomes[seed] = outcome
            if GRAPHS > FEW:
                write(f"{seed} {outcome.kind} {outcome.sentence}")
        shutil.rmtree(part)
    share, lines = describe(outcomes.values())
    write("\n" + "\n".join(lines))
    bad = {s: o for s, o in outcomes.items() if o.kind in ("wrong", "failed")}
    assert not bad, bad
    return share


def describe(outcomes):
    """Return the share of graphs that stream, and lines on the others by reason."""
    kinds = Counter(x.kind for x in outcomes)
    share = kinds["streamed"] / len(outcomes)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    reasons = Counter(x.reason for x in outcomes if x.kind in ("refused", "windowed"))
    lines = [f"{len(outcomes)} graphs: {counts}; {share:.0%} streamed. Refused:"]
    lines += [f"{count:6} {reason}" for reason, count in reasons.most_common()]
    return share, lines
