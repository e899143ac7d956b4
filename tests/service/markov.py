"""A network with paths that can be listed by hand."""

from itertools import product

import numpy as np

from service.engine.decoding import DecodingPlan
from service.registry.backends.base import Plan as CallPlan
from service.registry.catalog import Model
from service.registry.encoding.events import build_encoder
from tests import assembly
from tests.fakes import counting_model

EVENTS = ("wake", "eat", "sleep")
# P(next | event before, event): what comes depends on more than the last event, so a
# forecast that loses the memory is wrong. The last row: no event before.
CHAIN = np.random.default_rng(5).dirichlet([0.6] * 3, (4, 3)).astype("float32")
TOLERANCE = 1e-6  # float32 probabilities
PLAN = DecodingPlan(3, None, 0, 16)


class MarkovRuntime:
    """A network of second order: it remembers the last event and what it expects."""

    name = "markov"

    def plan(self, signature, remaining):
        return CallPlan(len(remaining), min(remaining))

    def run(self, signature, tensors):
        sequence = tensors["sequence"]
        last = tensors["short_term_0"].copy()
        expected = tensors["expected"].copy()
        ahead = np.zeros((*sequence.shape, 3), "float32")
        for row, length in enumerate(tensors["length"]):
            for t in range(length):
                before = last[row].argmax() if last[row].any() else 3
                ahead[row, t] = expected[row] = CHAIN[before, sequence[row, t]]
                last[row] = np.eye(3)[sequence[row, t]]
        return {"probabilities": ahead, "short_term_0": last, "expected": expected}


def markov_model(version=1, **changes):
    manifest = counting_model().manifest
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    fields |= {
        "name": "days",
        "version": version,
        "task": "next_event",
        "input": {"kind": "event", "vocabulary": list(EVENTS)},
        "output": {"kind": "next_event", "name": "probabilities", "labels": EVENTS},
        "memory": {"short_term_0": [3], "expected": [3]},
        **changes,
    }
    encoder = build_encoder(fields["input"], max_events=50)
    return Model(type(manifest)(**fields), MarkovRuntime(), encoder)


def list_paths(history, horizon):
    """Every path after a history, with the probability of each event."""
    for path in product(range(3), repeat=horizon):
        whole, probabilities = [3, *history], []
        for event in path:
            probabilities.append(CHAIN[whole[-2], whole[-1]][event])
            whole.append(event)
        yield path, np.array(probabilities, "float64")


def best_path(history, horizon):
    paths = [
        (probs.prod(), path, probs) for path, probs in list_paths(history, horizon)
    ]
    return max(paths, key=lambda entry: entry[0])


def client(engine, clock):
    return assembly.serve(
        [markov_model(), counting_model()],
        settings={"CARRYOVER_MAX_FORECAST_EVENTS": "100000"},
        clock=clock,
        sessions=engine.sessions,
    )


def ask(client):
    """POST rows to `:forecast`, or another call of the model."""

    def send(*instances, verb="forecast", model="days", **body):
        body = {"instances": list(instances), **body}
        return client.post(f"/v1/models/{model}:{verb}", json=body)

    return send


def only(response):
    assert response.status_code == 200, response.get_json()
    (answer,) = response.get_json()["predictions"]
    return answer
