"""A client that repeats every request until it is acknowledged, and hangs up at times.

It judges each answer: a step that cannot be, a repeat with other bytes, a refusal that
should not be are objections in the ledger.
"""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any

from benchmarks.chaos.ledger import Entry, Ledger
from benchmarks.chaos.plan import Planner, Request, Row
from benchmarks.chaos.wire import Reply, Wire

PATH = "/v1/models/nature:predict"
RETRY_CODES = {"request_in_progress", "session_contended", "earlier_row_failed"}
RETRY_BODIES = (b"request_in_progress", b"session_contended", b"store_unavailable")
SERVER_ERROR = 500
# A request that is not acknowledged by then counts as an objection.
TIMEOUT_SECONDS = 120.0
MAX_PAUSE_SECONDS = 0.05
CUT_SHARE = 0.08
REPEAT_SHARE = 0.05


class Client(threading.Thread):
    """One client.

    Args:
        wire: Its connections.
        num_services: To how many services.
        planner: Makes up what it asks.
        rng: Its chance.
        ledger: Where it writes what it learns.
        is_over: Set when it is to begin nothing new.
    """

    def __init__(
        self,
        wire: Wire,
        num_services: int,
        planner: Planner,
        rng: random.Random,
        ledger: Ledger,
        is_over: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self._wire = wire
        self._num_services = num_services
        self._planner = planner
        self._rng = rng
        self._ledger = ledger
        self._is_over = is_over

    def run(self) -> None:
        """Ask until it is over; what is under way is brought to its end."""
        try:
            while not self._is_over.is_set():
                self._settle(self._planner.plan())
        except Exception as error:
            self._ledger.objection(f"a client failed: {error!r}")
            raise
        finally:
            self._wire.close()

    def _settle(self, request: Request) -> None:
        """Send a request until it is acknowledged or refused for good."""
        self._ledger.count("requests")
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        is_first = True
        while time.monotonic() < give_up_at:
            if not is_first:
                self._ledger.count("retries")
                request = request if request.is_guarded else request.guard()
                time.sleep(self._rng.uniform(0, MAX_PAUSE_SECONDS))
            reply = self._send(request)
            if reply is not None and self._take(request, reply, is_first=is_first):
                return
            is_first = False
        self._ledger.objection(f"never acknowledged: {request}")

    def _send(self, request: Request) -> Reply | None:
        """Send a request to any of the services, or begin to."""
        service = self._rng.randrange(self._num_services)
        if request.is_guarded and self._rng.random() < CUT_SHARE:
            self._ledger.count("connections cut by clients")
            self._wire.cut(
                service,
                PATH,
                request.body(),
                request.headers,
                when=self._rng.choice(("sending", "reading")),
                is_reset=self._rng.random() < 0.5,
            )
            return None
        beside_greed, began = self._ledger.is_greed_on.is_set(), time.monotonic()
        reply = self._wire.post(service, PATH, request.body(), request.headers)
        if reply is None:
            self._ledger.count("connections lost")
        elif beside_greed:
            self._ledger.note_beside_greed(time.monotonic() - began)
        return reply

    def _take(self, request: Request, reply: Reply, *, is_first: bool) -> bool:
        """Write down what an answer says.

        Returns:
            Whether that settles the request.
        """
        body = json.loads(reply.body)
        answers = body.get("predictions", [body])
        codes = {answer["code"] for answer in answers if "code" in answer}
        for code in codes:
            self._ledger.count(f"answers {code}")
        if reply.status >= SERVER_ERROR or codes & RETRY_CODES:
            return False
        if any(answer.get("status", 0) >= SERVER_ERROR for answer in answers):
            return False
        if codes:
            self._take_refusal(request, body, is_first=is_first)
            return True
        if reply.is_replayed:
            self._ledger.count("replays")
        for row, answer in zip(request.rows, answers, strict=True):
            self._take_row(row, answer["step"], tuple(answer["probabilities"]))
        if request.is_guarded and self._rng.random() < REPEAT_SHARE:
            self._repeat(request, reply)
        return True

    def _take_row(
        self, row: Row, step: int, probabilities: tuple[float, ...] | None
    ) -> None:
        if row.at is not None and step != row.at + len(row.events):
            self._ledger.objection(f"step {step} after {row}")
        entry = Entry(step, row.events, probabilities)
        self._ledger.acknowledge(row.session, entry)
        self._planner.learn(row, step)

    def _take_refusal(
        self, request: Request, body: dict[str, Any], *, is_first: bool
    ) -> None:
        """Take in that a row's step was not its session's.

        Of a session that others advance too, nothing is wrong with that. Where neither
        step nor key was said at first, it shows that the lost answer was a yes.
        """
        row, step = request.rows[0], body.get("step")
        if request.may_conflict and body.get("code") == "step_conflict":
            self._ledger.count("refused by step")
            self._planner.learn(row, body["step"])
            return
        after = (request.before or 0) + len(row.events)
        is_plain = request.before is not None and not is_first
        code = "session_gone" if row.is_end else "step_conflict"
        if is_plain and body.get("code") == code and step == after:
            self._ledger.count("resolved by step")
            self._take_row(row, body["step"], None)
            return
        self._ledger.objection(f"{body} to {request}")
        self._planner.learn(row._replace(is_end=True), 0)

    def _repeat(self, request: Request, first: Reply) -> None:
        """Ask again for what was acknowledged: it must be the same to the byte."""
        reply = self._send(request)
        if reply is None or any(code in reply.body for code in RETRY_BODIES):
            return
        self._ledger.count("answers asked for again")
        self._ledger.count("replays" if reply.is_replayed else "not replayed")
        if reply.body != first.body:
            self._ledger.objection(f"{reply.body!r} after {first.body!r}: {request}")
