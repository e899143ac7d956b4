"""Rows that advance as columns are stored and answered as if one by one."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from service.api.v1 import row_texts
from service.api.v1.predict import PredictRequest, answer_predict
from service.engine import column_lane
from service.engine.rows import BatchOutputs, Row
from service.errors import CarryoverError, NonFiniteResult, StoreFull
from service.registry.catalog import Catalog
from service.sessions.lifecycle import NEVER_SEEN
from service.sessions.record import Session, SessionKey
from service.settings import read_settings
from service.stores.base import Capacity, Entry
from service.stores.in_process import InProcessStore
from tests.assembly import build_engine, build_services, build_sessions
from tests.fakes import TickingRuntime, counting_model

RED, GREEN, POISON = 0, 1, 2
NEVER = 10**9
# Some ids that JSON escapes, or that look like what stands between two ids.
IDS = [
    'a","b',
    'evil",',
    '","',
    "back\\slash",
    '"',
    "100%",
    "é",
    "{}",
    *map(str, range(16)),
]
SETTINGS = read_settings({"CARRYOVER_MAX_ROWS": "100"})


class SurprisedRuntime(TickingRuntime):
    """The counting network, with a number of each event besides."""

    def run(self, signature, tensors):
        results = super().run(signature, tensors)
        return results | {"surprise": results["probabilities"][..., 0] * 3}


class World:
    """A service over a store of its own.

    Args:
        clock: Shared with the other.
        min_rows: From how many rows on they advance as columns.
    """

    def __init__(self, clock, min_rows: int) -> None:
        self.min_rows = min_rows
        self.store = InProcessStore()
        self.models = [
            counting_model(v, network, runtime=SurprisedRuntime(largest=16))
            for v, network in ((1, "ab" * 32), (2, "cd" * 32))
        ]
        self.catalog = Catalog(self.models)
        sessions = build_sessions(self.store, clock)
        self.services = build_services(
            self.catalog, settings=SETTINGS, clock=clock, sessions=sessions
        )
        # Imported before its first event: nothing was expected of that.
        now, network = clock(), self.models[0].fingerprint
        memory = np.zeros(3, "<f4").tobytes()
        fresh = Session(0, 1, network, now, now, now + 100, 100.0, memory, bytes(4))
        keys = [SessionKey("", "counting", name).encode() for name in IDS]
        sessions.save([(key, NEVER_SEEN, fresh) for key in keys])

    def predict(self, monkeypatch, body: bytes, version: int, key: str | None) -> bytes:
        for module in (column_lane, row_texts):
            monkeypatch.setattr(module, "MIN_ROWS", self.min_rows)
        model = self.models[version - 1]
        asked = PredictRequest(model, "advance", "", key=key)
        answer = answer_predict(self.services.engine, SETTINGS, asked, body)
        return answer.body

    def damage(self, session: str, position: int) -> None:
        """Change a byte of a record, if there is one."""
        key = SessionKey("", "counting", session).encode()
        slot = self.store.slots.get(key)
        if slot is not None:
            value = bytearray(slot.entry.value)
            value[position % len(value)] ^= 1
            entry = Entry(slot.entry.version, bytes(value))
            self.store.slots[key] = slot._replace(entry=entry)


def make_row(rng: random.Random) -> dict[str, object]:
    """Make a row: as a rule one that says nothing of itself."""
    event = rng.choices(["red", "green", "poison", "blue"], [40, 40, 2, 1])
    row: dict[str, object] = {"sequence": event, "session": rng.choice(IDS)}
    odd = rng.random()
    if odd < 0.03:
        row["sequence"] = ["red"] * rng.randint(2, 20)
    elif odd < 0.06:
        row["at"] = rng.randint(0, 3)
    elif odd < 0.10:
        row["start"] = True
    elif odd < 0.11:
        row["end"] = True
    elif odd < 0.13:
        row["ttl_seconds"] = rng.choice([5, 500])
    elif odd < 0.14:
        del row["session"]
    return row


@pytest.mark.parametrize("seed", range(4))
def test_both_ways_store_and_answer_the_same_bytes(clock, monkeypatch, seed):
    rng = random.Random(seed)
    one_by_one, as_columns = World(clock, NEVER), World(clock, 2)
    num_rows = count_rows(monkeypatch)

    for _ in range(40):
        rows = [make_row(rng) for _ in range(rng.choice([1, 3, 8, 40]))]
        options = rng.choice([{}, {}, {}, {"threshold": 0.5}, {"top": 2}])
        body = json.dumps({"instances": rows, **options}).encode()
        version = rng.choices([1, 2], [19, 1])[0]
        key = str(rng.random()) if rng.random() < 0.03 else None
        asked = (monkeypatch, body, version, key)

        assert as_columns.predict(*asked) == one_by_one.predict(*asked)
        assert as_columns.store.slots == one_by_one.store.slots

        clock.advance(rng.choices([0, 0.001, 3, 99], [4, 4, 8, 1])[0])
        if rng.random() < 0.1:
            session, position = rng.choice(IDS), rng.randint(0, 99)
            one_by_one.damage(session, position)
            as_columns.damage(session, position)
    assert sum(num_rows) > 50


def test_each_name_is_written_in_the_answer_of_its_row(clock, monkeypatch):
    one_by_one, as_columns = World(clock, NEVER), World(clock, 2)
    odd = IDS[:9]
    names = [*IDS, *(name + end for name in odd for end in ('"', '",', ",", "\\"))]
    rows = [{"sequence": ["red"], "session": name} for name in names]
    asked = [json.dumps({"instances": rows}).encode(), 1, None]
    written = []
    write = row_texts.write_strings
    monkeypatch.setattr(
        row_texts, "write_strings", lambda names: written.append(names) or write(names)
    )

    for _ in range(2):  # they begin, and are alike from then on
        answer = as_columns.predict(monkeypatch, *asked)

        assert [one["session"] for one in json.loads(answer)["predictions"]] == names
        assert answer == one_by_one.predict(monkeypatch, *asked)
    assert written == [names]


def count_rows(monkeypatch) -> list[int]:
    """Note how many rows advance as columns."""
    counts: list[int] = []
    advance = column_lane.advance

    def watch(alike, now):
        counts.append(len(alike.jobs))
        return advance(alike, now)

    monkeypatch.setattr(column_lane, "advance", watch)
    return counts


def rows_of(*events: int) -> list[Row]:
    """Make a row of each event, of sessions 0, 1, ..."""
    return [Row(np.array([e], "int32"), str(k)) for k, e in enumerate(events)]


@pytest.fixture
def live(engine, model):
    """An engine with twenty live sessions, each at step 1."""
    engine.advance(model, rows_of(*[RED] * 20), tenant="")
    return engine


def test_a_row_that_is_alike_has_the_outputs_of_its_place(live, model):
    outcomes = live.advance(model, rows_of(*[RED, GREEN] * 10), tenant="")

    assert all(isinstance(one.outputs, BatchOutputs) for one in outcomes)
    shares = [one.outputs["probabilities"].tolist() for one in outcomes]
    assert shares == [[[1, 0, 0]], [[0.5, 0.5, 0]]] * 10
    assert dict(outcomes[1].outputs).keys() == {"probabilities"}
    assert len(outcomes[1].outputs) == 1


def test_a_result_that_is_not_finite_costs_no_other_row_its_step(live, model):
    outcomes = live.advance(model, rows_of(RED, POISON, *[RED] * 18), tenant="")

    assert isinstance(outcomes.pop(1), NonFiniteResult)
    assert {one.step for one in outcomes} == {2}
    again = live.advance(model, rows_of(*[RED] * 20), tenant="")
    assert [one.step for one in again] == [3, 2, *[3] * 18]


def test_only_rows_that_lost_the_race_are_computed_again(live, clock, model):
    rival = build_engine(clock, sessions=live.sessions)

    def be_overtaken():
        model.runtime.before_return = lambda: None
        rival.advance(model, rows_of(GREEN, GREEN), tenant="")

    model.runtime.before_return = be_overtaken

    outcomes = live.advance(model, rows_of(*[RED] * 20), tenant="")

    assert [one.step for one in outcomes] == [3, 3, *[2] * 18]
    assert outcomes[0].outputs["probabilities"][0].tolist() == pytest.approx(
        [2 / 3, 1 / 3, 0]
    )


def test_a_network_with_a_defect_leaves_each_memory_unchanged(live, model, caplog):
    def fail():
        model.runtime.before_return = lambda: None
        raise RuntimeError("a defect")

    model.runtime.before_return = fail

    failed = live.advance(model, rows_of(*[RED] * 20), tenant="")

    assert {type(one) for one in failed} == {CarryoverError}
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    assert not live.ticks.settlement.open_jobs
    again = live.advance(model, rows_of(*[RED] * 20), tenant="")
    assert {one.step for one in again} == {2}


def test_a_full_store_refuses_new_sessions_and_continues_those_that_are_alike(
    clock, model
):
    store = InProcessStore(Capacity(max_entries=20))
    engine = build_engine(clock, store=store)
    engine.advance(model, rows_of(*[RED] * 20), tenant="")

    results = engine.advance(model, rows_of(*[RED] * 22), tenant="")

    assert [one.step for one in results[:20]] == [2] * 20
    assert all(isinstance(one, StoreFull) for one in results[20:])
