"""JSON read value by value is what Python's `json` makes of it, errors too."""

import json
import timeit
from contextlib import suppress
from functools import partial
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.api import json_loading
from service.api.json_loading import load_large_json
from service.api.v1.body_reader import load_body

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

# Of the longest container that is read at once.
SIZES = st.sampled_from([0, 3, 12, 60_000])


def load(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return error.msg, error.pos


def load_slowly(text, size):
    """Read containers of more characters part by part; with none, all of them."""
    with patch.object(json_loading, "SHORT", (size,) if size else ()):
        try:
            return load_large_json(text, lambda value: None)
        except json.JSONDecodeError as error:
            return error.msg, error.pos


@given(
    VALUES,
    st.sampled_from([0, 3, 12, 60_000]),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_values_are_read_alike(value, size, indent, is_ascii):
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)

    assert load_slowly(text, size) == value


@given(VALUES, SIZES, st.data())
@example([1, 2], 0, None)
def test_errors_are_alike(value, size, data):
    text = json.dumps(value)
    if data is not None:
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        text = (
            text[:start] + data.draw(st.sampled_from(["", ",", "]", "01"])) + text[end:]
        )

    assert load_slowly(text, size) == load(text)


@given(
    st.lists(VALUES, max_size=6),
    st.sampled_from([None, 1]),
    st.sampled_from([0, 3, 60_000]),
)
def test_rows_are_left_as_text(rows, indent, size):
    inner = {"rows": rows}
    text = json.dumps({"rows": rows, "other": rows, "inner": inner}, indent=indent)

    with patch.object(json_loading, "SHORT", (size,) if size else ()):
        body = load_body(text, "rows", 6, lambda value: None, str)

    assert list(map(json.loads, body["rows"])) == rows == body["other"]
    assert body["inner"] == inner


@pytest.mark.parametrize("start", ["", "0.", "1e", "-", '"'])
def test_long_value_costs_what_it_costs_pythons_json(start):
    text = f"[{start}{'9' * 400_000}]"

    def read(reader):
        with suppress(ValueError):
            reader(text)

    slow, quick = (
        min(timeit.repeat(partial(read, reader), number=1, repeat=20))
        for reader in (partial(load_slowly, size=512), load)
    )

    # It was a hundred times as much.
    assert slow < 20 * quick


@pytest.mark.parametrize(
    "part", ["{},", "[],", "[1],1,", '{"a":[1]},', "[[[[[1]]]]],", '{"a":1,"b":2},']
)
@pytest.mark.parametrize("around", ["[%s]", "[[[[[%s]]]]]", '{"a":{"b":[%s]}}'])
def test_many_small_containers_give_way(monkeypatch, part, around):
    text = around % (part * 40_000 + "1")
    breaks = []
    monkeypatch.setattr(json_loading, "take_break", lambda: breaks.append(position()))
    made = []
    original = json_loading.Reader.__init__

    def remember(reader, *arguments):
        original(reader, *arguments)
        made.append(reader)

    monkeypatch.setattr(json_loading.Reader, "__init__", remember)

    def position():
        return made[0].at

    load_large_json(text, lambda value: None)

    # What one break is away from the next is decoded in a millisecond.
    gaps = [after - before for before, after in pairwise([0, *breaks, len(text)])]
    assert max(gaps) <= json_loading.SHORT[-1]


@pytest.mark.parametrize(
    ("around", "part"),
    [("[{%s}]", '"%d":1,'), ("[{%s}]", '"%d":{},'), ("[%s]", "{},"), ("[%s]", "NaN,")],
)
def test_many_short_values_are_read_many_at_a_time(monkeypatch, around, part):
    parts = (part.replace("%d", str(k)) for k in range(40_000))
    text = around % "".join(parts)[:-1]
    breaks = []
    monkeypatch.setattr(json_loading, "take_break", lambda: breaks.append(None))

    load_large_json(text, lambda value: None)

    # One by one they took ten microseconds each: 17 seconds of 4 MB.
    assert len(breaks) < 40_000 / 50


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_long_containers_deep_in_each_other_are_refused(opening):
    closing = "]" if opening == "[" else "}"
    inner = f"[{'1,' * 40_000}1]"
    depth = json_loading.MAX_LONG_DEPTH - 1
    good = opening * depth + inner + closing * depth

    assert load_large_json(good, lambda value: None) == json.loads(good)
    with pytest.raises(RecursionError):
        load_large_json(opening + good + closing, lambda value: None)
