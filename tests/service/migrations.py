"""Two versions of a model, and an engine that serves them in turn."""

from dataclasses import replace

import numpy as np

from service.engine.rows import Row
from service.registry.catalog import Catalog
from service.registry.encoding.events import build_encoder
from service.sessions.record import SessionKey
from service.sessions.version_policy import Policies, Retention
from tests.assembly import build_engine
from tests.fakes import CountingRuntime, counting_model

OLD, NEW = "ab" * 32, "cd" * 32
RED, GREEN = 0, 1
WIDER = ("green", "red", "blue")
KEY = SessionKey("", "counting", "s")


class DoublingRuntime(CountingRuntime):
    """Counts every event twice: a memory no other network has made."""

    def run(self, signature, tensors):
        halved = tensors["short_term_0"] / 2
        results = super().run(signature, {**tensors, "short_term_0": halved})
        return results | {"short_term_0": 2 * results["short_term_0"]}


def build_model(version, network, vocabulary=CountingRuntime.VOCABULARY):
    model = counting_model(version=version, network=network)
    schema = {"kind": "event", "vocabulary": list(vocabulary)}
    manifest = model.manifest
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    fields |= {"input": schema, "output": {**manifest.output, "labels": vocabulary}}
    runtime = DoublingRuntime() if network == NEW else CountingRuntime()
    return replace(
        model,
        manifest=type(manifest)(**fields),
        runtime=runtime,
        encoder=build_encoder(schema, max_events=50),
    )


def old():
    return build_model(1, OLD)


def new():
    return build_model(2, NEW)


def serve(engine, clock):
    """Build an engine over the same sessions, as a restart with other models does."""

    def build(*models, policy="pin", **retention):
        kept = Retention(policies=Policies(policy), **retention)
        catalog, sessions = Catalog(models), engine.sessions
        return build_engine(clock, sessions=sessions, retention=kept, catalog=catalog)

    return build


def row(*events, **options):
    return Row(np.array(events, "int32"), **{"session": "s", **options})
