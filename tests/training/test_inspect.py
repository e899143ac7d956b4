"""`training inspect`: what is in a file, what is wrong with it, where to start."""

from __future__ import annotations

import sys
import tomllib

import pytest

from training.__main__ import main
from training.config import load_config
from training.data.guessing import Column, guess_roles
from training.sources import SOURCES

TICKETS = "ticket_id,status,changed_at,cost\n" + "".join(
    f"T{case},{event},2024-01-{case:02d}T0{hour}:00:00,{case}.5\n"
    for case in range(1, 21)
    for hour, event in enumerate(["open", "work", "work", "closed"][: 2 + case % 3])
)


@pytest.fixture
def inspect(tmp_path, capsys):
    """Write a file, inspect it, and return status, output and error."""

    def write_and_inspect(content, *options, name="tickets.csv"):
        path = tmp_path / name
        path.write_text(content)
        status = main(["inspect", str(path), *options])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return write_and_inspect


def test_rows_roles_cases_names_and_times_are_shown(inspect):
    status, out, _ = inspect(TICKETS)

    assert status == 0
    assert "csv, 61 rows" in out
    assert "roles     case = ticket_id, event = status, time = changed_at" in out
    assert "cases     20; events each: median 3, 95% 4, longest 4 (case 'T2')" in out
    assert "events    3 different, 0 of them once: " in out
    assert "'open' 32.8%" in out
    assert "2024-01-01T00:00:00 to 2024-01-20T03:00:00; longest gap 23.0 hours" in out
    assert "problems  none" in out


def test_the_configuration_that_is_written_is_one_that_trains(inspect, tmp_path):
    path = tmp_path / "mine.toml"

    _, out, _ = inspect(TICKETS, "--write", str(path))

    assert f"python -m training fit --config {path}" in out
    config = load_config(path)
    assert (config.name, config.data.case) == ("tickets", "ticket_id")
    assert config.data.time == "changed_at"
    status, _, err = inspect(TICKETS, "--write", str(path))
    assert (status, err.count("\n")) == (2, 1)
    assert "which exists" in err


def test_roles_that_are_given_are_not_guessed(inspect):
    _, out, _ = inspect(TICKETS, "--event", "cost")

    assert "event = cost" in out


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda text: text.replace("T2,open", ",open"),
            "line 5: column ticket_id is empty",
        ),
        (
            lambda text: text + "T1,open,2024-01-01T00:00:00,1.5\n",
            "line 63: the same case",
        ),
        (
            lambda text: text + "T1,open,soon,1.5\n",
            "line 63: column changed_at has 'soon', which is no time",
        ),
        (
            lambda text: text.replace("cost", "status", 1),
            "line 1: the header has 'status' 2",
        ),
    ],
)
def test_problems_are_shown_with_their_lines(inspect, change, problem):
    options = ["--case", "ticket_id", "--event", "status", "--time", "changed_at"]
    content = change(TICKETS)
    if "header" in problem:
        options = []

    status, out, _ = inspect(content, *options)

    assert status == 0
    assert problem in out


@pytest.mark.parametrize("column", [0, 1])
def test_an_empty_cell_is_found_without_the_names_of_the_columns(inspect, column):
    cells = ["T2", "open"]
    row, role = ",".join(cells), ["ticket_id", "status"][column]
    cells[column] = ""

    _, out, _ = inspect(TICKETS.replace(row, ",".join(cells)))

    assert f"line 5: column {role} is empty" in out


def test_times_that_are_not_iso_are_a_problem_and_not_left_out_silently(inspect):
    written = TICKETS.replace("2024-01-02T01:00:00", "02.01.2024 01:00")
    _, few, _ = inspect(written)
    for day in range(1, 21):
        written = written.replace(f"2024-01-{day:02d}T0", f"{day:02d}.01.2024 0")
    _, all_of_them, _ = inspect(written)

    assert "column changed_at has '02.01.2024 01:00', which is no time" in few
    assert "line 2: column changed_at has '01.01.2024 00:00:00', which" in all_of_them
    assert "data.time_format" in all_of_them


def test_a_column_that_is_given_has_no_other_role(inspect):
    _, out, _ = inspect("case,event\na,x\nb,y\nc,x\n", "--event", "event")

    assert "case = event" not in out


def test_a_column_that_is_not_there_is_refused_with_the_near_name(inspect):
    status, _, err = inspect(TICKETS, "--case", "ticketid")

    assert status == 2
    assert "no column 'ticketid' for --case. Did you mean 'ticket_id'?" in err
    assert err.count("\n") == 1


def test_a_file_without_roles_says_which_to_name(inspect):
    _, out, _ = inspect("x\n1\n2\n")

    assert "name it with --" in out


def test_columns_of_plain_text_are_refused(inspect):
    status, _, err = inspect(TICKETS, "--case", "ticket_id", name="tickets.txt")

    assert status == 2
    assert "is plain text by its name" in err


def test_text_starts_with_its_characters(inspect):
    _, out, _ = inspect("to be or not to be\n" * 20, name="play.txt")

    assert "text, 380 rows" in out
    config = tomllib.loads(out[out.index("name = ") :])
    assert config["data"]["end"] is False
    assert config["data"]["split"] == "events"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            ["CaseID", "ActivityID", "CompleteTimestamp"],
            {"case": "CaseID", "event": "ActivityID", "time": "CompleteTimestamp"},
        ),
        (
            ["case:concept:name", "concept:name", "time:timestamp"],
            {
                "case": "case:concept:name",
                "event": "concept:name",
                "time": "time:timestamp",
            },
        ),
        (["user", "page"], {"case": "user", "event": "page"}),
        (["a", "b"], {"case": "a", "event": "b"}),
    ],
)
def test_names_and_numbers_of_names_say_what_a_column_is(columns, expected):
    counts = [Column(columns[0], 100, 30, 0, 0), Column(columns[1], 100, 5, 0, 0)]
    if len(columns) == 3:
        counts.append(Column(columns[2], 100, 99, 100, 0))

    assert guess_roles(counts, 100) == expected


def test_cases_of_one_event_are_cases_where_the_column_says_so():
    columns = [Column("case", 100, 103, 0, 0), Column("event", 100, 2, 0, 0)]
    ids = [Column("event_id", 100, 103, 0, 100), *columns[1:]]

    # The number of different names is rough where there are many.
    assert guess_roles(columns, 100) == {"case": "case", "event": "event"}
    assert guess_roles(ids, 100).get("case") != "event_id"


def test_one_label_in_all_rows_is_not_proposed_to_learn():
    columns = [
        Column("case", 100, 30, 0, 0),
        Column("event", 100, 5, 0, 0),
        Column("label", 100, 1, 0, 0),
    ]

    assert "label" not in guess_roles(columns, 100)


def test_cases_that_begin_at_the_same_time_are_divided_by_the_file(inspect, tmp_path):
    same = "ticket_id,status,changed_at\n" + "".join(
        f"T{case},{event},2024-01-01T00:00:00\n"
        for case in range(20)
        for event in ("open", "work", "closed")
    )
    inspect(same, "--write", str(tmp_path / "mine.toml"))

    config = load_config(tmp_path / "mine.toml")
    assert config.data.split == "file"
    data = SOURCES["events"].load(config.data, 1)  # what fit would refuse, by time
    assert data.held_out.train.weights.any()


def test_a_series_is_recognised_with_its_gaps(inspect, tmp_path):
    hours = [k for k in range(200) if k != 50]
    rows = [
        f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{'' if k == 9 else k % 24 + 0.5}"
        for k in hours
    ]
    path = tmp_path / "mine.toml"
    text = "\n".join(["at,load", "2023-12-31 23:00,", *rows])

    _, out, _ = inspect(text, "--write", str(path))

    assert "roles     time = at, value = load" in out
    assert "1 rows are missing, 0 further gaps" in out
    assert "0.5 to 23.5" in out
    assert "1 are empty, 1 rows before the first value are left out" in out
    config = load_config(path)
    assert (config.data.source, config.data.missing) == ("series", "previous")
    facts = SOURCES["series"].load(config.data, 1).facts
    assert (facts["filled_rows"], facts["dropped_rows"]) == (1, 1)


@pytest.mark.parametrize(
    ("rows", "value", "part"),
    [(200, "5", "all 160 values to train on are 5.0"), (6, "{}", "rows")],
)
def test_a_series_that_fit_refuses_is_not_proposed(
    inspect, tmp_path, rows, value, part
):
    text = "at,load\n" + "\n".join(
        f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{value.format(k)}"
        for k in range(rows)
    )
    path = tmp_path / "mine.toml"

    _, out, _ = inspect(text, "--write", str(path))

    assert part in out.partition("problems")[2]
    assert f"; {0:,} are empty" in out  # what is known is said all the same
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (
            ["--case", "ticket"],
            "no column 'ticket' for --case. Did you mean 'ticket_id'",
        ),
        (["--data", "none.csv"], "none.csv cannot be read"),
    ],
)
def test_fit_says_what_is_wrong_before_it_loads_tensorflow(
    inspect, tmp_path, capsys, monkeypatch, options, part
):
    inspect(TICKETS)
    monkeypatch.setitem(sys.modules, "training.pipeline", None)  # importing it fails

    status = main(["fit", "--data", str(tmp_path / "tickets.csv"), *options])

    assert status == 2
    assert part in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--case", "meter"]])
def test_several_series_in_a_file_are_recognised(inspect, options):
    rows = [
        f"2024-01-{1 + k // 24:02d}T{k % 24:02d}:00,{k + 0.5},{meter}"
        for meter in "AB"
        for k in range(200)
    ]

    _, out, _ = inspect("time,load,meter\n" + "\n".join(rows) + "\n", *options)

    assert "roles     case = meter, time = time, value = load" in out
    config = tomllib.loads(out[out.index("name = ") :])
    assert config["data"]["source"] == "series"
    assert config["data"]["case"] == "meter"
    assert "series    2" in out


def test_one_row_that_is_wrong_has_no_more_rows_like_it(inspect):
    _, out, _ = inspect(TICKETS + "T1,open,soon,1.5\n")

    assert "line 63: column changed_at has 'soon', which is no time\n" in out
