"""Whole files as tables of text, by DuckDB: larger than memory, sorted on disk.

Every cell is read as text, so that ids are the same whatever a file makes of them: a
case named NA is not missing, and 7 is "7". Empty cells are missing. Does not know what
the columns mean.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from training.data.captured import join_captured
from training.data.files import (
    MAX_OBJECT_LENGTH,
    DataFile,
    check_column,
    check_objects,
    check_rows,
    find_file,
    find_line,
)
from training.data.last_lines import ends_in_long_line
from training.data.xes import LINE, attribute_names, convert_xes
from training.errors import DataError

# Of the database; reading 4.3 million events takes twice as much in all.
MEMORY_LIMIT = "256MB"
# Rows of a column that are handed over at a time.
CHUNK_ROWS = 1 << 20
# Of the table `raw`: each takes room in memory, however short.
MAX_COLUMNS = 1000
# Objects of a JSON Lines file in which every column has to be once.
NAMED_OBJECTS = 10_000


class Table:
    """A file with columns to query in SQL.

    Attributes:
        file: Where it came from.
        columns: Names of the columns, in the file's order.
        connection: The database; `load` puts columns there as the table `raw`; its
            `rowid` counts the file's rows from 0.
        note: What a user should know of the file, with its line; empty without.
    """

    def __init__(
        self,
        file: DataFile,
        columns: Sequence[str],
        folder: Path,
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        self.file, self.columns, self.folder = file, list(columns), folder
        self.connection = connection
        self.note = ""

    def load(self, names: Sequence[str]) -> int:
        """Read columns into the table `raw`, as text named c0, c1, ... in this order.

        Returns:
            The number of rows.

        Raises:
            DataError: The file is not what its form says; with the line.
        """
        if len(names) > MAX_COLUMNS:
            raise DataError(
                f"{self.file.path} has {len(names):,} columns; expected at most "
                f"{MAX_COLUMNS:,}. Keep those of cases, events, times and labels."
            )
        # DuckDB leaves out lines of the file, whatever is in quotes, and takes names
        # for the same that differ in capitals.
        is_alike = len({name.lower() for name in names}) < len(names)
        # It leaves out a last row as well that is longer than its buffer.
        needs_copy = (
            self.file.header_lines > 1
            or (is_alike and self.file.form in ("jsonl", "xes"))
            or (self.file.form == "csv" and ends_in_long_line(self.file))
        )
        try:
            self.create(self.scan_copy(names) if needs_copy else self.scan(names))
        except duckdb.OutOfMemoryException as error:
            raise DataError(
                f"{self.file.path} needs more room than {self.folder} has: "
                f"{str(error).splitlines()[0]}."
            ) from error
        except duckdb.Error as error:
            self.refuse_unless_text(error)
            self.create(self.scan_copy(names))
        (rows,) = self.ask("select count(*) from raw")
        if not rows:
            raise DataError(f"{self.file.path} has no rows; expected one per event.")
        return int(rows)

    def create(self, select: str) -> None:
        """Make the table `raw`."""
        self.connection.execute(f"create or replace table raw as {select}")

    def ask(self, query: str) -> tuple[Any, ...]:
        """Return the first row of an answer; empty without rows."""
        return self.connection.execute(query).fetchone() or ()

    def scan(self, names: Sequence[str]) -> str:
        """Write the query that reads columns from the file."""
        source = self.folder / "source"
        if self.file.form == "csv":
            return scan_csv(source, self.file, names)
        if self.file.form == "parquet":
            chosen = [
                f"nullif(trim({quote_name(name)}::varchar), '')" for name in names
            ]
            return f"select {number(chosen)} from read_parquet({quote(source)})"
        if self.file.form == "xes":
            return scan_json(self.folder / "events.jsonl", names, is_gzip=False)
        return scan_json(
            source, names, is_gzip=self.file.is_gzip, is_exact=self.file.is_exact
        )

    def refuse_unless_text(self, error: duckdb.Error) -> None:
        """Refuse a file that cannot be read row by row to find out what is wrong.

        Raises:
            DataError: The file is Parquet or XES.
        """
        if self.file.form not in ("csv", "jsonl"):
            raise unreadable(self.file, self.folder, error) from error

    def scan_copy(self, names: Sequence[str]) -> str:
        """Say what is wrong with the file; where nothing is, read a plainer copy.

        DuckDB refuses some of what is in order, such as line breaks of two kinds.
        """
        copy = self.folder / "copy.jsonl"
        places = {f"p{k}": name for k, name in enumerate(names)}
        with copy.open("w", encoding="utf-8") as target:
            for row in self.read_slowly():
                cells = {place: row.get(name) for place, name in places.items()}
                target.write(json.dumps(cells) + "\n")
        return scan_json(copy, list(places), is_exact=self.file.is_exact)

    def read_slowly(self) -> Iterator[dict[str, Any]]:
        """Yield rows by column, checked one by one."""
        file = self.file
        if file.form == "xes":
            file = DataFile(self.folder / "events.jsonl", "jsonl", is_gzip=False)
        if file.form == "jsonl":
            for _, document in check_objects(file):
                yield document
        else:
            for cells in check_rows(self.file):
                yield dict(zip(self.file.columns, map(str.strip, cells), strict=True))

    def where(self, row: int) -> str:
        """Name the place of a row of `raw`, to begin an error with."""
        if self.file.form == "parquet":
            return f"{self.file.path}, row {row + 1}"
        if self.file.form == "xes":
            (line,) = self.ask(
                f"select c0 from ({scan_json(self.folder / 'events.jsonl', [LINE])}) "
                f"limit 1 offset {row}"
            )
            return f"{self.file.path}, line {line}"
        return f"{self.file.path}, line {find_line(self.file, row)}"

    def check_columns(self, asked: Mapping[str, str]) -> None:
        """Refuse columns that are not there.

        Args:
            asked: Names of columns by the option that asks for them.
        """
        for option, name in asked.items():
            check_column(self.file.path, self.columns, name, option)

    def chunks(self, table: str, columns: str) -> Iterator[dict[str, Any]]:
        """Yield columns of a table as arrays, `CHUNK_ROWS` at a time, in its order."""
        (rows,) = self.ask(f"select count(*) from {table}")
        for start in range(0, rows, CHUNK_ROWS):
            part = self.connection.execute(
                f"select {columns} from {table} where rowid >= {start} and "
                f"rowid < {start + CHUNK_ROWS} order by rowid"
            )
            yield part.fetchnumpy()


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a data file, with a database of its own on disk for as long.

    Raises:
        DataError: The file cannot be read.
    """
    file = find_file(path)
    with tempfile.TemporaryDirectory(prefix="carryover-") as name:
        folder = Path(name)
        # Under a plain name: DuckDB takes brackets and stars in one for a pattern.
        source = folder / "source"
        connection = duckdb.connect(str(folder / "table.duckdb"))
        try:
            connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
            connection.execute(f"set temp_directory = {quote(folder / 'spill')}")
            connection.execute("set autoinstall_known_extensions = false")
            if file.form == "captured":
                join_captured(path, source, connection)
                file = DataFile(source, "jsonl", is_gzip=False, is_exact=True)
            else:
                source.symlink_to(path.resolve())
            if file.form == "xes":
                names, note = convert_xes(file, folder / "events.jsonl")
                columns = attribute_names(names)
            else:
                columns, note = list_columns(file, folder, connection), ""
            table = Table(file, columns, folder, connection)
            table.note = note
            yield table
        finally:
            connection.close()


def list_columns(
    file: DataFile, folder: Path, connection: duckdb.DuckDBPyConnection
) -> list[str]:
    """List the columns of a file.

    Raises:
        DataError: The file cannot be read.
    """
    if file.form == "csv":
        return list(file.columns)
    if file.form == "jsonl":
        objects = (names for _, names in islice(check_objects(file), NAMED_OBJECTS))
        return list(dict.fromkeys(name for names in objects for name in names))
    query = f"describe select * from read_parquet({quote(folder / 'source')})"
    try:
        return [str(row[0]) for row in connection.execute(query).fetchall()]
    except duckdb.Error as error:
        raise unreadable(file, folder, error) from error


def unreadable(file: DataFile, folder: Path, error: duckdb.Error) -> DataError:
    """Say what DuckDB does not read, under the name that the user knows."""
    first = str(error).splitlines()[0].replace(str(folder / "source"), file.path.name)
    return DataError(
        f"{file.path} cannot be read ({first}). Copy it again, or write it again."
    )


def scan_csv(source: Path, file: DataFile, names: Sequence[str]) -> str:
    """Write the query that reads columns of a CSV file by their places.

    By place, not by name: two columns may have the same one.
    """
    columns = ", ".join(f"'p{k}': 'varchar'" for k in range(len(file.columns)))
    options = (
        f"columns = {{{columns}}}, auto_detect = false, header = false, "
        f"skip = {file.header_lines}, delim = {quote(file.delimiter)}, "
        f"quote = '\"', escape = '\"', strict_mode = true, "
        f"compression = '{'gzip' if file.is_gzip else 'none'}'"
    )
    chosen = number(
        [f"nullif(trim(p{file.columns.index(name)}), '')" for name in names]
    )
    return f"select {chosen} from read_csv({quote(source)}, {options})"


def scan_json(
    source: Path,
    names: Sequence[str],
    *,
    is_gzip: bool = False,
    is_exact: bool = False,
) -> str:
    """Write the query that reads members of a JSON Lines file."""
    columns = ", ".join(f"{quote(name)}: 'varchar'" for name in names)
    cells = map(quote_name, names)
    chosen = number(
        [f"nullif({cell if is_exact else f'trim({cell})'}, '')" for cell in cells]
    )
    return (
        f"select {chosen} from read_json({quote(source)}, columns = {{{columns}}}, "
        f"format = 'newline_delimited', maximum_object_size = {MAX_OBJECT_LENGTH}, "
        f"compression = '{'gzip' if is_gzip else 'none'}')"
    )


def number(expressions: Sequence[str]) -> str:
    """Name expressions c0, c1, ..."""
    return ", ".join(f"{text} as c{k}" for k, text in enumerate(expressions))


def quote(text: object) -> str:
    """Write text as SQL has it."""
    return "'" + str(text).replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Write a column's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
