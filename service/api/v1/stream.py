"""`:stream` of the v1 dialect: lines in, answers out, as long as the client likes.

What waits is advanced as one batch, and what comes meanwhile waits: a client that sends
a line and waits is answered at once, and one that sends as fast as it can in batches of
hundreds. What a body says once, the query says. Knows the dialect and the engine, not
the web framework.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from service.api.problems import limit_events
from service.api.v1.blocked_sessions import UNREADABLE, BlockedSessions
from service.api.v1.diagnose import wrong_form
from service.api.v1.lines import Line, Lines, parse_lines, render_lines
from service.api.v1.parse import check_body
from service.api.v1.row import name_row
from service.api.v1.schema import (
    Options,
    ParsedPredict,
    ParsedRow,
    PredictBody,
    Returned,
    Threshold,
    Top,
)
from service.api.v1.spelling import reword
from service.engine.engine import Engine
from service.engine.rows import Refused, Result, Row, earlier_row_failed
from service.errors import CarryoverError, Overloaded, RequestTooLarge, TooManyEvents
from service.registry.catalog import Model
from service.settings import Settings
from service.telemetry import metrics

# How long a batch waits for room in the engine's queue before it asks again: some
# batches' time.
ROOM_SECONDS = 0.02


class Query(msgspec.Struct, forbid_unknown_fields=True, rename={"returned": "return"}):
    """The query of `:stream`: what the body of `:predict` says for all rows."""

    returned: Returned = "last"
    top: Top | None = None
    threshold: Threshold | None = None


def read_query(arguments: Mapping[str, str]) -> Query:
    """Read the query.

    Raises:
        UnknownField: It has a parameter that does not exist.
        InvalidRequest: A parameter has no right value.
    """
    try:
        return msgspec.convert(dict(arguments), Query, strict=False)
    except msgspec.ValidationError as error:
        raise wrong_form(error, "the query", Query) from None


def choose_options(query: Query, model: Model) -> Options:
    """Choose how a model's answers are written.

    Raises:
        InvalidRequest: The query asks for labels the model has not.
    """
    body = PredictBody([], msgspec.UNSET, query.returned, query.top, query.threshold)
    return check_body(body, model)


class Opening(NamedTuple):
    """Request of a stream without its lines.

    Args:
        find: Finds its model, in the version that is newest now unless one is named.
        query: How answers are written.
        tenant: Whom its sessions belong to.
        is_version_named: Whether its address names a version.
        check_key: Raises `CarryoverError` once its key is no longer good.
    """

    find: Callable[[], Model]
    query: Query
    tenant: str
    is_version_named: bool = False
    check_key: Callable[[], object] = lambda: None


class Stream:
    """One running stream.

    Args:
        engine: Advances the rows.
        settings: Limits and time.
        opening: What the request says.
        crash: Logs a defect of the service, and returns the error for clients.

    Attributes:
        num_rows: Lines answered so far.
        common: The version at its beginning; answers name theirs where it is another.

    Raises:
        CarryoverError: The query asks for what there is not.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        opening: Opening,
        crash: Callable[[Exception], CarryoverError],
    ) -> None:
        self.num_rows = 0
        self.common = self._model = opening.find()
        self._options = choose_options(opening.query, self.common)
        self._engine = engine
        self._settings = settings
        self._opening = opening
        self._crash = crash
        self._blocked_sessions = BlockedSessions()
        self._give_up_at = 0.0
        self._count_rows = metrics.find_rows(self.common.manifest.name).inc

    def run(self, lines: Lines) -> Iterator[bytes]:
        """Yield the answers of lines, one line each, some lines at a time.

        Lines that come after the key was revoked or has expired are the last.
        """
        try:
            lines.start()
            while batch := lines.take():
                try:
                    self._opening.check_key()
                except CarryoverError as error:
                    yield self._refuse(batch, error)
                    return
                yield self.answer(batch)
        finally:
            lines.close()

    def answer(self, batch: Sequence[Line]) -> bytes:
        """Answer lines that came together."""
        self.num_rows += len(batch)
        self._count_rows(len(batch))
        self._give_up_at = time.monotonic() + self._settings.request_timeout_seconds
        try:
            self._look()
            parsed = self._parse(batch)
            results = self._advance([parsed_row.row for parsed_row in parsed])
            if has_failed(results):
                reword(ParsedPredict(self._options, parsed), results)
            return self._render(batch, parsed, results)
        except CarryoverError as error:
            failure = error
        except Exception as error:
            failure = self._crash(error)
        # The sessions of these lines are not known, nor how far each came.
        self._blocked_sessions.block_all()
        return self._refuse(batch, failure)

    def _refuse(self, batch: Sequence[Line], failure: CarryoverError) -> bytes:
        """Answer every line with one error."""
        refused = [ParsedRow(Refused(failure))] * len(batch)
        return self._render(batch, refused, [failure] * len(batch))

    def _look(self) -> None:
        """Go on with the version that is newest now."""
        model = self._opening.find()
        if model is not self._model:
            self._options = choose_options(self._opening.query, model)
            self._model = model

    def _parse(self, batch: Sequence[Line]) -> list[ParsedRow]:
        is_last_only = self._options.is_last_only
        parsed = parse_lines(
            batch,
            self._model,
            is_last_only=is_last_only,
            timeout_seconds=self._settings.request_timeout_seconds,
        )
        if is_last_only:
            return parsed
        return [self._limit(line, row) for line, row in zip(batch, parsed, strict=True)]

    def _limit(self, line: Line, parsed: ParsedRow) -> ParsedRow:
        """Refuse a row with more events than are returned."""
        try:
            limit_events([parsed.row], self._settings.max_returned_events, "returned")
        except TooManyEvents as error:
            named = name_row(error, f"line {line.number}")
            return ParsedRow(Refused(named, parsed.row.session))
        return parsed

    def _advance(self, rows: Sequence[Row | Refused]) -> list[Result]:
        """Advance rows, but none of any session after one that cannot be read."""
        results: list[Result] = []
        for k, row in enumerate(rows):
            if isinstance(row, Refused) and isinstance(row.error, UNREADABLE):
                results += self._advance_readable(rows[len(results) : k])
                results.append(row.error)
                self._blocked_sessions.block_all()
        return results + self._advance_readable(rows[len(results) :])

    def _advance_readable(self, rows: Sequence[Row | Refused]) -> list[Result]:
        """Advance rows, but none of a session after one that failed."""
        results: dict[int, Result] = {}
        waiting: Sequence[int] = range(len(rows))
        while waiting:
            free, blocked = self._blocked_sessions.hold_back(rows, waiting)
            done = self._submit([rows[k] for k in free])
            is_usual = len(free) == len(rows) and self._blocked_sessions.is_idle()
            if is_usual and not has_failed(done):  # nothing to note
                return done
            noted, waiting = self._blocked_sessions.note(rows, free, done)
            results |= blocked | noted
        return [results[k] for k in range(len(rows))]

    def _submit(self, rows: Sequence[Row | Refused]) -> list[Result]:
        """Hand rows to the engine; what stops them is the result of these rows alone.

        Other parts of the batch may be applied already. More rows than can ever be
        done in time are handed over in parts.
        """
        try:
            results = self._await_room(rows)
        except RequestTooLarge as error:
            return [error] if len(rows) == 1 else self._submit_in_parts(rows)
        except CarryoverError as error:
            return fail(rows, error)
        except Exception as error:
            return fail(rows, self._crash(error))
        self._give_up_at = time.monotonic() + self._settings.request_timeout_seconds
        return results

    def _await_room(self, rows: Sequence[Row | Refused]) -> list[Result]:
        """Hand rows to the engine; where its queue is full, wait: so does the client.

        Raises:
            Overloaded: There was no room for as long as a row may take, since the
                batch came or a part of it was advanced.
            RequestTooLarge: There will never be room for that number of rows.
        """
        seconds = self._settings.request_timeout_seconds
        while True:
            try:
                return self._engine.advance(
                    self._model,
                    rows,
                    tenant=self._opening.tenant,
                    is_version_named=self._opening.is_version_named,
                    timeout_seconds=seconds,
                )
            except Overloaded as error:
                if time.monotonic() > self._give_up_at:
                    raise no_room(error) from None
            time.sleep(ROOM_SECONDS)

    def _submit_in_parts(self, rows: Sequence[Row | Refused]) -> list[Result]:
        """Hand over one half, then the other without sessions that failed."""
        half = len(rows) // 2
        results = self._submit(rows[:half])
        failed = {
            row.session
            for row, result in zip(rows, results, strict=False)
            if isinstance(result, CarryoverError)
        } - {None}
        free = [row for row in rows[half:] if row.session not in failed]
        done = iter(self._submit(free) if free else [])
        for row in rows[half:]:
            if row.session is not None and row.session in failed:
                results.append(earlier_row_failed(row.session))
            else:
                results.append(next(done))
        return results

    def _render(
        self,
        batch: Sequence[Line],
        parsed: Sequence[ParsedRow],
        results: Sequence[Result],
    ) -> bytes:
        return render_lines(batch, parsed, results, self._options, self.common)


def has_failed(results: Sequence[Result]) -> bool:
    """Return whether a row was refused."""
    return any([isinstance(result, CarryoverError) for result in results])


def fail(rows: Sequence[Row | Refused], error: CarryoverError) -> list[Result]:
    """Answer rows that were not advanced; a refused one keeps its own error."""
    return [row.error if isinstance(row, Refused) else error for row in rows]


def no_room(error: Overloaded) -> Overloaded:
    """Return the error of a line, where the engine's is that of a request."""
    return Overloaded(
        "too many rows are under way here, and this line was not applied. Send it "
        "again in a second, then the later lines of its session.",
        **error.members,
    )
