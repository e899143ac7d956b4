"""Models trained on windows padded in front: over HTTP, `model.predict` of a window.

Exported by the command, as their authors would, and asked event by event.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

import keras  # noqa: E402
from keras import layers  # noqa: E402

from tests.servers import Server  # noqa: E402
from tests.training.keras_files import FEATURES, sequential  # noqa: E402
from training.__main__ import main  # noqa: E402
from training.export_keras import ExportRequest, export_file  # noqa: E402

TOLERANCE = 1e-5
WINDOW = 4
EVENTS = 6  # more than a window, so that the first leave it again
MISSING = -10.0
NAMES = ["open", "assign", "wait", "solve", "[padding]"]
PADDING = {"numbers": MISSING, "names": NAMES.index("[padding]")}


def pad(sequences, value):
    """Pad and cut sequences to windows, as training scripts do."""
    options = {"padding": "pre", "truncating": "pre", "value": value}
    return keras.utils.pad_sequences(sequences, WINDOW, "float32", **options)


def draw(kind, size):
    rng = np.random.default_rng(size)
    if kind == "names":
        return rng.integers(0, PADDING[kind], size).astype("float32")
    return rng.normal(size=(size, FEATURES)).round(2).astype("float32")


def make(kind):
    """Build a model without a mask that shows where its padding ends."""
    if kind == "names":
        first, shape = layers.Embedding(len(NAMES), 3), (WINDOW,)
    else:
        first, shape = layers.Rescaling(0.5), (WINDOW, FEATURES)
    model = sequential(first, layers.LSTM(4), layers.Dense(1), shape=shape)
    windows = pad([draw(kind, 1 + k % EVENTS) for k in range(64)], PADDING[kind])
    model.compile("adam", "mse")
    model.fit(windows, windows.reshape(64, -1).sum(axis=1), epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The trained models and the folder with their files."""
    folder = tmp_path_factory.mktemp("padded")
    trained = {kind: make(kind) for kind in PADDING}
    for kind, model in trained.items():
        model.save(folder / f"{kind}.keras")
    return trained, folder


@pytest.fixture(scope="module")
def published(models):
    """Return what the exports printed, and the folder of models."""
    _, folder = models
    artifacts, printed = folder / "artifacts", {}

    def order(kind, name, **options):
        file = folder / f"{kind}.keras"
        export_file(ExportRequest(file, name, compiled=False, **options), artifacts)

    with redirect_stdout(io.StringIO()) as output:
        # Compiled, and by the command; the others cost less.
        command = ["export", str(folder / "numbers.keras"), "--name", "numbers-window"]
        window = ["--window", str(WINDOW), f"--padding={MISSING}"]
        assert main([*command, *window, "--artifacts", str(artifacts)]) == 0
    printed["window"] = output.getvalue()
    padding = float(PADDING["names"])
    order("names", "names-window", events=NAMES, window=WINDOW, padding=padding)
    with redirect_stdout(io.StringIO()) as output:
        order("numbers", "numbers-stream")
    printed["stream"] = output.getvalue()
    return printed, artifacts


@pytest.fixture(scope="module")
def running(published, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with Server(published[1], home, workers=1) as server:
        yield server


def list_events(kind):
    """Return events as the model takes them, and as a client sends them."""
    drawn = draw(kind, EVENTS)
    if kind == "names":
        return drawn, [NAMES[int(k)] for k in drawn]
    return drawn, drawn.tolist()


@pytest.mark.parametrize("kind", PADDING)
@pytest.mark.parametrize("keeps", ["session", "memory"])
def test_every_step_is_predict_of_the_padded_window(running, models, kind, keeps):
    drawn, sent = list_events(kind)
    memory = {keeps: "one" if keeps == "session" else None}
    for stop, event in enumerate(sent, 1):
        response = running.predict(f"{kind}-window", {"sequence": [event], **memory})
        assert response.status_code == 200, response.text
        (answer,) = response.json()["predictions"]
        memory = {keeps: answer[keeps]}

        window = pad([drawn[:stop]], PADDING[kind])
        expected = models[0][kind].predict(window, verbose=0)[0]
        np.testing.assert_allclose(answer["values"], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", PADDING)
def test_whole_sequence_is_its_last_window(running, models, kind):
    drawn, sent = list_events(kind)
    rows = [{"sequence": sent}, {"sequence": sent[:2]}]

    answers = running.predict(f"{kind}-window", *rows).json()["predictions"]

    windows = pad([drawn, drawn[:2]], PADDING[kind])
    expected = models[0][kind].predict(windows, verbose=0)
    got = [answer["values"] for answer in answers]
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("stop", [1, 3, WINDOW])
def test_padding_sent_first_is_predict_of_the_padded_window(running, models, stop):
    """Send what the export says a client must send without --window."""
    drawn, sent = list_events("numbers")
    session = {"session": f"padded {stop}"}
    padding = [[MISSING] * FEATURES] * (WINDOW - stop)
    if padding:
        running.predict("numbers-stream", {"sequence": padding, **session})

    row = {"sequence": sent[:stop], **session}
    (answer,) = running.predict("numbers-stream", row).json()["predictions"]

    window = pad([drawn[:stop]], MISSING)
    expected = models[0]["numbers"].predict(window, verbose=0)[0]
    np.testing.assert_allclose(answer["values"], expected, rtol=0, atol=TOLERANCE)


def test_export_says_what_a_client_must_send(published):
    printed, _ = published
    windowed = "model.predict of the last 4 events, padded in front with -10"
    streamed = "send the padding as events first, or export with --window 4"

    assert windowed in printed["window"]
    assert streamed in printed["stream"]
