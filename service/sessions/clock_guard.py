"""Clock guard: whether the wall clock is right enough to delete by it.

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
        path: File of the last trusted reading, shared by all workers. The one next
            to it, `.candidate`, says since when an untrusted clock keeps its course.
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
        self._candidate_path = path.with_suffix(".candidate")
        self._candidate = self._find_candidate()
        self._trusted = self._find_offset()

    def is_trusted(self) -> bool:
        """Look at both clocks; return whether they agree, and have for long enough."""
        wall, uptime = self._wall(), self._uptime()
        offset = wall - uptime
        if self._trusted is not None and _agree(offset, self._trusted):
            self._drop_candidate()
        elif not self._has_settled(offset, uptime):
            return False
        self._trusted = offset
        self._write(self._path, Stamp(wall, offset, self._boot))
        return True

    def _has_settled(self, offset: float, uptime: float) -> bool:
        """Follow a clock that is off; return whether it has kept its course."""
        if self._candidate is None or not _agree(offset, self._candidate[0]):
            self._candidate = offset, uptime
            stamp = Stamp(offset + uptime, offset, self._boot)
            self._write(self._candidate_path, stamp)
            self._log_distrust(offset)
        first, since = self._candidate
        self._candidate = offset, since
        if uptime - since < SETTLE_SECONDS:
            return False
        log.warning("the wall clock is trusted now, at %+.0f s", offset - first)
        self._drop_candidate()
        return True

    def _log_distrust(self, offset: float) -> None:
        if self._trusted is None:
            log.info(
                "the wall clock has no trusted reading to compare it with; nothing is "
                "forgotten until it has advanced evenly for %.0f s",
                SETTLE_SECONDS,
            )
            return
        log.warning(
            "the wall clock is not trusted (%+.0f s since it was); nothing is "
            "forgotten until it is back, or has advanced evenly for %.0f s",
            offset - self._trusted,
            SETTLE_SECONDS,
        )

    def _find_candidate(self) -> tuple[float, float] | None:
        """Return the course that an earlier process of this boot began to follow."""
        stamp = self._read(self._candidate_path)
        if stamp is None or not self._boot or stamp.boot != self._boot:
            return None
        return stamp.offset, stamp.wall - stamp.offset

    def _drop_candidate(self) -> None:
        """Forget a course, so that no later process takes it for one it followed."""
        if self._candidate is None:
            return
        self._candidate = None
        try:
            self._candidate_path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("cannot delete %s: %s", self._candidate_path, error)

    def _find_offset(self) -> float | None:
        """Return the lead of the wall clock that is trusted at the start, if any."""
        stamp = self._read(self._path)
        if stamp is None:
            return None
        if self._boot and stamp.boot == self._boot:
            return stamp.offset
        wall, uptime = self._wall(), self._uptime()
        is_plausible = 0 <= wall - stamp.wall <= SETTLE_SECONDS
        return wall - uptime if is_plausible else None

    def _read(self, path: Path) -> Stamp | None:
        try:
            wall, offset, boot = json.loads(path.read_text())
            return Stamp(float(wall), float(offset), str(boot))
        except (OSError, ValueError, TypeError):
            return None  # never written, or damaged: nothing is known

    def _write(self, path: Path, stamp: Stamp) -> None:
        partial = path.with_suffix(f"{path.suffix}.{os.getpid()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(stamp))
            os.replace(partial, path)
        except OSError as error:
            log.warning("cannot write %s: %s", path, error)


def _agree(offset: float, other: float) -> bool:
    return abs(offset - other) <= TOLERANCE_SECONDS
