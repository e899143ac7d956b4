"""Workers of a service that directs traffic between two versions."""

import numpy as np

from service.engine.rows import Row
from service.registry.traffic import Traffic
from service.registry.traffic_control import change_traffic
from service.sessions.record import SessionKey
from service.sessions.version_policy import Policies, Retention
from tests.assembly import build_engine, serve
from tests.fakes import FakeClock
from tests.service.migrations import NEW, OLD, build_model
from tests.service.repositories import Worker, publish

RED = 0
KEYS = [SessionKey("", "counting", f"s{k}").encode() for k in range(4000)]
# The first sessions in a share of 0.2, as every process has it, whatever its seed.
FIRST_IN_A_FIFTH = ["s2", "s5", "s14", "s16"]


class TrafficWorker(Worker):
    """A worker of a service that serves version 1, and 2 on another network."""

    def __init__(self, *arguments, **options):
        self.clock = FakeClock()
        super().__init__(*arguments, clock=self.clock, **options)

    def load(self, path):
        model = super().load(path)
        version = model.manifest.version
        return build_model(version, OLD if version == 1 else NEW)

    def change(self, alter):
        return change_traffic(self.repository, self.catalog, "counting", alter)

    def set(self, *traffic):
        return self.change(lambda before: Traffic(*traffic))

    def build_engine(self, sessions, clock, policy="pin"):
        kept = Retention(policies=Policies(policy))
        return build_engine(
            clock, sessions=sessions, retention=kept, catalog=self.catalog
        )

    def serve(self, sessions, clock):
        engine = self.build_engine(sessions, clock)
        return serve(self.catalog, engine=engine, repository=self.repository)


def models(tmp_path):
    for version in (1, 2):
        publish(tmp_path / "models", version)
    return tmp_path / "models"


def workers(models, tmp_path):
    return [TrafficWorker(models, tmp_path / "state") for _ in range(2)]


def worker(workers):
    return workers[0]


def send(worker, engine, clock):
    """Advance a session by an event at the address without a version."""

    def advance(session, policy="pin", by=worker, version=None, **options):
        row = Row(np.array([RED], "int32"), session=session, **options)
        model = by.catalog.find("counting", version)
        own = by.build_engine(engine.sessions, clock, policy)
        named = version is not None
        return own.advance(model, [row], tenant="", is_version_named=named)[0]

    return advance
