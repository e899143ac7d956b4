"""Lines of a stream that are decoded at once, as they are one by one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.v1.lines import Line, decode_line, decode_lines
from service.engine.rows import Refused
from service.errors import BodyTooLarge
from tests.fakes import counting_model

ROW = '{"sequence":["red"],"session":"s"}'
# Whole rows, halves of rows, several rows, and what only looks like their ends.
PIECES = [
    ROW,
    '{"sequence":["red"]}',
    ROW + ROW,
    f"{ROW},{ROW}",
    '["red"]',
    '{"sequence":["red"],',
    '"session":"s"}',
    '{"sequence":[{},',
    "{}]}",
    '{"sequence":["red"],"session":"a}',
    '{"}',
    '{"sequence":["red"],"session":"a}\\n{"}',
    '{"sequence":["red"],"session":"a"} ',
    ' {"sequence":["red"]}',
    "{",
    "}",
    "3",
    '{"sequence":["red"],"session":7}',
    '{"sequence":["red"],"colour":"x"}',
    '{"sequence":["red"],"session":"\udcff"}',
]


@pytest.fixture(scope="module")
def model():
    return counting_model()


def make_batch(texts, end="\n"):
    contents = [f"{text}{end}".encode(errors="surrogateescape") for text in texts]
    return [Line(k, content) for k, content in enumerate(contents, 1)]


def compare(batch, model):
    """Compare with the rows one by one; return whether they were decoded at once."""
    rows = decode_lines(batch, model)
    if rows is None:
        return False
    alone = [decode_line(line.content, model, "") for line in batch]
    assert rows == alone
    return True


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), st.data())
def test_rows_are_those_of_each_line(model, texts, data):
    end = data.draw(st.sampled_from(["\n", "\r\n"]))

    compare(make_batch(texts, end), model)


@given(st.lists(st.text(alphabet='{}[]",:\\a1 ', max_size=8), min_size=1, max_size=4))
def test_no_text_makes_rows_of_lines_that_are_none(model, texts):
    compare(make_batch([ROW, *texts, ROW]), model)


@pytest.mark.parametrize("end", ["\n", ""])
def test_usual_lines_are_decoded_at_once(model, end):
    batch = make_batch([ROW] * 3)
    last = Line(4, f"{ROW}{end}".encode())

    assert compare([*batch, last], model)


@pytest.mark.parametrize(
    "texts",
    [
        [ROW + ROW, ROW[:10], ROW[10:]],
        [ROW, f"{ROW}{ROW}", ""],
        [json.dumps({"sequence": ["red"] * 100_000}), ROW],
    ],
    ids=["rows that span lines", "two rows a line", "a long line"],
)
def test_other_lines_are_decoded_one_by_one(model, texts):
    assert not compare(make_batch(texts), model)


def test_a_line_that_was_not_read_leaves_the_others_to_themselves(model):
    lost = Line(2, BodyTooLarge("the line is too long."))

    assert decode_lines([*make_batch([ROW]), lost], model) is None
    assert isinstance(decode_line(b"{\n", model, "line 1"), Refused)
