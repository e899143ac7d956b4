"""Guard that says whether the wall clock can be trusted with what cannot be undone.

It compares the wall clock with the time since the machine booted, which nobody sets. It
keeps the last trusted reading in a file, so that a restart knows it too.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

# NTP slews a clock by at most 0.5 ms a second; more than this is a jump.
TOLERANCE_SECONDS = 5.0
# Time to notice a clock that was set by error; a correct one costs a late sweep.
SETTLE_SECONDS = 3_600.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_uptime() -> float:
    """Return the seconds since the boot, those asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_boot_id() -> str:
    """Return what is another after each boot; empty where the system has no such."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Stamp(NamedTuple):
    """A trusted reading: the wall clock, its lead over the uptime, and which boot."""

    wall: float
    offset: float
    boot: str


class ClockGuard:
    """Trusts the wall clock while it advances as the uptime does.

    A clock that jumps is distrusted until it is back, or until it has kept its new
    course for an hour. After a boot, a clock before the last trusted reading, or more
    than an hour after it, has to keep its course first as well.

    Args:
        path: File of the last trusted reading, shared by all workers.
        wall: Returns seconds since the epoch.
        uptime: Returns seconds since the boot.
        boot: Identifies the boot; empty where unknown.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        uptime: Callable[[], float] = read_uptime,
        boot: str | None = None,
    ) -> None:
        self._path = path
        self._wall = wall
        self._uptime = uptime
        self._boot = read_boot_id() if boot is None else boot
        self._candidate: tuple[float, float] | None = None
        self._trusted = self._find_offset()

    def is_trusted(self) -> bool:
        """Look at both clocks; return whether they agree, and have for long enough."""
        wall, uptime = self._wall(), self._uptime()
        offset = wall - uptime
        if self._trusted is not None and _agree(offset, self._trusted):
            self._candidate = None
        elif not self._has_settled(offset, uptime):
            return False
        self._trusted = offset
        self._write(Stamp(wall, offset, self._boot))
        return True

    def _has_settled(self, offset: float, uptime: float) -> bool:
        """Follow a clock that is off; return whether it has kept its course."""
        if self._candidate is None or not _agree(offset, self._candidate[0]):
            self._candidate = offset, uptime
            lead = offset - (offset if self._trusted is None else self._trusted)
            log.warning(
                "the wall clock is not trusted (%+.0f s since it was); nothing is "
                "forgotten until it is back, or has advanced evenly for %.0f s",
                lead,
                SETTLE_SECONDS,
            )
        first, since = self._candidate
        self._candidate = offset, since
        if uptime - since < SETTLE_SECONDS:
            return False
        log.warning("the wall clock is trusted again, at %+.0f s", offset - first)
        self._candidate = None
        return True

    def _find_offset(self) -> float | None:
        """Return the lead of the wall clock that is trusted at the start, if any."""
        stamp = self._read()
        if stamp is None:
            return None
        if self._boot and stamp.boot == self._boot:
            return stamp.offset
        wall, uptime = self._wall(), self._uptime()
        is_plausible = 0 <= wall - stamp.wall <= SETTLE_SECONDS
        return wall - uptime if is_plausible else None

    def _read(self) -> Stamp | None:
        try:
            wall, offset, boot = json.loads(self._path.read_text())
            return Stamp(float(wall), float(offset), str(boot))
        except (OSError, ValueError, TypeError):
            return None  # never written, or damaged: nothing is known

    def _write(self, stamp: Stamp) -> None:
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(stamp))
            os.replace(partial, self._path)
        except OSError as error:
            log.warning("cannot write %s: %s", self._path, error)


def _agree(offset: float, other: float) -> bool:
    return abs(offset - other) <= TOLERANCE_SECONDS
