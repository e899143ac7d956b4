"""Data files on disk: which form one has, its columns, and the lines of its rows.

Knows no database: whole files are read by `training.data.tables`, quickly; here a row
is read at a time, to say what is wrong with a file and where.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from training.errors import DataError

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
# Objects in one array, which cannot be read a line at a time.
ARRAY = re.compile(rb"\[\s*[{\[]")
DELIMITERS = ",;\t|"
CHUNK = 1 << 20
# A longer cell is the rest of a file after a quote that is never closed.
MAX_CELL_LENGTH = 1 << 20
MAX_OBJECT_LENGTH = 1 << 24
LISTED = 8
FORMS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xes": "xes",
    ".txt": "text",
}


@dataclass(frozen=True)
class DataFile:
    """A file to read events or a series from.

    Args:
        path: Where it is.
        form: `csv`, `jsonl`, `parquet`, `xes` or `text`; `captured` for a folder that
            the service writes.
        is_gzip: Whether its content is compressed.
        columns: Names of a CSV file's columns, in order; empty for other forms.
        delimiter: Of a CSV file.
        header_lines: Lines until the first row; names may have quoted line breaks.
        is_exact: Whether cells keep the spaces around them, as captured names do.
    """

    path: Path
    form: str
    is_gzip: bool
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    header_lines: int = 0
    is_exact: bool = False


def find_file(path: Path) -> DataFile:
    """Find out what form a file has: by its name, else by its first bytes.

    Raises:
        DataError: It is missing, a folder, empty, or not to be read.
    """
    if path.is_dir():
        if list_captured(path):
            return DataFile(path, "captured", is_gzip=False)
        raise DataError(
            f"{path} is a folder; expected a file, or a folder of captured files, "
            "NAME.jsonl. Name one file in it."
        )
    if path.exists() and not path.is_file():
        raise DataError(
            f"{path} is a pipe or a device, which can be read once only; expected a "
            "file. Write its content into one."
        )
    with readable(path):
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == GZIP
        with open_bytes(DataFile(path, "", is_gzip)) as content:
            begin = content.read(CHUNK)
    if begin.startswith(ZIP):
        raise DataError(
            f"{path} is a ZIP archive, as spreadsheets (.xlsx) are; expected CSV, TSV, "
            "JSON Lines, Parquet, XES or text. Save the sheet as CSV."
        )
    if not begin.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(
            f"{path} is empty; expected CSV, TSV, JSON Lines, Parquet, XES or text."
        )
    file = DataFile(path, find_form(path, begin), is_gzip)
    return read_header(file) if file.form == "csv" else file


def list_captured(folder: Path) -> list[Path]:
    """List the complete files of captured events in a folder; empty without any.

    A pipe would be waited for without end.
    """
    return sorted(
        path
        for path in folder.glob("*.jsonl")
        if not path.name.startswith(".") and path.is_file()
    )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into one sentence.

    Raises:
        DataError: The file cannot be read, or its gzip is damaged.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} cannot be read: its gzip is cut or damaged ({error}). Copy it "
            "again, or compress it again."
        ) from error
    except OSError as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path} cannot be read ({reason}). data.file is relative to the folder "
            "the command runs in; run it where that path exists, or give another one."
        ) from error


def find_form(path: Path, begin: bytes) -> str:
    """Find the form of a file.

    Raises:
        DataError: The file is one JSON array.
    """
    if begin[:4] == b"PAR1":
        return "parquet"
    suffixes = [s for s in map(str.lower, path.suffixes) if s != ".gz"]
    if suffixes and suffixes[-1] in FORMS:
        return FORMS[suffixes[-1]]
    text = begin.removeprefix(codecs.BOM_UTF8).lstrip()
    if ARRAY.match(text):
        raise DataError(
            f"{path} is one JSON array; expected JSON Lines, an object a line. "
            f"`jq -c '.[]' {path.name}` writes it so."
        )
    return {b"{": "jsonl", b"<": "xes"}.get(text[:1], "csv")


@contextmanager
def open_bytes(file: DataFile) -> Iterator[IO[bytes]]:
    """Open a file's content, uncompressed."""
    with file.path.open("rb") as raw:
        if file.is_gzip:
            with gzip.open(raw) as content:
                yield content  # type: ignore[misc]
        else:
            yield raw


def read_header(file: DataFile) -> DataFile:
    """Read the names of a CSV file's columns, and what separates them.

    Raises:
        DataError: There is no header, or the file is not UTF-8.
    """
    line = next((line for _, line in read_lines(file) if line.strip()), "")
    if "\0" in line:
        raise DataError(
            f"{file.path}, line 1 has NUL characters, as UTF-16 has; expected UTF-8. "
            "Save the file as UTF-8."
        )
    plain = re.sub(r'"[^"]*"', "", line)
    delimiter = max(DELIMITERS, key=plain.count)
    if ".tsv" in map(str.lower, file.path.suffixes):
        delimiter = "\t"
    for line_number, cells in read_rows(replace(file, delimiter=delimiter)):
        return replace(
            file,
            columns=tuple(name.strip() for name in cells),
            delimiter=delimiter,
            header_lines=line_number,
        )
    raise DataError(f"{file.path} has no header; expected names of columns first.")


def read_lines(file: DataFile) -> Iterator[tuple[int, str]]:
    """Yield each line of text with its number, its line break kept.

    Raises:
        DataError: A line is not UTF-8.
    """
    with readable(file.path), open_bytes(file) as content:
        for number, line in enumerate(content, start=1):
            yield number, decode(file.path, line, number)


def decode(path: Path, line: bytes, number: int) -> str:
    """Decode a line, with or without the mark some spreadsheets put in front.

    Raises:
        DataError: The line is not UTF-8.
    """
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: byte 0x{line[error.start]:02x} is not UTF-8. "
            "Save the file as UTF-8."
        ) from error


def read_rows(file: DataFile) -> Iterator[tuple[int, list[str]]]:
    """Yield each row of a CSV file, header first, with the number of its last line.

    Blank lines are not rows.

    Raises:
        DataError: A row is not CSV.
    """
    csv.field_size_limit(MAX_CELL_LENGTH)
    lines = (line for _, line in read_lines(file))
    reader = csv.reader(
        lines, delimiter=file.delimiter, skipinitialspace=True, strict=True
    )
    begin = 1
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        if "new-line character" in str(error):
            raise DataError(
                f"{file.path}, line {begin}: a carriage return alone ends a line; "
                "expected a line feed. Save the file with line ends of Unix or Windows."
            ) from error
        raise DataError(
            f"{file.path}, line {begin}: {error}; expected cells separated by "
            f"{file.delimiter!r}, quotes closed. Export the file again."
        ) from error


def check_rows(file: DataFile) -> Iterator[list[str]]:
    """Yield the rows of a CSV file after its header, as many cells in each.

    Raises:
        DataError: A row has another number of cells than the header.
    """
    rows = read_rows(file)
    next(rows)
    for line, cells in rows:
        if len(cells) != len(file.columns):
            raise DataError(
                f"{file.path}, line {line}: {len(cells)} cells; the header has "
                f"{len(file.columns)}. Give every row a cell per column."
            )
        yield cells


def check_objects(file: DataFile) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSON Lines file with their lines.

    Raises:
        DataError: A line is not a JSON object.
    """
    for number, line in read_lines(file):
        if not line.strip():
            continue
        if len(line) > MAX_OBJECT_LENGTH:
            raise DataError(
                f"{file.path}, line {number}: an object of {len(line):,} characters; "
                f"expected at most {MAX_OBJECT_LENGTH:,}. Write one object a line."
            )
        try:
            document = json.loads(line)
            if "\\u" in line:  # half of a character is no text, though Python reads it
                json.dumps(document, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{file.path}, line {number}: not JSON ({error}). Write one object a "
                "line."
            ) from error
        if not isinstance(document, dict):
            raise DataError(
                f"{file.path}, line {number}: {line.strip()[:40]} is not an object. "
                'Write one object a line, such as {"case": "7", "event": "open"}.'
            )
        yield number, document


def find_line(file: DataFile, row: int) -> int:
    """Return the line on which a row ends, counting rows from 0 after the header."""
    if file.form == "csv":
        numbers: Iterator[int] = (line for line, _ in read_rows(file))
        row += 1
    else:
        numbers = (line for line, text in read_lines(file) if text.strip())
    return next(line for k, line in enumerate(numbers) if k == row)


def check_column(path: Path, columns: Collection[str], name: str, option: str) -> None:
    """Refuse a column that is not there once.

    Args:
        path: The file.
        columns: Names of its columns.
        name: The one that is wanted.
        option: Where it was asked for, such as `--case`.

    Raises:
        DataError: It is not there, or more than once; with the near names.
    """
    times = list(columns).count(name)
    if times == 1:
        return
    if times:
        raise DataError(
            f"{path}, line 1: column {name!r} of {option} is there {times} times. "
            "Rename all but one of them."
        )
    near = difflib.get_close_matches(name, list(columns), n=2, cutoff=0.5)
    near = near or [c for c in columns if c.lower() == name.lower()]
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    more = ", ..." if len(columns) > LISTED else ""
    raise DataError(
        f"{path} has no column {name!r} for {option}. {hint}Its columns are "
        f"{', '.join(list(columns)[:LISTED])}{more}."
    )


def fingerprint_file(path: Path) -> str:
    """Return SHA-256 of a file, or of a folder's captured files, in hexadecimal."""
    if path.is_dir():
        digests = [fingerprint_file(file) for file in list_captured(path)]
        return hashlib.sha256("".join(digests).encode()).hexdigest()
    with readable(path), path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
