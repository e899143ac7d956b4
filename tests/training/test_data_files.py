"""Files of every form, and what is wrong with them, in one sentence with the line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import duckdb
import pytest

from training.data.event_log import Roles
from training.data.inspection import inspect_file
from training.data.log_reader import read_log
from training.errors import DataError, TrainingError

ROWS = [
    ("7", "open", "2024-01-01"),
    ("8", "open", "2024-01-02"),
    ("7", "shut", "2024-01-03"),
]
CSV = "case,event,time\n" + "".join(f"{','.join(row)}\n" for row in ROWS)
JSON_LINES = "".join(
    f'{{"case": "{c}", "event": "{e}", "time": "{t}"}}\n' for c, e, t in ROWS
)
XES = """<?xml version="1.0" encoding="UTF-8"?>
<log xmlns="http://www.xes-standard.org/"><trace>
<string key="concept:name" value="7"/>
<event><string key="concept:name" value="open"/>
<date key="time:timestamp" value="2024-01-01T00:00:00.000+00:00"/></event>
<event><date key="time:timestamp" value="2024-01-03T00:00:00.000+00:00"/>
<string key="concept:name" value="shut"/>
<list key="parts"><string key="concept:name" value="nested"/></list></event>
</trace><trace><string key="concept:name" value="8"/>
<event><string key="concept:name" value="open"/>
<date key="time:timestamp" value="2024-01-02T00:00:00.000+00:00"/></event>
</trace></log>
"""
PLAIN = Roles("case", "event", "time")
NAMED_IN_XES = Roles("case:concept:name", "concept:name", "time:timestamp")


def write_parquet(path: Path) -> None:
    values = ", ".join(f"({c}, '{e}', timestamp '{t}')" for c, e, t in ROWS)
    table = f'(values {values}) as rows("case", event, time)'
    duckdb.sql(f"copy (select * from {table}) to '{path}' (format parquet)")


def read(path: Path, content: bytes | str, roles: Roles = PLAIN):
    """Write a file and read it as a log: cases by name, with their events."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return show(read_log(path, roles))


def show(log):
    names = [log.events.names[code] for code in log.events.codes]
    bounds = log.offsets.tolist()
    return {
        str(case): names[start:stop]
        for case, start, stop in zip(log.case_names, bounds, bounds[1:], strict=False)
    }


EXPECTED = {"7": ["open", "shut"], "8": ["open"]}


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("name", "content", "roles"),
    [
        ("log.csv", CSV, PLAIN),
        ("log.tsv", CSV.replace(",", "\t"), PLAIN),
        ("log.csv", CSV.replace(",", ";"), PLAIN),
        ("log.jsonl", JSON_LINES, PLAIN),
        ("log", JSON_LINES, PLAIN),
        ("log.xes", XES, NAMED_IN_XES),
        ("log", XES, NAMED_IN_XES),
        ("odd [1]* name?.csv", CSV, PLAIN),
    ],
)
def test_every_form_gives_the_same_log(tmp_path, name, content, roles, compress):
    content = compress(content.encode())
    name = name + (".gz" if compress is gzip.compress else "")

    assert read(tmp_path / name, content, roles) == EXPECTED


def test_parquet_gives_the_same_log(tmp_path):
    path = tmp_path / "log.parquet"
    write_parquet(path)

    assert show(read_log(path, PLAIN)) == EXPECTED


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "case,event,time\nNA,null,2024\nnull,NA,2024\n",
            {"NA": ["null"], "null": ["NA"]},
        ),
        ("\ufeffcase,event,time\n1,a,2024-01-01\n", {"1": ["a"]}),
        ('\ufeff"case",event,time\r\n1,a,1\r\n', {"1": ["a"]}),
        ('"case",event,"ti\nme",time\n1,"a\nb",x,1\n', {"1": ["a\nb"]}),
        ("case,event,time\r\n1,a,1\r\n\r\n\n1,b,2\n", {"1": ["a", "b"]}),
        ("case,other,event,time,other\n1,x,a,1,y\n", {"1": ["a"]}),
        ("case,Case,event,time\n1,x,a,1\n", {"1": ["a"]}),
        ("case,event,time\n1,b,5\n1,a,5\n1,c,4\n", {"1": ["c", "b", "a"]}),
        ("case,event,time\n1,café ☕,1\n", {"1": ["café ☕"]}),
        ('case,event,time\n1,"say ""hi"", now",1\n', {"1": ['say "hi", now']}),
        ("case,event,time\n 1 , a ,1\n1,a,1", {"1": ["a", "a"]}),
        ("case,event,time\n1,[end],1\n1,[unknown],2\n", {"1": ["[end]", "[unknown]"]}),
        ("case,event,time\n007,a,1\n7,a,1\n", {"007": ["a"], "7": ["a"]}),
    ],
    ids=[
        *("NA and null", "mark", "mark and quotes", "line breaks in quotes"),
        *(
            "line ends of two kinds",
            "header twice, not used",
            "capitals",
            "equal times",
        ),
        *("not ASCII", "quotes", "spaces", "markers", "leading zeros"),
    ],
)
def test_traps_that_are_read(tmp_path, content, expected):
    assert read(tmp_path / "log.csv", content) == expected


def test_ids_that_are_numbers_here_and_text_there_are_the_same(tmp_path):
    lines = '{"case": 7, "event": 1}\n\n{"case": "7", "event": "1", "more": {"x": 1}}\n'

    assert read(tmp_path / "log.jsonl", lines, Roles("case", "event")) == {
        "7": ["1", "1"]
    }


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("log.csv", b"", "is empty; expected CSV"),
        ("log.csv", b"\xef\xbb\xbf \n", "is empty; expected CSV"),
        ("log.csv", b"case,event,time\n", "has no rows"),
        (
            "log.csv",
            b"case,event,time\n1,caf\xe9,1\n",
            "line 2: byte 0xe9 is not UTF-8",
        ),
        ("log.csv", b"c\xe9se,event,time\n", "line 1: byte 0xe9 is not UTF-8"),
        (
            "log.csv",
            b"case,event,time\n1,a,1\n1,a\n",
            "line 3: 2 cells; the header has 3",
        ),
        ("log.csv", b'case,event,time\n1,"a\nb",1,4\n', "line 3: 4 cells"),
        (
            "log.csv",
            b'case,event,time\n1,a,1\n1,"a,1\n1,a,1\n',
            "line 3: unexpected end",
        ),
        ("log.csv", b'case,event,time\n1,"a"b,1\n', "line 2: ',' expected after"),
        (
            "log.csv",
            b"case,event,event,time\n1,a,b,1\n",
            "'event' of data.event is there 2",
        ),
        ("log.csv", b"cases,event,time\n1,a,1\n", "Did you mean 'cases'?"),
        ("log.csv", b"CASE,event,time\n1,a,1\n", "Did you mean 'CASE'?"),
        ("log.csv", b"x,event,time\n1,a,1\n", "Its columns are x, event, time."),
        (
            "log.csv",
            b'case,event,time\n1,"a\n",1\n,b,1\n',
            "line 4, column case is empty",
        ),
        ("log.csv", b"case,event,time\n1,a,1\n1,,1\n", "line 3, column event is empty"),
        ("log.csv", b"case,event,time\n1,a,\n", "the file's order counts then"),
        (
            "log.csv",
            b"case,event,time\n1,a,2024-01-01\n1,a,2024-13-01\n",
            "line 3, column time",
        ),
        (
            "log.csv",
            b"case,event,time\n1,a,2024-01-01\n1,a,soon\n",
            "'soon' is not a time",
        ),
        (
            "log.csv",
            b"case,event,time\n1,a,10\n1,a,soon\n",
            "'soon' is not a number, as",
        ),
        (
            "log.csv",
            b"case,event,time\n1,a,2024-01-01T00:00Z\n1,a,2024-01-01T00:00\n",
            "line 3, column time: '2024-01-01T00:00'; some times have a UTC offset",
        ),
        ("log.jsonl", b'{"case": 1}\n\n{"case": \n', "line 3: not JSON"),
        ("log.jsonl", b'{"case": 1}\n[1]\n', "line 2: [1] is not an object"),
        (
            "log.jsonl",
            b'{"case":1,"event":"a","time":1}\n{"case":1}\n',
            "line 2, column event",
        ),
        ("log.xes", b"<log><trace>\n<event></trace></log>", "line 2: mismatched tag"),
        ("log.xes", b"<log/>", "has no events; expected XES"),
        ("log.csv", CSV.encode("utf-16-le"), "line 1 has NUL characters, as UTF-16"),
        ("log.csv", CSV.encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
        ("log.csv", CSV.replace("\n", "\r").encode(), "a carriage return alone"),
        ("log.xlsx", b"PK\x03\x04\x14\x00", "is a ZIP archive, as spreadsheets"),
        ("log.json", b'[\n {"case": 1, "event": 2}]', "is one JSON array"),
        (
            "log.jsonl",
            b'{"case":1,"event":"a","time":1}\n{"case":1,"event":"\\ud83d","time":2}\n',
            "line 2: not JSON",
        ),
        ("log.parquet", b"PAR1 and nothing more", "cannot be read"),
        ("log.csv.gz", gzip.compress(CSV.encode() * 9, mtime=0)[:-9], "cut or damaged"),
        ("log.csv.gz", b"\x1f\x8bnot gzip at all", "cannot be read: its gzip is"),
    ],
)
def test_traps_that_are_refused_in_one_sentence(tmp_path, name, content, part):
    with pytest.raises(TrainingError) as refused:
        read(tmp_path / name, content)

    sentence = str(refused.value)
    assert part in sentence
    assert str(tmp_path / name) in sentence
    assert "\n" not in sentence


def test_what_is_wrong_with_a_parquet_file_is_said_under_its_own_name(tmp_path):
    write_parquet(tmp_path / "log.parquet")
    half = (tmp_path / "log.parquet").read_bytes()[:200]

    with pytest.raises(DataError, match=r"cut\.parquet cannot be read") as refused:
        read(tmp_path / "cut.parquet", half)
    assert "carryover-" not in str(refused.value)


def test_a_trace_within_a_trace_is_refused_with_its_line(tmp_path):
    content = XES.replace("</trace><trace>", "<trace>", 1) + "</trace>"

    with pytest.raises(DataError, match="line 9: trace within trace"):
        read(tmp_path / "log.xes", content, NAMED_IN_XES)


def test_traces_of_one_name_are_one_case_and_said_with_their_line(tmp_path):
    event = '<event><string key="concept:name" value="a"/></event>'
    name = '<string key="concept:name" value="7"/>'
    trace = f"<trace>{name}\n{event}</trace>\n"
    notes = {}
    for count in (1, 2, 3):
        path = tmp_path / f"{count}.xes"
        # A trace without events is no case, and so no second one.
        path.write_text(f"<log>{trace * count}<trace>{name}</trace></log>")
        notes[count] = read_log(path, Roles("case:concept:name", "concept:name")).note
        assert (notes[count] in inspect_file(path, {}).problems) == bool(notes[count])

    assert notes[1] == ""
    assert "2.xes, line 4: trace '7' has the name of an earlier trace" in notes[2]
    assert "line 4: trace '7', like 1 further traces, has the name" in notes[3]


@pytest.mark.parametrize("name", ["log.jsonl", "log.xes"])
def test_members_that_differ_in_capitals_are_two_columns(tmp_path, name):
    content = '{"case": "7", "event": "a", "Event": "b"}\n'
    if name == "log.xes":
        pairs = (("case", "7"), ("event", "a"), ("Event", "b"))
        cells = "".join(f'<string key="{k}" value="{v}"/>' for k, v in pairs)
        content = f"<log><trace><event>{cells}</event></trace></log>"
    roles = Roles("case", "event", categories=("Event",))
    (tmp_path / name).write_text(content)

    log = read_log(tmp_path / name, roles)

    assert log.events.names == ["a"]
    assert log.categories["Event"].names == ["b"]


def test_events_of_xes_without_a_name_are_refused_with_their_line(tmp_path):
    content = XES.replace('<string key="concept:name" value="shut"/>', "")

    with pytest.raises(DataError, match="line 8, column concept:name is empty"):
        read(tmp_path / "log.xes", content, NAMED_IN_XES)


def test_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder; expected a file"):
        read_log(tmp_path, PLAIN)


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "log.csv")

    with pytest.raises(DataError, match="is a pipe or a device"):
        read_log(tmp_path / "log.csv", PLAIN)


def test_names_of_json_lines_and_parquet_lose_the_spaces_around_them(tmp_path):
    roles = Roles("case", "event")
    lines = '{"case": "7 ", "event": "a"}\n{"case": "7", "event": " a"}\n'
    duckdb.sql(
        "select '7 ' as \"case\", 'a' as event union all select '7', ' a'"
    ).write_parquet(str(tmp_path / "log.parquet"))

    assert read(tmp_path / "log.jsonl", lines, roles) == {"7": ["a", "a"]}
    assert show(read_log(tmp_path / "log.parquet", roles)) == {"7": ["a", "a"]}


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_log(tmp_path / "none.csv", PLAIN)
