"""Events that training has not seen, and sequences that end: models that know both."""

from __future__ import annotations

import json

import numpy as np
import pytest

from service.registry.artifact import ArtifactError
from service.registry.backends.base import Plan
from service.registry.catalog import Model
from service.registry.encoding.events import build_encoder
from service.registry.manifest_check import check_schemas
from tests.assembly import serve
from tests.fakes import counting_model

VOCABULARY = ["a", "b", "?"]
LABELS = [*VOCABULARY, "."]
# P(next | event): of a, b, the unknown event.
AFTER = np.array(
    [[0.1, 0.6, 0.1, 0.2], [0.2, 0.1, 0.0, 0.7], [0.0, 0.9, 0.0, 0.1]], "float32"
)


class EndingRuntime:
    """A network that expects what its last event says."""

    name = "ending"

    def plan(self, signature, remaining):
        return Plan(len(remaining), min(remaining))

    def run(self, signature, tensors):
        sequence, length = tensors["sequence"], tensors["length"]
        assert (sequence < len(VOCABULARY)).all(), "the end is no event"
        ahead = AFTER[sequence]
        rows = np.arange(len(sequence))
        return {
            "probabilities": ahead,
            "surprise": np.zeros(sequence.shape, "float32"),
            "expected": ahead[rows, length - 1],
        }


def ending_model(**changes):
    manifest = counting_model().manifest
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    fields |= {
        "name": "ending",
        "task": "next_event",
        "input": {"kind": "event", "vocabulary": VOCABULARY, "unknown": "?"},
        "output": {
            "kind": "next_event",
            "name": "probabilities",
            "labels": LABELS,
            "end": ".",
        },
        "memory": {"expected": [4]},
        **changes,
    }
    encoder = build_encoder(fields["input"], max_events=50)
    return Model(type(manifest)(**fields), EndingRuntime(), encoder)


@pytest.fixture
def client(engine, clock):
    return serve([ending_model()], clock=clock, sessions=engine.sessions)


def post(client, verb="predict", **body):
    response = client.post(f"/v1/models/ending:{verb}", json=body)
    assert response.status_code == 200, response.get_json()
    return response.get_json()


WARNING = (
    "instances[1]: sequence[1] is 'new', which training has not seen; it was taken as "
    "'?', as were 1 more."
)


@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_an_event_that_training_has_not_seen_is_served_with_a_warning(client, verb):
    answer = post(client, verb, instances=[["a"], ["a", "new", "b", "newer", "?"]])

    assert answer["warnings"] == [WARNING]
    alone = post(client, verb, instances=[["?"]])
    assert "warnings" not in alone
    taken, asked = answer["predictions"][1], alone["predictions"][0]
    if verb == "explain":
        taken, asked = taken["probabilities"], asked["probabilities"]
    assert taken == asked


def test_a_lone_event_and_a_session_are_warned_of_as_well(client):
    answer = post(client, instances=[{"sequence": ["new"], "session": "s"}])

    (warning,) = answer["warnings"]
    assert warning.startswith("instances[0]: sequence[0] is 'new'")
    assert answer["predictions"][0]["step"] == 1


def test_columns_are_warned_of(client):
    answer = post(client, inputs={"sequence": [["new", "a"]]})

    assert answer["warnings"] == [
        "inputs[0]: sequence[0] is 'new', which training has not seen; it was taken as "
        "'?'."
    ]


def test_padding_is_not_unknown(client):
    answer = post(client, instances=[["a", "", ""]])

    assert "warnings" not in answer


@pytest.mark.parametrize("event", [7, None, ["a"], {"name": "a"}])
def test_what_is_no_name_is_still_refused(client, event):
    response = client.post("/v1/models/ending:predict", json={"instances": [[event]]})

    assert response.status_code == 400
    assert response.get_json()["code"] == "invalid_event"


def test_a_line_of_a_stream_has_its_own_warning(client):
    lines = b'{"sequence": ["a"]}\n{"sequence": ["new"]}\n'

    response = client.post("/v1/models/ending:stream", data=lines)

    known, unknown = map(json.loads, response.data.splitlines())
    assert "warnings" not in known
    assert unknown["warnings"][0].startswith("line 2: sequence[0] is 'new'")


@pytest.mark.parametrize("parameters", [{}, {"sequence_id": 7, "sequence_start": True}])
def test_infer_warns_in_its_parameters(client, parameters):
    tensor = {"name": "sequence", "datatype": "BYTES", "shape": [1, 2]}
    answers = [
        client.post(
            "/v2/models/ending/infer",
            json={"inputs": [{**tensor, "data": data}], "parameters": parameters},
        ).get_json()
        for data in (["a", "new"], ["a", "?"])
    ]

    assert answers[0]["parameters"]["warning"].startswith("sequence[1] is 'new'")
    assert "warning" not in answers[1]["parameters"]
    assert answers[0]["outputs"] == answers[1]["outputs"]


def test_the_most_probable_path_stops_at_the_end(client):
    answer = post(client, "forecast", instances=[["b"], ["new"]], horizon=5)

    first, second = (one["path"] for one in answer["predictions"])
    assert first["events"] == ["."]
    assert first["log_probability"] == pytest.approx(np.log(0.7))
    assert second["events"] == ["b", "."]
    assert second["log_probability"] == pytest.approx(np.log(0.9 * 0.7))
    assert answer["warnings"][0].startswith("instances[1]: sequence[0] is 'new'")


def test_samples_stop_at_the_end_with_its_frequency(client):
    answer = post(
        client, "forecast", instances=[["a"]], horizon=3, samples=2000, seed=1
    )

    paths = [tuple(one["events"]) for one in answer["predictions"][0]["samples"]]
    assert all("." not in path[:-1] for path in paths)
    assert all(len(path) == 3 or path[-1] == "." for path in paths)
    expected = {(".",): 0.2, ("b", "."): 0.6 * 0.7, ("?", "b", "."): 0.1 * 0.9 * 0.7}
    for path, share in expected.items():
        spread = np.sqrt(share / len(paths))
        assert paths.count(path) / len(paths) == pytest.approx(share, abs=5 * spread)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (
            {"input": {"kind": "event", "vocabulary": ["a"], "unknown": "b"}},
            "input.unknown is 'b', which is not one of its names",
        ),
        (
            {"output": {"kind": "label", "name": "p", "labels": ["a"], "end": "b"}},
            "output.end is 'b', which is not one of its names",
        ),
    ],
)
def test_a_manifest_that_names_what_is_not_there_is_refused(changes, part):
    manifest = counting_model().manifest
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}

    with pytest.raises(ArtifactError, match=part):
        check_schemas(type(manifest)(**{**fields, **changes}))
