"""Answers of rows that advanced as one batch, written from its arrays.

Writes what `render` does, byte for byte, without an object for each row and number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import orjson

from service.api.long_json import JSON_OPTIONS
from service.api.v1.schema import Options, ParsedRow
from service.api.v1.spelling import WORDING, Wording, prepare_wording
from service.common.text import format_time
from service.engine.rows import BatchOutputs, Outcome, Result
from service.registry.catalog import Model

# How a member of each answer is written, and its values.
Member: TypeAlias = tuple[bytes, list[Any]]
# Arrays of a batch, and which of its rows follow each other.
Block: TypeAlias = tuple[dict[str, np.ndarray], list[int]]
# Fewer rows cost less one by one: as many take about as long either way.
MIN_ROWS = 16


def write_texts(
    rows: Sequence[ParsedRow],
    results: Sequence[Result],
    options: Options,
    common: Model,
) -> list[bytes] | None:
    """Write the answers of rows of sessions.

    Args:
        rows: The rows.
        results: What became of each.
        options: Of the answer.
        common: The version that the answer names; rows need not.

    Returns:
        The JSON of each row; None where some did not advance in a batch, or say more.
    """
    if options.top is not None:
        return None
    outcomes: list[Outcome] = []
    batches: list[BatchOutputs] = []
    for row, result in zip(rows, results, strict=True):
        if (
            not isinstance(result, Outcome)
            or not isinstance(result.outputs, BatchOutputs)
            or result.model is not common
            or row.sequence_id is not None
            or row.warning is not None
        ):
            return None
        outcomes.append(result)
        batches.append(result.outputs)
    wording: Wording = common.prepared.get(WORDING) or prepare_wording(common)
    return join(list_members(rows, outcomes, batches, options, wording))


def list_members(
    rows: Sequence[ParsedRow],
    outcomes: Sequence[Outcome],
    batches: Sequence[BatchOutputs],
    options: Options,
    wording: Wording,
) -> dict[str, Member]:
    """Write each member of the answers, in their order."""
    blocks = find_blocks(batches)
    arrays = {name: gather(blocks, name) for name in wording.names}
    members = {name: write_rows(array) for name, array in arrays.items()}
    members["step"] = b"%d", [outcome.step for outcome in outcomes]
    members["session"] = b'"%b"', write_strings([row.row.session or "" for row in rows])
    expiries = [outcome.expires_at or 0.0 for outcome in outcomes]
    times = {time: format_time(time).encode() for time in set(expiries)}
    members["expires_at"] = b'"%b"', [times[time] for time in expiries]
    if "surprise" in batches[0]:
        form, numbers = write_rows(gather(blocks, "surprise"))
        for k, outcome in enumerate(outcomes):
            if not outcome.is_continued:
                numbers[k] = b"null"
        members["surprise"] = b"[%b]" % form, numbers
    if wording.labels is not None and options.threshold is not None:
        main = arrays[wording.names[0]]
        decided = write_decided(main, wording.labels, options.threshold)
        members["decided"] = b"%b", decided
    return members


def find_blocks(batches: Sequence[BatchOutputs]) -> list[Block]:
    """Find which rows of which batches follow each other."""
    blocks: list[Block] = []
    arrays: dict[str, np.ndarray] | None = None
    for row in batches:
        if row.arrays is not arrays:
            arrays = row.arrays
            blocks.append((arrays, []))
        blocks[-1][1].append(row.index)
    return blocks


def gather(blocks: Sequence[Block], name: str) -> np.ndarray:
    """Return an output of the rows, of shape (rows, ...)."""
    parts = [arrays[name][rows, -1] for arrays, rows in blocks]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def write_rows(array: np.ndarray) -> Member:
    """Write each row of an array."""
    if array.ndim == 1:
        return b"%b", orjson.dumps(array, option=JSON_OPTIONS)[1:-1].split(b",")
    if array.ndim == 2 and array.shape[1]:
        text = orjson.dumps(array, option=JSON_OPTIONS)
        return b"[%b]", text[2:-2].split(b"],[")
    return b"%b", [orjson.dumps(row, option=JSON_OPTIONS) for row in array]


def write_strings(strings: list[str]) -> list[bytes]:
    """Write each string, without its quotes."""
    text = orjson.dumps(strings)
    if b"\\" not in text:  # no quote is within a string
        return text[2:-2].split(b'","')
    return [orjson.dumps(string)[1:-1] for string in strings]


def write_decided(
    probabilities: np.ndarray, labels: Sequence[str], threshold: float
) -> list[bytes]:
    """Write the labels of each row that reach a threshold."""
    reached = probabilities >= threshold
    texts = [b"[]"] * len(probabilities)
    for k in np.flatnonzero(reached.any(axis=-1)).tolist():
        names = [labels[place] for place in np.flatnonzero(reached[k]).tolist()]
        texts[k] = orjson.dumps(names)
    return texts


def join(members: dict[str, Member]) -> list[bytes]:
    """Write an object of each row."""
    names = [orjson.dumps(name).replace(b"%", b"%%") for name in members]
    forms = [form for form, _ in members.values()]
    pairs = [b"%b:%b" % pair for pair in zip(names, forms, strict=True)]
    whole = b"{%b}" % b",".join(pairs)
    values = [values for _, values in members.values()]
    return list(map(whole.__mod__, zip(*values, strict=True)))
