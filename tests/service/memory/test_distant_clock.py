"""A wall clock that is wrong by millennia: answers and records have room for it."""

from __future__ import annotations

import pytest

from service.common.text import format_time
from service.stores.base import Store
from tests.assembly import serve
from tests.fakes import FakeClock, counting_model

LAST = 253_402_300_799.0  # 9999-12-31T23:59:59Z
PATH = "/v1/models/counting"


@pytest.mark.parametrize("now", [LAST - 10, LAST, 3e11, 1e15])
def test_sessions_are_served_past_the_year_9999(store: Store, now: float) -> None:
    clock = FakeClock(now)
    client = serve([counting_model()], clock=clock, store=store)
    rows = [{"sequence": ["red"], "session": session} for session in ("s", "t")]
    headers = {"Idempotency-Key": '"k"'}

    answers = [
        client.post(f"{PATH}:predict", json={"instances": rows}, headers=headers)
        for _ in range(2)
    ]
    ended = client.delete(f"{PATH}/sessions/t")
    gone = client.get(f"{PATH}/sessions/t")
    shown = client.get(f"{PATH}/sessions/s").get_json()
    listed = client.get(f"{PATH}/sessions").get_json()["sessions"]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].data == answers[1].data
    assert (ended.status_code, gone.status_code) == (200, 410)
    assert (shown["step"], len(listed)) == (1, 1)
    assert shown["expires_at"] == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (LAST, "9999-12-31T23:59:59.000Z"),
        (LAST + 1, "9999-12-31T23:59:59.999Z"),
        (1e300, "9999-12-31T23:59:59.999Z"),
        (-1e300, "0001-01-01T00:00:00.000Z"),
        (-62_135_596_800.0, "0001-01-01T00:00:00.000Z"),
        (-0.25, "1969-12-31T23:59:59.750Z"),
    ],
)
def test_times_beyond_iso_8601_are_its_last_ones(seconds: float, text: str) -> None:
    assert format_time(seconds) == text
