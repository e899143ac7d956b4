"""Client of Carryover in one file: copy it next to your program. It needs httpx.

    with Client("http://127.0.0.1:8080", api_key="...") as client:
        with client.session("nature", "tv") as tv:
            answer = tv.predict(["bear"])  # answer["probabilities"], answer["step"]

`AsyncClient` has the same calls, to be awaited. A call is repeated after a lost
connection and after `Retry-After`, where that is safe. Options of a call are the fields
of its body or row in docs/reference/http-v1.md, such as `top`, and `key`: its
Idempotency-Key, such as a message's id. It is a new one by default; "" sends none. Each
problem code has its exception: `except StepConflict as error: error.problem["step"]`.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import abc
from contextlib import aclosing, closing, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

import httpx

Json = dict[str, Any]
Rows = abc.Iterable[Any]
Note = abc.Callable[[Json], Json]
Outcome = httpx.Response | httpx.RequestError
Awaited = abc.Coroutine[Any, Any, Json]
A = TypeVar("A")  # what a call returns: Json or Awaited
S = TypeVar("S")  # what a stream returns: an iterator of Json, or an asynchronous one
R = TypeVar("R")
# A call without I/O: yields seconds to wait and a request to send, gets its outcome.
Work = abc.Generator[tuple[float, httpx.Request], Outcome | None, R]

# A proxy refuses a connection before the request is sent.
UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
LOST = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    httpx.DecodingError,
)
UNAVAILABLE = (502, 503)  # a proxy answers them without Retry-After
FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 0.1, 5.0
MAX_DOUBLINGS = 16  # the wait has reached its maximum long before
MAX_ASKED_SECONDS = 86_400.0  # more is waited for in parts
# httpx sends a whole body before it reads the answer. The service reads this much ahead
# (docs/reference/streams.md), so that neither side waits for the other.
MAX_PIECE_LINES, MAX_PIECE_BYTES = 256, 65536
NO_REPEAT = (b"", "")


class Calls(Generic[A, S]):
    """Calls of a service; `model` is `name`, `name/versions/2` or `name/labels/stable`.

    Args:
        base_url: Address of the service.
        api_key: API key, where the service needs one.
        timeout_seconds: Longest wait for a connection, and for the next bytes of an
            answer. Longer than the 30 s after which the service gives a row up.
        retry_seconds: Most seconds that a call waits between its tries, in all.
        **options: Options of `httpx.Client`, such as `verify`, `cert` and `proxy`.
    """

    _kind: type[httpx.Client] | type[httpx.AsyncClient]

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        api_key: str | None = None,
        timeout_seconds: float = 35.0,
        retry_seconds: float = 60.0,
        **options: Any,
    ) -> None:
        self._http = self._kind(base_url=base_url, timeout=timeout_seconds, **options)
        if api_key:
            # A key read from a file ends with a newline, which no header may have.
            bearer = f"Bearer {api_key.strip()}"
            self._http.headers["Authorization"] = _printable("api_key", bearer)
        self._retry_seconds = retry_seconds

    def predict(self, model: str, rows: Rows, call: str = "predict", **body: Any) -> A:
        """Advance independent rows: lists of events, or objects with options.

        `call="explain"` adds gates and memories, (timesteps, units) each; `"forecast"`
        continues rows by `horizon` events and stores nothing.

        Returns:
            `predictions` in the order of the rows, `labels`, `model_version`. A row
            that failed has its problem (see `check`); the call raises if all failed.
        """
        return self._run(self._rows(model, rows, call, body))

    def stream(self, model: str, rows: Rows, **query: Any) -> S:
        """Yield the answer to each of any number of rows, or its problem (`check`).

        256 rows, or 64 KiB, are read before they are sent: use `predict` where you need
        an answer before the next row. After `NoAnswer`, or if you leave the iterator
        early, rows without an answer may be applied.
        """
        return self._stream(
            model, _return(_in_order(rows)), query, lambda answer: answer
        )

    def session(self, model: str, session: str, start: bool = False) -> Session[A, S]:
        """Return a session; with `start`, one that is gone starts again."""
        return Session(self, model, session, start)

    def sealed(self, model: str, token: str | None = None) -> Sealed[A, S]:
        """Return a sequence with its memory here, in `token`; None: a new one."""
        return Sealed(self, model, token)

    def get(self, path: str, **query: Any) -> A:
        """Read `models`, `models/nature/metadata`, `models/nature/sessions`, ..."""
        return self._run(self._call("GET", f"/v1/{path}", params=query))

    def _run(self, work: Work[Json]) -> A:
        raise NotImplementedError

    def _stream(self, model: str, rows: Work[Rows], query: Json, note: Note) -> S:
        raise NotImplementedError

    def _rows(self, model: str, rows: Rows, call: str, body: Json) -> Work[Json]:
        key = _printable("key", body.pop("key", str(uuid4())))
        rows = list(_in_order(rows))
        quoted = re.sub(r'(["\\])', r"\\\1", "" if call == "forecast" else key)
        headers = {"Idempotency-Key": f'"{quoted}"'} if quoted else {}
        # Without a key a row may be repeated if it says `at` or names no session.
        is_safe = bool(key) or all("at" in row for row in rows if isinstance(row, dict))
        path, content = f"{_path(model)}:{call}", _encode({"instances": rows, **body})
        answer = yield from self._call(
            "POST", path, is_safe, content=content, headers=headers
        )
        if not isinstance(predictions := answer.get("predictions"), list):
            raise _unreadable(answer, "an object with `predictions`")
        if len(predictions) != len(rows):
            raise _unreadable(answer, f"{len(rows)} predictions")
        return answer

    def _call(
        self, method: str, path: str, is_safe: bool = True, **options: Any
    ) -> Work[Json]:
        request = self._http.build_request(method, path, **options)
        answer = _parse((yield from self._attempt(request, is_safe)).content)
        if not isinstance(answer, dict):
            raise _unreadable(answer, "a JSON object")
        return answer

    def _piece(
        self, model: str, lines: list[bytes], query: Json
    ) -> Work[httpx.Response]:
        path, body = f"{_path(model)}:stream", b"".join(lines)
        request = self._http.build_request("POST", path, content=body, params=query)
        return self._attempt(request, is_safe=False)

    def _attempt(self, request: httpx.Request, is_safe: bool) -> Work[httpx.Response]:
        """Send until there is an answer, no time is left, or a repeat is not safe."""
        delay, left_seconds, num_tries = 0.0, self._retry_seconds, 0
        while True:
            outcome = yield delay, request
            if isinstance(outcome, httpx.Response) and outcome.is_success:
                return outcome
            num_tries += 1
            wait = _wait(outcome, num_tries, is_safe)
            if wait is None or wait > left_seconds:
                raise _failure(outcome)
            delay = wait
            left_seconds -= wait


class Sequence(Generic[A, S]):
    """A remembered sequence: `step` counts its events, None while it is not known.

    One thread or task uses it at a time: a request needs the step of the one before.
    """

    def __init__(self, calls: Calls[A, S], model: str) -> None:
        self.model, self._calls = model, calls
        self.step: int | None = None
        self._pending = NO_REPEAT

    def predict(self, events: Rows, **options: Any) -> A:
        """Absorb events: names, numbers, records, or an array (timesteps, features).

        Returns:
            The row's answer: the output, `step`, `labels`, `model_version`.

        Raises:
            StepConflict: Another client advanced the session; `reload` reads its step.
            NoAnswer: It may have been applied; the same call again applies it once.
        """
        return self._calls._run(self._advance(events, "predict", options))

    def explain(self, events: Rows, **options: Any) -> A:
        """Do as `predict`; `layers` has gates and memories, each (timesteps, units)."""
        return self._calls._run(self._advance(events, "explain", options))

    def forecast(self, horizon: int, events: Rows = (), **options: Any) -> A:
        """Continue by `horizon` events after `events`; nothing is stored."""
        return self._calls._run(self._ahead(events, {"horizon": horizon, **options}))

    def _ahead(self, events: Rows, body: Json) -> Work[Json]:
        row = yield from self._place()
        sequence = list(_in_order(events))
        row |= {"sequence": sequence} if sequence else {}
        return _row((yield from self._calls._rows(self.model, [row], "forecast", body)))

    def _advance(self, events: Rows, call: str, body: Json) -> Work[Json]:
        row = yield from self._place()
        row |= {name: body.pop(name) for name in ("end", "ttl_seconds") if name in body}
        row["sequence"] = list(_in_order(events))
        # The same row after a lost answer is a repeat, because it is of the same step.
        sent, (pending, key) = _encode([call, row, body]), self._pending
        body.setdefault("key", key if pending == sent else str(uuid4()))
        self._pending = sent, body["key"]
        answer = _row((yield from self._calls._rows(self.model, [row], call, body)))
        self._pending = NO_REPEAT
        return self._note(answer)

    def _place(self) -> Work[Json]:
        raise NotImplementedError

    def _note(self, answer: Json) -> Json:
        self.step = _step_of(answer)
        return answer


class Sealed(Sequence[A, S]):
    """A sequence with its memory at the client: `token`, sealed by the service."""

    def __init__(self, calls: Calls[A, S], model: str, token: str | None) -> None:
        super().__init__(calls, model)
        self.token = token

    def _place(self) -> Work[Json]:
        return _return({"memory": self.token})

    def _note(self, answer: Json) -> Json:
        self.token = answer["memory"]
        return super()._note(answer)


class Session(Sequence[A, S]):
    """A session; `with` or `async with` reads its step at the start, and ends nothing.

    Set `step` to the number of a message to send that message again: the service knows
    whether it has applied it.
    """

    def __init__(
        self, calls: Calls[A, S], model: str, session: str, start: bool
    ) -> None:
        super().__init__(calls, model)
        self.id, self._may_start, self._starts = session, start, False
        # Versions share sessions. A dot could be taken for a step in folders.
        name = quote(session, safe="").replace(".", "%2E")
        self._path = f"{_path(model.partition('/')[0])}/sessions/{name}"

    def reload(self) -> A:
        """Read the state, and `step` from it: 0 where the session is new.

        Raises:
            SessionGone: It expired, was ended or was deleted, and may not start again.
        """
        return self._calls._run(self._load())

    def stream(self, events: Rows, **query: Any) -> S:
        """Absorb events one by one and yield the answer after each; see `Calls.stream`.

        An event that fails raises, and no later one is applied. After `NoAnswer`,
        `reload` reads the step to continue from. After `SessionGone` the next call
        starts the session, where it may start again.
        """
        return self._calls._stream(self.model, self._lines(events), query, self._note)

    def fork(self, to: str, **options: Any) -> A:
        """Start the session `to` with this memory; `start=True`: its id may be gone."""
        return self._calls._run(self._change(":fork", {"to": to, **options}))

    def rewind(self, to_step: int) -> A:
        """Go back to one of the `rewind_steps` of the state."""
        return self._calls._run(self._change(":rewind", {"to_step": to_step}))

    def touch(self, **options: float) -> A:
        """Postpone the expiry; `ttl_seconds` also replaces the idle lifetime."""
        return self._calls._run(self._change(":touch", options))

    def delete(self) -> A:
        """Delete the session: it is gone for all clients."""
        return self._calls._run(self._change("", {}, method="DELETE"))

    def _load(self) -> Work[Json]:
        self._starts = False
        state: Json = {"session": self.id, "step": 0}
        try:
            state = yield from self._calls._call("GET", self._path)
        except SessionNotFound:
            pass
        except SessionGone:
            if not self._may_start:
                raise
            self._starts = True
        self.step = _step_of(state)
        return state

    def _change(self, verb: str, body: Json, method: str = "POST") -> Work[Json]:
        content = _encode(body) if verb else None
        path, is_safe = self._path + verb, verb == ":touch"
        answer = yield from self._calls._call(method, path, is_safe, content=content)
        # Fork and touch leave the session where it is. Their answer sets no `step`:
        # a call that is made again after a lost answer needs the step it was sent with.
        if verb in (":rewind", ""):
            self._pending = NO_REPEAT
            self.step = _step_of(answer) if verb else None
        return answer

    def _place(self) -> Work[Json]:
        if self.step is None:
            yield from self._load()
        start = {"start": True} if self._starts else {}
        return {"session": self.id, "at": self.step, **start}

    def _note(self, answer: Json) -> Json:
        try:
            super()._note(answer)
        except SessionGone:  # of a stream
            self._begin_again()
            raise
        self._starts = False
        return answer

    def _advance(self, events: Rows, call: str, body: Json) -> Work[Json]:
        events, advance = list(_in_order(events)), super()._advance
        return self._revive(lambda: advance(events, call, body.copy()))

    def _ahead(self, events: Rows, body: Json) -> Work[Json]:
        events, ahead = list(_in_order(events)), super()._ahead
        return self._revive(lambda: ahead(events, body.copy()))

    def _revive(self, work: abc.Callable[[], Work[Json]]) -> Work[Json]:
        """Do work; where it finds the session gone, start that again if it may."""
        try:
            return (yield from work())
        except SessionGone:
            if not self._begin_again():
                raise
        return (yield from work())

    def _begin_again(self) -> bool:
        # Not where another client started it meanwhile: the service says so.
        if self._may_start:
            self.step, self._starts = 0, True
        return self._may_start

    def _lines(self, events: Rows) -> Work[Rows]:
        row = yield from self._place()
        at, start = row.pop("at"), row.pop("start", False)
        return (
            {**row, "sequence": [event], "at": at + k, "start": start and k == 0}
            for k, event in enumerate(_in_order(events))
        )

    def __enter__(self: Session[Json, S]) -> Session[Json, S]:
        self.reload()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    async def __aenter__(self: Session[Awaited, S]) -> Session[Awaited, S]:
        await self.reload()
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class Client(Calls[Json, abc.Iterator[Json]]):
    """Calls that return their answers. `close` it, or use it in `with`."""

    _kind = httpx.Client
    _http: httpx.Client

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Work[R], stream: bool = False) -> R:
        outcome: Outcome | None = None
        while True:
            try:
                delay, request = work.send(outcome)
            except StopIteration as done:
                return cast(R, done.value)
            time.sleep(delay)
            try:
                outcome = self._http.send(request, stream=stream)
                if not outcome.is_success:
                    outcome.read()
            except LOST as error:
                outcome = error

    def _stream(
        self, model: str, rows: Work[Rows], query: Json, note: Note
    ) -> abc.Iterator[Json]:
        for lines in _cut(self._run(rows)):
            work = self._piece(model, lines, query)
            with closing(self._run(work, stream=True)) as response, _lost(lines):
                for line in response.iter_lines():
                    del lines[:1]
                    yield note(_parse(line))


class AsyncClient(Calls[Awaited, abc.AsyncIterator[Json]]):
    """Calls that return coroutines. `aclose` it, or use it in `async with`."""

    _kind = httpx.AsyncClient
    _http: httpx.AsyncClient

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, work: Work[R], stream: bool = False) -> R:
        outcome: Outcome | None = None
        while True:
            try:
                delay, request = work.send(outcome)
            except StopIteration as done:
                return cast(R, done.value)
            await asyncio.sleep(delay)
            try:
                outcome = await self._http.send(request, stream=stream)
                if not outcome.is_success:
                    await outcome.aread()
            except LOST as error:
                outcome = error

    async def _stream(
        self, model: str, rows: Work[Rows], query: Json, note: Note
    ) -> abc.AsyncIterator[Json]:
        for lines in _cut(await self._run(rows)):
            work = self._piece(model, lines, query)
            response = await self._run(work, stream=True)
            async with aclosing(response):
                with _lost(lines):
                    async for line in response.aiter_lines():
                        del lines[:1]
                        yield note(_parse(line))


def check(answer: Json) -> Json:
    """Return an answer, or raise the exception of the problem that it is.

    Raises:
        CarryoverError: It is a problem; of the class of its code.
    """
    if "detail" in answer and isinstance(answer.get("code"), str):
        raise CLASSES.get(answer["code"], CarryoverError)(answer)
    return answer


def _failure(outcome: Outcome | None) -> CarryoverError:
    """Return the exception of a response that is an error, or of no response."""
    if not isinstance(outcome, httpx.Response):
        return NoAnswer({"code": "no_answer", "detail": f"no answer: {outcome!r}"})
    try:
        problem = outcome.json()
        return CLASSES.get(problem["code"], CarryoverError)(problem)
    except (ValueError, TypeError, KeyError, RecursionError):  # a proxy's page
        url, status = outcome.url.copy_with(userinfo=b""), outcome.status_code
        where = outcome.headers.get("Location")
        what = f"a redirect to {where}" if where else "not a problem of the service"
        detail = f"{url} answered {status}, {what}. Check the base_url of the client."
        return CarryoverError({"status": status, "detail": detail})


def _wait(outcome: Outcome | None, num_tries: int, is_safe: bool) -> float | None:
    """Return the seconds to the next try; None when it is over."""
    doubled = FIRST_WAIT_SECONDS * 2 ** min(num_tries, MAX_DOUBLINGS)
    wait = min(doubled, MAX_WAIT_SECONDS)
    if not isinstance(outcome, httpx.Response):
        is_safe |= isinstance(outcome, UNSENT)
        return random.uniform(0.5, 1) * wait if is_safe else None
    asked = outcome.headers.get("Retry-After", "")
    if not is_safe or not (asked or outcome.status_code in UNAVAILABLE):
        return None
    # A zero would have a service that stays away asked without a pause.
    return _seconds(asked) or wait


def _seconds(asked: str) -> float:
    """Return the seconds of a `Retry-After`, a number or a date; 0 of neither."""
    if asked.isdecimal():
        return min(float(asked), MAX_ASKED_SECONDS)
    try:
        seconds = parsedate_to_datetime(asked).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, min(seconds, MAX_ASKED_SECONDS))


def _parse(text: str | bytes) -> Any:
    """Return JSON as Python has it. Another answer is cut off, or not the service's."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(text, "JSON") from error


def _step_of(answer: Any) -> int:
    """Return the step in an answer to one row, which may be a problem."""
    if isinstance(answer, dict) and isinstance(step := check(answer).get("step"), int):
        return step
    raise _unreadable(answer, "an object with `step`")


def _unreadable(answer: Any, expected: str) -> NoAnswer:
    detail = (
        f"the answer is {answer!r:.60}; expected {expected}. Check that the address is "
        "the service's, then make the call again."
    )
    return NoAnswer({"code": "no_answer", "detail": detail})


@contextmanager
def _lost(unanswered: list[bytes]) -> abc.Iterator[None]:
    """Raise `NoAnswer` where a stream ends before all its lines are answered."""
    try:
        yield
    except LOST as error:
        raise _failure(error) from error
    if unanswered:
        detail = f"the stream ended {len(unanswered)} answers early"
        raise NoAnswer({"code": "no_answer", "detail": detail})


def _cut(rows: Rows) -> abc.Iterator[list[bytes]]:
    """Yield the lines of a stream in pieces of bounded size."""
    lines: list[bytes] = []
    size = 0
    for line in (_encode(row) + b"\n" for row in rows):
        size += len(line)
        if lines and (len(lines) == MAX_PIECE_LINES or size > MAX_PIECE_BYTES):
            yield lines
            lines, size = [], len(line)
        lines.append(line)
    if lines:
        yield lines


def _row(body: Json) -> Json:
    """Return the answer to a lone row, with the members that its body has for it."""
    row = body.pop("predictions")[0]
    if not isinstance(row, dict):
        raise _unreadable(row, "an object for the row")
    return body | row


def _path(model: str) -> str:
    return f"/v1/models/{quote(model)}"


def _encode(value: Any) -> bytes:
    return json.dumps(value, default=_plain).encode()


def _plain(value: Any) -> Any:
    # `tolist` is the method of the arrays and numbers of NumPy and its like.
    if not hasattr(value, "tolist"):
        raise TypeError(
            f"a value is {value!r:.60}, of type {type(value).__name__}; expected what "
            "JSON has, or an array. Convert it before it is sent."
        )
    return value.tolist()


def _in_order(values: Rows) -> Rows:
    """Return rows or events, unless they are one value, or have no order."""
    if isinstance(values, str | bytes | abc.Set | abc.Mapping):
        raise TypeError(
            f"rows or events are {values!r:.60}, of type {type(values).__name__}; "
            "expected a list. Put it in one: [...]."
        )
    return values


def _printable(name: str, value: Any) -> str:
    """Return what a header can carry; the value is a secret, so it is not shown."""
    if not isinstance(value, str):
        raise TypeError(
            f"{name} is of type {type(value).__name__}; expected a string. Use str()."
        )
    if not (value.isascii() and value.isprintable()):
        raise ValueError(
            f"{name} has a character other than printable ASCII, which a header cannot "
            "carry. Check the end of the file it is from, or encode it."
        )
    return value


def _return(value: R) -> Work[R]:
    yield from ()
    return value


CLASSES: dict[str, type[CarryoverError]] = {}


class CarryoverError(Exception):
    """Any error; `problem` is the problem document, with `code`, `detail` and more."""

    code = ""

    def __init_subclass__(cls) -> None:
        cls.code = re.sub("(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        CLASSES[cls.code] = cls

    def __init__(self, problem: Json) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        code, detail = self.problem.get("code", "error"), self.problem.get("detail")
        return f"{code}: {detail or 'no details'}"


# fmt: off
class NoAnswer(CarryoverError): """The connection was lost; the call may be applied."""
class Internal(CarryoverError): """A defect of the service; its log has the details."""
class InvalidRequest(CarryoverError): """The request has another form than expected."""
class InvalidJson(InvalidRequest): """The body is not JSON."""
class UnknownField(InvalidRequest): """The body or a row has an unknown field."""
class BodyTooLarge(InvalidRequest): """The body is longer than the service accepts."""
class TooManyRows(InvalidRequest): """The request has too many rows."""
class SequenceTooLong(InvalidRequest): """A row has too many events."""
class TooManyEvents(InvalidRequest): """The rows together have too many events."""
class RequestTooLarge(InvalidRequest): """It cannot be computed in time, even alone."""
class EmptySequence(InvalidRequest): """A row has no event."""
class UnknownEvent(InvalidRequest): """An event is not in the vocabulary."""
class InvalidEvent(InvalidRequest): """An event has other fields or types."""
class NonFiniteInput(InvalidRequest): """A number in an event is NaN or infinite."""
class TokenInvalid(InvalidRequest): """The service did not seal this token for you."""
class TokenForeign(InvalidRequest): """The token is of another of your models."""
class InvalidMemory(InvalidRequest): """An open memory has another form."""
class PlainMemoryRefused(InvalidRequest): """Memory in the open is not allowed."""
class UnknownLabel(InvalidRequest): """The model has no such version label."""
class MalformedRequest(InvalidRequest): """There is no such address under /v1."""
class AnswerTooLarge(InvalidRequest): """The answer is too large to store: `key=""`."""
class CannotForecast(InvalidRequest): """The model's output is not a next event."""
class IdempotencyMismatch(InvalidRequest): """The key was used for another request."""
class SequenceNotStarted(InvalidRequest): """A sequence of infer is not live."""
class ModelNotLoaded(InvalidRequest): """A model's folder cannot be read."""
class Unauthorized(CarryoverError): """The API key is missing, unknown or expired."""
class Forbidden(CarryoverError): """The API key does not allow this call."""
class NotFound(CarryoverError): """There is nothing at this address."""
class ModelNotFound(NotFound): """No model of this name is loaded."""
class VersionNotFound(NotFound): """The model is not loaded in this version."""
class ReportNotFound(NotFound): """The version has no training report."""
class SessionNotFound(NotFound): """There is no session of this id."""
class MethodNotAllowed(CarryoverError): """The address takes other methods."""
class NotServed(CarryoverError): """The service leaves this call out."""
class Gone(CarryoverError): """It existed, and does not exist any more."""
class SessionGone(Gone): """The session expired, was ended or was deleted."""
class TokenExpired(Gone): """The memory token has expired."""
class Conflict(CarryoverError): """The request does not fit the present memory."""
class StepConflict(Conflict): """The session is at another `step` than expected."""
class SessionLive(Conflict): """A session that is to start is live."""
class WrongNetwork(Conflict): """Other weights made the memory."""
class SnapshotUnavailable(Conflict): """The session has no memory of this step."""
class TokenReplayed(Conflict): """The sequence has a later token."""
class SessionContended(Conflict): """Other requests kept changing the session."""
class RequestInProgress(Conflict): """A request with the same key is running."""
class EarlierRowFailed(Conflict): """An earlier row of the session failed."""
class PreconditionFailed(CarryoverError): """The session has another ETag."""
class PreconditionRequired(CarryoverError): """A live session needs If-Match."""
class NonFinite(CarryoverError): """The result is not finite; nothing was applied."""
class CorruptRecord(CarryoverError): """The stored memory is damaged."""
class RateLimited(CarryoverError): """You have sent too many; nothing was applied."""
class TooManyAtOnce(RateLimited): """Too many of yours run; nothing was applied."""
class Overloaded(CarryoverError): """Too many rows are waiting; nothing was applied."""
class DeadlineExceeded(CarryoverError): """It took too long; nothing was applied."""
class StoreFull(CarryoverError): """The store has no room for a new session."""
class StoreUnavailable(CarryoverError): """The store cannot be read or written now."""
