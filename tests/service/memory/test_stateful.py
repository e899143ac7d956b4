"""Random lives of sessions, over HTTP and every store, against the oracle.

`make test-memory EXAMPLES=2000` drives it for longer.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.app import create_app
from service.common.text import format_time
from service.sessions.record import Session, SessionKey, Tombstone
from service.sessions.sections import AnswerBounds
from service.sessions.version_policy import Lifetimes, Policies, Retention
from service.stores.schemes import open_store
from tests.assembly import build_services, build_sessions
from tests.fakes import FakeClock, counting_model
from tests.service.memory.conftest import LOCAL, SERVERS
from tests.service.memory.oracle import (
    ANSWER_SECONDS,
    IDLE_SECONDS,
    NUM_ANSWERS,
    NUM_SNAPSHOTS,
    TOMBSTONE_SECONDS,
    Advance,
    Oracle,
    Refusal,
    Replay,
)

# 20 lives of 40 steps take some three seconds a store.
EXAMPLES = int(os.environ.get("EXAMPLES", "20"))
STEPS = 40
SESSIONS = st.sampled_from(["a", "b", "sé/ss ion"])
EVENTS = st.lists(st.sampled_from(["red", "green", "green"]), min_size=1, max_size=3)
KEYS = st.sampled_from(["k1", "k2", "k3", "k4", "k5"])
# Lifetimes of sessions, answers and tombstones to the instant, and in between.
WAITS = st.sampled_from(
    [0.5, 10.0, 49.0, 50.0, IDLE_SECONDS, ANSWER_SECONDS, TOMBSTONE_SECONDS]
)
# From the step a session is at, as the client believes.
OFFSETS = st.sampled_from([None, None, None, 0, 0, 0, -1, -2, 1])
TOLERANCE = 1e-6  # float32 shares


class MemoryMachine(RuleBasedStateMachine):
    """Drives a service and the oracle side by side."""

    sent = Bundle("sent")
    tokens = Bundle("tokens")

    def __init__(self, url: str) -> None:
        super().__init__()
        # In 2096: a Redis server drops what is past by its own clock.
        self.url, self.clock, self.oracle = url, FakeClock(4e9), Oracle()
        self.version, self.made_by = 1, {}
        self.store = open_store(url)
        self.begin_service()

    @initialize()
    def empty(self) -> None:
        """Forget the sessions of the life before, which had the same store."""
        while self.store.forget(float("inf"), 1000):
            pass

    def begin_service(self) -> None:
        model = counting_model(self.version, f"{self.version:02x}" * 32)
        answers = AnswerBounds(NUM_ANSWERS, 65_536, ANSWER_SECONDS)
        kept = Retention(NUM_SNAPSHOTS, answers, policies=Policies("replay"))
        services = build_services(
            [model],
            clock=self.clock,
            sessions=build_sessions(self.store, self.clock, TOMBSTONE_SECONDS),
            lifetimes=Lifetimes(IDLE_SECONDS, 50),
            retention=kept,
        )
        self.engine, app = services.engine, create_app(services)
        rules = [str(rule) for rule in app.url_map.iter_rules()]
        self.is_resource = any(":fork" in rule for rule in rules)
        self.client = app.test_client()

    def teardown(self) -> None:
        self.store.close()

    @rule(
        target=sent,
        session=SESSIONS,
        events=EVENTS,
        offset=OFFSETS,
        start=st.sampled_from([False, False, False, True]),
        end=st.sampled_from([False] * 5 + [True]),
        ttl=st.sampled_from([None] * 5 + [10.0, 400.0]),
        poison=st.sampled_from([False] * 7 + [True]),
        key=st.one_of(st.none(), KEYS),
        repeat=st.booleans(),
    )
    def predict(self, session, events, offset, start, end, ttl, poison, key, repeat):
        row = {"sequence": [*events, "poison"] if poison else events}
        row["session"] = session
        known = self.oracle.look(session, self.clock())
        if offset is not None:
            row["at"] = max(0, (known.step if known else 0) + offset)
        row |= {"start": True} if start else {}
        row |= {"end": True} if end else {}
        row |= {"ttl_seconds": ttl} if ttl else {}
        self.send(row, key)
        if repeat:
            self.send(row, key)
        return row, key

    @rule(request=sent)
    def retry(self, request):
        self.send(*request)

    @rule(request=sent, events=EVENTS)
    def reuse_a_key(self, request, events):
        row, key = request
        self.send({**row, "sequence": events}, key)

    @rule(session=SESSIONS, first=EVENTS, second=EVENTS)
    def predict_two_rows(self, session, first, second):
        rows = [{"sequence": events, "session": session} for events in (first, second)]
        expected = [self.oracle.predict(row, None, None, self.clock()) for row in rows]
        response = self.post(rows, None)
        if isinstance(expected[0], Refusal):
            assert (response.status_code, response.get_json()["code"]) == (
                expected[0].status,
                expected[0].code,
            )
            return
        answers = response.get_json()["predictions"]
        for row, want, answer in zip(rows, expected, answers, strict=True):
            self.compare(row, want, answer)

    @rule(target=tokens, events=EVENTS)
    def begin_token(self, events):
        return self.advance_token(events, None, [], 0.0)

    @rule(target=tokens, token=consumes(tokens), events=EVENTS)
    def continue_token(self, token, events):
        return self.advance_token(events, *token)

    def advance_token(self, events, memory, before, made_at):
        row = {"sequence": events, "memory": memory}
        response = self.post([row], None)
        age, version = self.clock() - made_at, self.version
        if memory is not None and age >= 50:
            assert response.get_json()["code"] == "token_expired"
            return multiple()
        if memory is not None and memory in self.foreign:
            assert response.get_json()["code"] == "wrong_network"
            return multiple()
        (answer,) = response.get_json()["predictions"]
        whole = [*before, *events]
        shares = [whole.count(kind) / len(whole) for kind in ("red", "green")]
        assert answer["step"] == len(whole)
        assert max(map(abs, map(float.__sub__, answer["probabilities"], shares))) < 1e-6
        self.made_by[answer["memory"]] = version
        return answer["memory"], whole, self.clock()

    @property
    def foreign(self):
        return {m for m, version in self.made_by.items() if version != self.version}

    @rule(
        what=st.sampled_from(["wait", "wait", "delete", "sweep", "restart", "deploy"]),
        session=SESSIONS,
        seconds=WAITS,
    )
    def something_happens(self, what, session, seconds):
        if what == "wait":
            self.clock.advance(seconds)
        if what == "delete":
            self.delete(session)
        if what == "sweep":
            self.sweep()
        if what == "restart" and self.url != "memory://":
            self.store.close()
            self.store = open_store(self.url)
        if what == "deploy":  # every live memory is rebuilt from its history
            self.version += 1
            self.oracle.version = self.version
        self.begin_service()

    @precondition(lambda self: self.is_resource)
    @rule(source=SESSIONS, to=SESSIONS, start=st.booleans())
    def fork(self, source, to, start):
        refusal = self.oracle.fork(source, to, start, self.clock())
        response = self.change(source, "fork", {"to": to, "start": start})
        self.compare_status(response, refusal, 201)

    @precondition(lambda self: self.is_resource)
    @rule(session=SESSIONS, back=st.integers(0, 4))
    def rewind(self, session, back):
        known = self.oracle.look(session, self.clock())
        to_step = max(0, (known.step if known else 1) - back)
        refusal = self.oracle.rewind(session, to_step, self.clock())
        response = self.change(session, "rewind", {"to_step": to_step})
        self.compare_status(response, refusal, 200)

    def change(self, session, verb, body):
        path = f"/v1/models/counting/sessions/{session}:{verb}"
        return self.client.post(path, json=body)

    def compare_status(self, response, refusal, status):
        body = response.get_json()
        if refusal is None:
            assert response.status_code == status, body
        else:
            assert (response.status_code, body["code"]) == (
                refusal.status,
                refusal.code,
            )

    def delete(self, session):
        refusal = self.oracle.delete(session, self.clock())
        response = self.client.delete(f"/v1/models/counting/sessions/{session}")
        assert response.status_code == (refusal.status if refusal else 200)

    def sweep(self):
        self.oracle.sweep(self.clock())
        while self.engine.sessions.sweep(100):
            pass

    @invariant()
    def every_session_is_where_it_should_be(self):
        names = ("a", "b", "sé/ss ion")
        keys = [SessionKey("", "counting", name).encode() for name in names]
        for name, found in zip(names, self.engine.sessions.load(keys), strict=True):
            known, record = self.oracle.look(name, self.clock()), found.record
            if known is None:
                assert record is None
            elif known.reason is not None:
                assert isinstance(record, Tombstone)
                got = (record.reason, record.step, record.at)
                assert got == (known.reason, known.step, known.gone_at)
            else:
                assert isinstance(record, Session)
                got = (record.step, record.expires_at)
                assert got == (known.step, known.expires_at)

    def send(self, row, key):
        request = {name: value for name, value in row.items() if name != "at"}
        request = row if key is not None else request
        expected = self.oracle.predict(row, key, request, self.clock())
        response = self.post([row], key)
        body = response.get_json()
        is_replay = response.headers.get("Idempotency-Replayed") == "true"
        assert is_replay == isinstance(expected, Replay)
        if isinstance(expected, Refusal):
            assert (response.status_code, body["code"]) == (
                expected.status,
                expected.code,
            )
        elif isinstance(expected, Replay):
            assert response.data == expected.answer["bytes"]
        else:
            assert response.status_code == 200, body
            self.compare(row, expected, body["predictions"][0])
            answer = {"bytes": response.data}
            self.oracle.remember_answer(row["session"], answer)

    def compare(self, row, expected, answer):
        assert isinstance(expected, Advance)
        got, want = answer["probabilities"], expected.probabilities
        assert max(abs(a - b) for a, b in zip(got, want, strict=True)) < TOLERANCE
        assert (answer["step"], answer["session"]) == (expected.step, row["session"])
        expires_at = expected.expires_at
        assert answer.get("expires_at") == (
            None if expires_at is None else format_time(expires_at)
        )
        assert answer.get("ended", False) == row.get("end", False)

    def post(self, rows, key):
        headers = {} if key is None else {"Idempotency-Key": f'"{key}"'}
        return self.client.post(
            "/v1/models/counting:predict", json={"instances": rows}, headers=headers
        )


@pytest.mark.parametrize("name", [*LOCAL, SERVERS[0]])
def test_any_life_of_sessions_is_as_the_oracle_says(name, tmp_path, request):
    if name in LOCAL:
        url = LOCAL[name].format(folder=tmp_path)
    else:
        server_url = request.getfixturevalue("server_url")
        url = f"{server_url(name)}?prefix=stateful"

    run_state_machine_as_test(
        lambda: MemoryMachine(url),
        settings=settings(
            max_examples=EXAMPLES if name in LOCAL else EXAMPLES // 4,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize="EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
