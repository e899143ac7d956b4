"""Records of the trainings by their names: a JSON file that is committed."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]


def read_records(path: Path) -> dict[str, Record]:
    """Read all records; none where there is no file."""
    records: dict[str, Record] = json.loads(path.read_text()) if path.exists() else {}
    return records


def write_record(path: Path, key: str, record: Record) -> None:
    """Add a record or replace it; two processes take turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Path(".bench") / "results.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = read_records(path)
        record = json.loads(json.dumps(record))  # lists where it has tuples
        records = {**kept, key: keep_minutes(record, kept.get(key))}
        text = json.dumps(dict(sorted(records.items())), indent=1)
        part = path.with_suffix(".part")
        part.write_text(text + "\n")
        part.replace(path)


def keep_minutes(record: Record, before: Record | None) -> Record:
    """Keep the minutes of a training that was only measured again.

    Its checkpoint is there, so that the same configuration trains nothing.
    """
    if before is None or record["config"] != before["config"]:
        return record
    longest = {k: max(record[k], before[k]) for k in ("minutes", "cpu_minutes")}
    return {**record, **longest}
