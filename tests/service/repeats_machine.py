"""Random requests of every dialect and their repeats, against plain Python."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule

from service.sessions.record import SessionKey
from service.sessions.sections import AnswerBounds
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Lifetimes, Policies, Retention
from tests import assembly
from tests.assembly import SECRET, build_sessions
from tests.fakes import FakeClock
from tests.service.renumbered import NAMES, VOCABULARIES, build_model

SESSIONS = ("1", "2")
FORMS = ("v1", "stream", "v2 names", "v2 numbers")


@dataclass(frozen=True)
class Sent:
    """A request, as its client wrote it."""

    session: str
    form: str
    events: tuple[Any, ...]  # names, or their numbers
    at: int | None
    key: str | None

    @property
    def identity(self) -> Any:
        """The part that makes it the same request: under a key all, else its events."""
        return self if self.key is not None else self.events


@dataclass
class Life:
    """A session: what was applied since it began, by which version, and answers."""

    events: list[str]
    version: int
    keys: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    last: tuple[int, int, Any, Any] | None = None  # at, step after, identity, answer

    @property
    def step(self) -> int:
        return len(self.events)


class RepeatsMachine(RuleBasedStateMachine):
    """Drives a service of two versions and the plain rules side by side."""

    sent = Bundle("sent")
    used = Bundle("used")

    def __init__(self, policy: str, kind: str) -> None:
        super().__init__()
        self.policy, self.kind, self.clock, self.newest = policy, kind, FakeClock(), 1
        self.sessions = build_sessions(clock=self.clock)
        self.models = {version: build_model(version, kind) for version in VOCABULARIES}
        self.keys = 0
        self.clients = {version: self.serve(version) for version in VOCABULARIES}
        self.lives = {}
        for session in SESSIONS:
            self.lives[session] = Life(["open"], 1)
            first = Sent(session, "v1", ("open",), None, None)
            assert self.post(first)[0] == 200

    @property
    def client(self):
        return self.clients[self.newest]

    def serve(self, newest: int):
        """Serve version 1, or both with 2 as the newest; return a client."""
        served = [self.models[k] for k in range(1, newest + 1)]
        answers = AnswerBounds(1000, 2**20, 1e9)
        kept = Retention(answers=answers, policies=Policies(self.policy))
        return assembly.serve(
            served,
            clock=self.clock,
            sessions=self.sessions,
            seal=TokenCipher([SECRET], has_chains=True),
            lifetimes=Lifetimes(1e6, 1e6),
            retention=kept,
        )

    @rule(version=st.sampled_from([1, 2, 2]))
    def deploy(self, version):
        self.newest = version

    @rule(
        target=sent,
        session=st.sampled_from(SESSIONS),
        form=st.sampled_from(FORMS),
        names=NAMES,
        has_key=st.booleans(),
        off=st.sampled_from([0, 0, 0, 1, None]),
    )
    def ask(self, session, form, names, has_key, off):
        self.keys += 1
        key = f"k{self.keys}" if has_key and form != "stream" else None
        at = None if off is None else self.lives[session].step + off
        numbers = VOCABULARIES[self.newest].index
        events = map(numbers, names) if form == "v2 numbers" else names
        request = Sent(session, form, tuple(events), at, key)
        self.check(request)
        return request

    @rule(request=sent)
    def repeat(self, request):
        self.check(request)

    @rule(request=sent, form=st.sampled_from(FORMS[:3]))
    def repeat_in_another_dialect(self, request, form):
        if request.key is None and request.form != "v2 numbers":
            self.check(replace(request, form=form))

    @rule(request=sent)
    def send_what_is_encoded_alike(self, request):
        """Send the names that one version numbers as the other did the request's."""
        if request.form != "v2 numbers":
            self.check(replace(request, events=self.translate(request.events)))

    def translate(self, names):
        old = VOCABULARIES[3 - self.newest]
        return tuple(VOCABULARIES[self.newest][old.index(name)] for name in names)

    def check(self, request: Sent) -> None:
        """Send a request, and compare what it got and what it did."""
        expected = self.expect(request)
        status, answer, is_replayed = self.post(request)
        life = self.lives[request.session]
        if expected == "refused":
            assert status in (409, 422), answer
        elif expected == "applied":
            assert status == 200, answer
            assert answer["step"] == life.step
            if request.form != "stream":
                assert not is_replayed
            self.keep(request, answer)
        else:
            assert status == 200, answer
            assert answer == expected
            if request.form != "stream":
                assert is_replayed
        self.check_memory(request.session)

    def expect(self, request: Sent) -> Any:
        """Say what a request must get, and apply it where it is new and right."""
        life = self.lives[request.session]
        answered = self.find_answer(life, request)
        if answered is not None:
            return answered
        if life.version != self.newest and not self.may_continue(life, request):
            return "refused"
        if request.at not in (None, life.step):
            return "refused"
        if self.policy == "reset" and life.version != self.newest:
            life.events, life.version, life.last = [], self.newest, None
        names = VOCABULARIES[self.newest]
        is_number = request.form == "v2 numbers"
        life.events += [names[k] if is_number else k for k in request.events]
        return "applied"

    def find_answer(self, life: Life, request: Sent) -> Any:
        """Find what a repeat must get; None where the request is new."""
        if request.key is not None and request.key in life.keys:
            identity, answer = life.keys[request.key]
            return answer if identity == request.identity else "refused"
        if request.key is None and request.at is not None and life.last is not None:
            at, step, identity, answer = life.last
            given = (request.at, life.step, request.identity)
            if given == (at, step, identity):
                return answer
        return None

    def may_continue(self, life: Life, request: Sent) -> bool:
        """Say whether the policy continues a session of another version."""
        if self.policy == "pin":  # by the version that made it, if it is served
            return request.form != "v2 numbers" and life.version < self.newest
        return self.policy == "reset"  # no history can be replayed by other numbers

    def keep(self, request: Sent, answer: Any) -> None:
        life = self.lives[request.session]
        if request.key is not None:
            life.keys[request.key] = (request.identity, answer)
        elif request.at is not None:
            life.last = (request.at, life.step, request.identity, answer)

    def check_memory(self, session: str) -> None:
        """Compare what the session has counted, by name."""
        key = SessionKey("", "counting", session).encode()
        [found] = self.sessions.load([key])
        life, record = self.lives[session], found.record
        names = VOCABULARIES[record.model_version]
        counts = np.frombuffer(record.tensors, "<f4").tolist()
        got = {name: count for name, count in zip(names, counts, strict=True) if count}
        assert got == {name: life.events.count(name) for name in set(life.events)}
        assert (record.step, record.model_version) == (life.step, life.version)

    def post(self, request: Sent) -> tuple[int, Any, bool]:
        """Send a request in its dialect; return status, answer, whether replayed."""
        headers = {"Idempotency-Key": f'"{request.key}"'} if request.key else {}
        if request.form.startswith("v2"):
            response = self.infer(request, headers)
            body = response.get_json()
            answer = self.read_v2(body) if response.status_code == 200 else body
            return response.status_code, answer, is_replay(response)
        row = {"sequence": self.to_json(request.events), "session": request.session}
        row |= {} if request.at is None else {"at": request.at}
        if request.form == "stream":
            line = json.dumps(row).encode() + b"\n"
            response = self.client.post("/v1/models/counting:stream", data=line)
            answer = json.loads(response.data)
            return answer.get("status", 200), self.read_v1(answer), False
        path, body = "/v1/models/counting:predict", {"instances": [row]}
        response = self.client.post(path, json=body, headers=headers)
        answer = response.get_json()
        if response.status_code == 200:
            answer = self.read_v1(answer["predictions"][0])
        return response.status_code, answer, is_replay(response)

    def to_json(self, events):
        if self.kind == "event":
            return list(events)
        return [{"door": name, "count": 1} for name in events]

    def infer(self, request, headers):
        is_number = request.form == "v2 numbers"
        shape = [1, len(request.events)]
        datatype, data = "INT32" if is_number else "BYTES", list(request.events)
        name = "sequence" if self.kind == "event" else "door"
        tensor = {"name": name, "datatype": datatype, "shape": shape, "data": data}
        inputs = [tensor]
        if self.kind == "record":
            ones = [1.0] * len(data)
            count = {"name": "count", "datatype": "FP32", "shape": shape, "data": ones}
            inputs.append(count)
        parameters = {"sequence_id": int(request.session)}
        parameters |= {} if request.at is None else {"at": request.at}
        body = {"inputs": inputs, "parameters": parameters}
        path = "/v2/models/counting/infer"
        return self.client.post(path, json=body, headers=headers)

    def read_v1(self, answer):
        if "probabilities" not in answer:
            return answer
        return {k: answer[k] for k in ("step", "probabilities")}

    def read_v2(self, body):
        (data,) = [o["data"] for o in body["outputs"] if o["name"] == "probabilities"]
        return {"step": body["parameters"]["step"], "probabilities": data}

    # Memory that the client holds, where older tokens are refused.

    @rule(target=used, names=NAMES)
    def begin_token(self, names):
        return self.use_token(None, [], names)

    @rule(target=used, use=used, names=NAMES)
    def continue_token(self, use, names):
        _, _, token, events = use
        return self.use_token(token, events, names)

    @rule(use=used)
    def repeat_use(self, use):
        """Use a token once more as before: the same answer, or that it is older."""
        memory, names, _, events = use
        response = self.send_token(memory, names)
        if response.status_code == 200 and memory is not None:
            (answer,) = response.get_json()["predictions"]
            assert "reset" in answer or answer["step"] == len(events)
        else:
            assert memory is None or self.is_older_or_other(response)

    @rule(use=used)
    def use_for_what_is_encoded_alike(self, use):
        memory, names, _, _ = use
        others = list(self.translate(names))
        if memory is None or others == names or self.policy == "reset":
            return
        response = self.send_token(memory, others)
        assert response.status_code != 200, response.get_json()
        assert self.is_older_or_other(response)

    def use_token(self, memory, before, names):
        response = self.send_token(memory, names)
        if response.status_code != 200:
            assert memory is not None
            assert self.is_older_or_other(response)
            return multiple()
        (answer,) = response.get_json()["predictions"]
        events = [] if "reset" in answer else [*before]
        assert answer["step"] == len(events) + len(names)
        return memory, names, answer["memory"], [*events, *names]

    def is_older_or_other(self, response):
        return response.get_json()["code"] in ("token_replayed", "wrong_network")

    def send_token(self, memory, names):
        row = {"sequence": self.to_json(names), "memory": memory}
        body = {"instances": [row]}
        return self.client.post("/v1/models/counting:predict", json=body)


def is_replay(response) -> bool:
    """Return whether an answer says that it is one of before."""
    return response.headers.get("Idempotency-Replayed") == "true"
