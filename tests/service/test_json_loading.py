"""JSON read value by value is what Python's `json` makes of it, errors too."""

import json
import timeit
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.dialects.json_loading import BodyReader, finish, load_large_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


def load(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return error.msg, error.pos


def load_slowly(text, depth):
    try:
        return load_large_json(text, lambda value: None, depth=depth)
    except json.JSONDecodeError as error:
        return error.msg, error.pos


@given(VALUES, st.integers(0, 4), st.sampled_from([None, 1]), st.booleans())
def test_values_are_read_alike(value, depth, indent, is_ascii):
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)

    assert load_slowly(text, depth) == value


@given(VALUES, st.integers(0, 4), st.data())
@example([1, 2], 1, None)
def test_errors_are_alike(value, depth, data):
    text = json.dumps(value)
    if data is not None:
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        text = (
            text[:start] + data.draw(st.sampled_from(["", ",", "]", "01"])) + text[end:]
        )

    assert load_slowly(text, depth) == load(text)


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 1]))
def test_rows_are_left_as_text(rows, indent):
    text = json.dumps({"rows": rows, "other": rows}, indent=indent)

    body = finish(BodyReader(text, lambda value: None, "rows", 6), 3)

    assert list(map(json.loads, body["rows"])) == rows == body["other"]


@pytest.mark.parametrize("start", ["", "0.", "1e", "-", '"'])
def test_long_value_costs_what_it_costs_pythons_json(start):
    text = f"[{start}{'9' * 400_000}]"

    def read(reader):
        with suppress(ValueError):
            reader(text)

    slow, quick = (
        min(timeit.repeat(partial(read, reader), number=1, repeat=3))
        for reader in (partial(load_slowly, depth=1), load)
    )

    # It was a hundred times as much.
    assert slow < 20 * quick
