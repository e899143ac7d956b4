"""Capture: the events of a share of all sessions, written for training.

A session is chosen by a hash of its key, the same in every worker and replica, so that
all of its events are. An event is captured when the memory that it led to is stored:
repeats and refused rows are not. The request only appends to a bounded queue. A writer
turns queued rows into lines and files; rows beyond the queue's bound are counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from service.common.loop import offload
from service.common.value import Value
from service.engine.captured_events import decode_events, leave_out, name_fields
from service.registry.catalog import Model
from service.telemetry.capture_files import CaptureFiles
from service.telemetry.engine_metrics import CAPTURED_EVENTS, DROPPED_EVENTS
from service.telemetry.tallies import find_counter

# Sooner than this nothing is written, so that a write is of many rows.
WRITE_SECONDS = 0.5
# Rows that a write turns into lines at a stretch, in a millisecond or two.
BATCH_ROWS = 256
# Rows and events that wait at most.
QUEUED_ROWS = 16_384
QUEUED_EVENTS = 262_144
HASH_BYTES = 8
# A checksum of 32 bits, multiplied so that ids that are alike are far apart (Knuth's
# multiplicative hashing): a fifth of the time of a digest.
SPACE = 1 << 32
SPREAD = 2_654_435_769
log = logging.getLogger(__name__)


class CapturedRow(Value, frozen=True, eq=False):
    """A row that was applied, in the form that is queued.

    Args:
        model: The version that advanced it.
        key: Of its session in the store.
        tenant: Of its session.
        events: As the client wrote them; None where they came as numbers.
        sequence: As the network took them.
        step: Of the session after the row.
        began: When the session began, in seconds since 1970.
        received: When the row was applied, in seconds since 1970.
    """

    model: Model
    key: bytes
    tenant: str
    events: Sequence[Any] | None
    sequence: np.ndarray
    step: int
    began: float
    received: float


class CaptureOptions(NamedTuple):
    """Options of the capture of events.

    Args:
        shares: Of the sessions of each model.
        secret: Key of the pseudonyms.
        has_tenant: Whether lines have a pseudonym of the tenant.
        redacted: Names of fields that are left out, in lower case.
    """

    shares: Mapping[str, float]
    secret: bytes
    has_tenant: bool = False
    redacted: frozenset[str] = frozenset()


class Capture:
    """Queues applied rows of chosen sessions, and writes them.

    Args:
        options: What is captured.
        files: Where it is written.
    """

    def __init__(self, options: CaptureOptions, files: CaptureFiles) -> None:
        self._options = options
        self._limits = {
            name: round(share * SPACE) for name, share in options.shares.items()
        }
        self._files = files
        self._queue: deque[CapturedRow] = deque()
        self._num_added = self._num_taken = 0
        self._is_failing = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        for name in options.shares:  # shown as 0 until there is one
            find_counter(CAPTURED_EVENTS, name)
            find_counter(DROPPED_EVENTS, name)

    def start(self) -> None:
        """Complete what ended processes left, and write now and then."""
        self._thread.start()

    def chooses(self, model: Model, key: bytes) -> bool:
        """Return whether the events of a session are captured."""
        limit = self._limits.get(model.manifest.name)
        if limit is None:
            return False
        return crc32(key) * SPREAD % SPACE < limit

    def add(self, row: CapturedRow) -> None:
        """Queue a row, unless too much is queued."""
        num_events = len(row.sequence)
        waiting = self._num_added - self._num_taken
        if len(self._queue) >= QUEUED_ROWS or waiting + num_events > QUEUED_EVENTS:
            find_counter(DROPPED_EVENTS, row.model.manifest.name).number += num_events
            return
        self._num_added += num_events
        self._queue.append(row)

    def _run(self) -> None:
        self._try(lambda: offload(self._files.recover))
        while not self._stopped.wait(WRITE_SECONDS):
            self._try(self._work)

    def _work(self) -> None:
        self.write_queued()
        offload(self._files.complete_old)

    def _try(self, work: Callable[[], None]) -> None:
        """Do some work; a defect in it is logged and ends no later work."""
        try:
            work()
        except Exception:
            log.exception("capture failed; it continues with what is queued next")

    def write_queued(self) -> None:
        """Write the rows that are queued."""
        while self._queue:
            batch = [
                self._queue.popleft() for _ in range(min(BATCH_ROWS, len(self._queue)))
            ]
            self._num_taken += sum(len(row.sequence) for row in batch)
            written = offload(self._write, batch)
            for row in batch:
                is_written = id(row) in written
                counter = CAPTURED_EVENTS if is_written else DROPPED_EVENTS
                name = row.model.manifest.name
                find_counter(counter, name).number += len(row.sequence)

    def _write(self, batch: Sequence[CapturedRow]) -> set[int]:
        """Write a batch; return which rows were written."""
        formatted: dict[str, dict[int, bytes]] = {}
        for row in batch:
            if (lines := self._format(row)) is not None:
                formatted.setdefault(row.model.manifest.name, {})[id(row)] = lines
        written: set[int] = set()
        for model, rows in formatted.items():
            try:
                self._files.write(model, list(rows.values()))
            except OSError as error:
                self._fail(model, error)
            else:
                written |= rows.keys()
                self._is_failing = False
        return written

    def _fail(self, model: str, error: OSError) -> None:
        if not self._is_failing:
            log.error("events of %s are not captured: %s", model, error)
        self._is_failing = True

    def _format(self, row: CapturedRow) -> bytes | None:
        """Write a row as lines, one for each event; None where that fails."""
        try:
            lines = [msgspec.json.encode(line) for line in self.describe(row)]
        except Exception:
            log.exception("a row cannot be captured")
            return None
        return b"\n".join([*lines, b""])

    def describe(self, row: CapturedRow) -> Iterator[dict[str, Any]]:
        """Yield the columns of each event of a row."""
        events = row.events
        if events is None:
            events = decode_events(row.model, row.sequence)
        # A session that is begun again has another pseudonym, with a common beginning.
        line: dict[str, Any] = {
            "capture_session": f"{self._hash(row.key)}-{round(1000 * row.began):x}",
            "capture_step": row.step - len(row.sequence),
            "capture_time": write_time(row.received),
            "capture_version": row.model.manifest.version,
        }
        if self._options.has_tenant:
            line["capture_tenant"] = self._hash(row.tenant.encode())
        redacted = self._options.redacted
        for event in events:
            fields = name_fields(row.model, event)
            if redacted:
                fields = leave_out(fields, redacted)
            line["capture_step"] += 1
            # No field of an event takes the place of a pseudonym.
            yield line | fields | line

    def _hash(self, content: bytes) -> str:
        """Name a session or a tenant so that nobody without the key knows it."""
        return blake2b(
            content, digest_size=HASH_BYTES, key=self._options.secret, person=b"named"
        ).hexdigest()

    def stop(self) -> None:
        """Write what is queued and complete the files."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._try(self._work)
        self._files.complete_all()


def write_time(seconds: float) -> str:
    """Write seconds since 1970 in ISO 8601, UTC."""
    return f"{write_second(int(seconds))}.{int(seconds % 1 * 1e6):06d}"


@lru_cache(maxsize=4)
def write_second(second: int) -> str:
    """Write a whole second: most rows share theirs with others."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
