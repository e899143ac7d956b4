"""Captured events without what is left out, hashed or redacted."""

import dataclasses
import json
import os

import msgspec
import numpy as np
import pytest

from service.app import check_redacted, open_capture
from service.engine.capture import Capture, CapturedRow, CaptureOptions
from service.engine.captured_events import decode_record
from service.registry.catalog import Catalog
from service.settings import read_settings
from service.telemetry.capture_files import CaptureFiles
from tests.fakes import counting_model
from tests.service import captures
from tests.service.captures import BOUNDS, SECRET, row

folder = pytest.fixture(captures.folder)
capture = pytest.fixture(captures.capture)
engine = pytest.fixture(captures.engine)


def test_a_share_of_sessions_is_captured_whole_and_the_same_everywhere(folder):
    model = counting_model()

    def choose(share):
        options = CaptureOptions({"counting": share}, os.urandom(32))
        capture = Capture(options, CaptureFiles(folder, BOUNDS))
        return {k for k in range(4000) if capture.chooses(model, b"%d" % k)}

    tenth, again, half = choose(0.1), choose(0.1), choose(0.5)

    assert tenth == again
    assert tenth < half
    assert 300 < len(tenth) < 500
    assert 1800 < len(half) < 2200
    other = dataclasses.replace(
        model, manifest=type(model.manifest)(**{**fields(model.manifest), "name": "x"})
    )
    assert not Capture(
        CaptureOptions({"counting": 1.0}, SECRET), CaptureFiles(folder, BOUNDS)
    ).chooses(other, b"1")


def fields(manifest):
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


def test_tenants_are_left_out_or_hashed_and_fields_redacted(folder):
    model = counting_model()
    files = CaptureFiles(folder, BOUNDS)
    plain = Capture(CaptureOptions({"counting": 1.0}, SECRET), files)
    named = Capture(
        CaptureOptions({"counting": 1.0}, SECRET, True, frozenset({"team"})), files
    )
    event = {"event": "red", "team": "blue", "amount": 3}

    (without,) = plain.describe(row(model, event))
    (hashed,) = named.describe(row(model, event))

    assert "capture_tenant" not in without
    assert without["team"] == "blue"
    assert "team" not in hashed
    assert hashed["amount"] == 3
    assert len(hashed["capture_tenant"]) == 16
    assert "acme" not in json.dumps(hashed)


FIELDS = [
    {"name": "Team", "type": "category", "vocabulary": ["red", "blue"]},
    {"name": "amount", "type": "number"},
    {"name": "place", "type": "vector", "size": 2},
    {"name": "capture_session", "type": "number"},
]


def record_model():
    return with_input(counting_model(), {"kind": "record", "fields": FIELDS})


def with_input(model, schema):
    manifest = msgspec.structs.replace(model.manifest, input=schema)
    return dataclasses.replace(model, manifest=manifest)


def describe(model, redacted, event=None, sequence=(0,)):
    """The columns of a captured event, written as the settings say."""
    given = {"CARRYOVER_CAPTURE": "counting=1", "CARRYOVER_CAPTURE_REDACT": redacted}
    capture = open_capture(read_settings(given), SECRET)
    events = None if event is None else [event]
    array = np.array([sequence], np.float32)
    [line] = capture.describe(
        CapturedRow(model, b"key", "acme", events, array, 1, 1.0, 2.0)
    )
    assert line["capture_session"].endswith("-3e8")  # a field never replaces it
    return {name for name in line if not name.startswith("capture_")}


@pytest.mark.parametrize("by_numbers", [False, True])
@pytest.mark.parametrize(
    ("redacted", "left"),
    [
        ("", {"Team", "amount", "place"}),
        ("team", {"amount", "place"}),
        (" TEAM , Amount,,", {"place"}),
        ("place", {"Team", "amount"}),
        ("tea,am", {"Team", "amount", "place"}),
        ("capture_session", {"Team", "amount", "place"}),
    ],
)
def test_fields_are_left_out_however_they_came(redacted, left, by_numbers):
    event = {"Team": "red", "amount": 2, "place": [1, 2], "capture_session": 7}
    sent = {"sequence": (0, 2, 1, 2, 7)} if by_numbers else {"event": event}

    assert describe(record_model(), redacted, **sent) == left


@pytest.mark.parametrize("redacted", ["event", "EVENT", "event_0,event_1"])
def test_names_and_numbers_of_events_are_left_out(redacted):
    numbers = with_input(counting_model(), {"kind": "vector", "size": 2})

    assert describe(numbers, redacted, [1.0, 2.0]) == set()
    assert describe(numbers, "", [1.0, 2.0]) == {"event_0", "event_1"}
    assert describe(numbers, "event_1", [1.0, 2.0]) == {"event_0"}
    if redacted != "event_0,event_1":
        assert describe(counting_model(), redacted, "red") == set()


def test_a_misspelt_field_is_warned_of_at_the_start(caplog):
    catalog = Catalog([record_model()])
    settings = {"CARRYOVER_CAPTURE": "counting=1,other=1"}
    for redacted in ("TEAM,amount", "", "taem,amount"):
        settings["CARRYOVER_CAPTURE_REDACT"] = redacted
        check_redacted(read_settings(settings), catalog)

    assert [record.getMessage() for record in caplog.records] == [
        "CARRYOVER_CAPTURE_REDACT names taem, which is no field of counting; nothing "
        "is left out for it"
    ]


def test_records_that_came_as_numbers_get_their_names_back():
    schema = [
        {"name": "what", "type": "category", "vocabulary": ["red", "green"]},
        {"name": "at", "type": "time"},
        {"name": "amount", "type": "number"},
        {"name": "missing", "type": "number"},
    ]

    record = decode_record(schema, [1.0, 19000.0, 3723.5, 2.5, float("nan")])

    assert record == {
        "what": "green",
        "at": "2022-01-08T01:02:03.500000",
        "amount": 2.5,
    }
