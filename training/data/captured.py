"""Captured events: the files that the service's workers write, joined to one.

Events of a session may be in the files of several workers, so they are put in the order
of their steps, and sessions in the order in which they began. A session without its
first event is left out, and one with a gap ends before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from training.data.files import list_captured
from training.errors import DataError

SESSION, STEP, TIME = "capture_session", "capture_step", "capture_time"
CHUNK_ROWS = 10_000
# A step that is there twice was taken again after a rewind: the newest one counts.
QUERY = f"""
with lines as (
    select json,
        json ->> '$.{SESSION}' as session,
        try_cast(json ->> '$.{STEP}' as bigint) as step,
        json ->> '$.{TIME}' as moment
    from read_json_objects(?, format = 'newline_delimited')
), newest as (
    select *, row_number() over (partition by session, step order by moment desc) as age
    from lines where session is not null and step is not null
), numbered as (
    select *,
        row_number() over (partition by session order by step) as place,
        min(moment) over (partition by session) as began
    from newest where age = 1
)
select json from numbered where step = place order by began, session, step
"""


def join_captured(
    folder: Path, target: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    """Write the whole sessions of a folder of captured files to one file.

    Raises:
        DataError: There is no file, or one is not what the service writes.
    """
    files = [str(path) for path in list_captured(folder)]
    try:
        num_rows = write_lines(connection.execute(QUERY, [files]), target)
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"{folder} cannot be read ({first}). Move the file that is named out of it."
        ) from error
    if not num_rows:
        raise DataError(
            f"{folder} has no session from its first event on; expected files that the "
            f"service captured, with {SESSION} and {STEP}. Wait for some."
        )


def write_lines(found: duckdb.DuckDBPyConnection, target: Path) -> int:
    """Write an answer's rows as lines; return how many there are."""
    num_rows = 0
    with target.open("w", encoding="utf-8") as lines:
        rows: Sequence[tuple[str]]
        while rows := found.fetchmany(CHUNK_ROWS):
            lines.writelines(f"{text}\n" for (text,) in rows)
            num_rows += len(rows)
    return num_rows
