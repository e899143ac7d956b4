"""Triton's own client loads, unloads and asks for models of a real gunicorn."""

import json
import shutil

import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.end_to_end import triton_calls
from tests.end_to_end.triton_calls import MANY, MODEL, events

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

client = pytest.fixture(triton_calls.client)


def ready_everywhere(server, name):
    """Ask many times, each over a connection of its own, so that all workers answer."""
    answers = set()
    for _ in range(MANY):
        with triton.InferenceServerClient(server.url.removeprefix("http://")) as own:
            answers.add(own.is_model_ready(name))
    return answers


@pytest.fixture
def published(exported):
    """A model that came into the folder while the service ran."""
    folder, _ = exported
    path = folder / "published" / "1"
    shutil.copytree(folder / "label" / "1", path)
    manifest = path / "assets.extra" / "carryover" / "manifest.json"
    described = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**described, "name": "published"}))
    yield "published"
    shutil.rmtree(folder / "published")


def test_models_are_loaded_and_unloaded_in_all_workers(server, client, published):
    assert ready_everywhere(server, published) == {False}
    assert state_of(client, published) == ("UNAVAILABLE", "unloaded")

    client.load_model(published)

    assert ready_everywhere(server, published) == {True}
    assert state_of(client, published) == ("READY", "")
    client.infer(published, [events("open")])

    client.unload_model(published)

    assert ready_everywhere(server, published) == {False}
    with pytest.raises(InferenceServerException, match="not served"):
        client.infer(published, [events("open")])


def state_of(client, name):
    """Find a model in the repository's index."""
    index = client.get_model_repository_index()
    return next((m["state"], m["reason"]) for m in index if m["name"] == name)


def test_loading_what_is_not_there_is_an_error(client):
    with pytest.raises(InferenceServerException, match="failed to load 'nope'"):
        client.load_model("nope")
    with pytest.raises(InferenceServerException, match="of models, unchanged"):
        client.load_model(MODEL, config="{}")


def test_settings_of_triton_are_refused_with_a_sentence(client):
    for call in (client.get_trace_settings, client.get_log_settings):
        with pytest.raises(InferenceServerException, match="does not have Triton's"):
            call()
