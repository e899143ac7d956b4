"""A wall clock that is ahead drops no stored answer: a repeat would be applied."""

import pytest

from service.sessions.clock_guard import SETTLE_SECONDS, ClockGuard
from service.sessions.version_policy import Lifetimes
from tests.assembly import build_engine, build_sessions, serve
from tests.fakes import FakeClock, counting_model

PATH = "/v1/models/counting:predict"
AHEAD_SECONDS = 9 * 86_400.0
KEYED, AT = ({}, {"Idempotency-Key": '"k"'}), ({"at": 0}, {})


class World:
    """A service with both clocks, of which the wall's can be set."""

    def __init__(self, folder):
        self.wall, self.uptime = FakeClock(), FakeClock(1_000.0)
        guard = ClockGuard(
            folder / "clock.json", wall=self.wall, uptime=self.uptime, boot="1"
        )
        guard.is_trusted()
        self.pass_time(SETTLE_SECONDS)
        assert guard.is_trusted()
        engine = build_engine(
            self.wall,
            sessions=build_sessions(clock=self.wall, tombstone_seconds=1e9),
            lifetimes=Lifetimes(1e9, 1e9),
            is_clock_trusted=guard.is_trusted,
        )
        self.client = serve([counting_model()], engine=engine)

    def pass_time(self, seconds):
        self.wall.advance(seconds)
        self.uptime.advance(seconds)

    def send(self, options=(), headers=()):
        row = {"sequence": ["red"], "session": "s", **dict(options)}
        answer = self.client.post(PATH, json={"instances": [row]}, headers=headers)
        [prediction] = answer.get_json()["predictions"]
        return prediction["step"], answer.headers.get("Idempotency-Replayed")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.parametrize("repeated", [KEYED, AT], ids=["key", "at"])
def test_answer_is_found_while_the_clock_is_ahead_and_after(world, repeated):
    assert world.send(*repeated) == (1, None)

    world.wall.advance(AHEAD_SECONDS)
    ahead = world.send(*repeated)
    world.wall.advance(-AHEAD_SECONDS)

    assert ahead == world.send(*repeated) == (1, "true")


@pytest.mark.parametrize(
    "other", [({}, {}), ({"at": 1}, {}), ({}, {"Idempotency-Key": "o"})]
)
def test_step_while_the_clock_is_ahead_drops_no_answer(world, other):
    assert world.send(*KEYED) == (1, None)

    world.wall.advance(AHEAD_SECONDS)
    assert world.send(*other) == (2, None)
    world.wall.advance(-AHEAD_SECONDS)

    assert world.send(*KEYED) == (1, "true")


def test_answer_is_dropped_at_the_end_of_its_lifetime(world):
    assert world.send(*KEYED) == (1, None)

    world.pass_time(AHEAD_SECONDS)

    assert world.send(*KEYED) == (2, None)
