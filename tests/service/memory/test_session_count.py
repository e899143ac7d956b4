"""Live and expired sessions are counted in every store, each expiry once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import StoreUnavailable
from service.sessions import session_count
from service.sessions.lifecycle import SessionKey, Sessions
from service.sessions.record import (
    END_BYTES,
    Session,
    Tombstone,
    encode,
    read_end,
)
from service.sessions.session_count import SessionCount, choose_limit, name_mark
from service.stores.base import Put, Store
from tests.fakes import FakeClock
from tests.service.memory.stored import IDLE_SECONDS, session_at, store_session

NOT_OF_THE_STORE = pytest.mark.parametrize("store", ["memory"], indirect=True)
Counts = dict[str, tuple[int, int, int]]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Counts]:
    """Return what each count published: live, expired, newly expired, by model."""
    counts: list[Counts] = []

    def note(live, expired, newly_expired, at) -> None:  # type: ignore[no-untyped-def]
        counts.append(
            {
                model: (number, expired[model], newly_expired[model])
                for model, number in live.items()
            }
        )

    monkeypatch.setattr(session_count, "note_sessions", note)
    return counts


@pytest.fixture
def make(
    sessions: Sessions, clock: FakeClock, tmp_path: Path
) -> Callable[..., SessionCount]:
    def make_one(**more: object) -> SessionCount:
        arguments = {"clock": clock, "wait": lambda seconds: True} | more
        mark = tmp_path / "mark"
        return SessionCount(
            sessions,
            lambda: ["idle", "nature"],
            lambda: True,
            mark,
            **arguments,  # type: ignore[arg-type]
        )

    return make_one


def key(name: str, model: str = "nature", tenant: str = "acme") -> SessionKey:
    return SessionKey(tenant, model, name)


def test_sessions_are_counted_by_model_and_each_expiry_once(
    make: Callable[..., SessionCount],
    sessions: Sessions,
    clock: FakeClock,
    published: list[Counts],
) -> None:
    count = make()
    for k in range(3):
        store_session(sessions, clock, key(f"s{k}"))
    store_session(sessions, clock, key("s0", tenant="other"))
    store_session(sessions, clock, key("s0", "taxi"))
    # A chain of tokens, and the state of a shadow.
    store_session(sessions, clock, key("s0", "nature\x01"))
    store_session(sessions, clock, key("s0", "nature\x02"))
    sessions.delete(key("s1"))
    count.run()
    clock.advance(IDLE_SECONDS)
    store_session(sessions, clock, key("late"))
    count.run()
    count.run()

    empty = {"idle": (0, 0, 0)}
    assert published == [
        empty | {"nature": (3, 0, 0), "taxi": (1, 0, 0)},
        empty | {"nature": (1, 3, 3), "taxi": (0, 1, 1)},
        empty | {"nature": (1, 3, 0), "taxi": (0, 1, 0)},
    ]


@NOT_OF_THE_STORE
def test_another_process_takes_over_and_counts_what_expired_meanwhile_once(
    make: Callable[..., SessionCount],
    sessions: Sessions,
    clock: FakeClock,
    published: list[Counts],
) -> None:
    first, second = make(), make()
    store_session(sessions, clock)
    assert first.lock()
    first.count()
    second.run()
    assert len(published) == 1
    first.release()  # as the end of its process does
    clock.advance(IDLE_SECONDS)

    later = make()
    later.run()
    later.run()

    assert [counts["nature"] for counts in published[1:]] == [(0, 1, 1), (0, 1, 0)]


@NOT_OF_THE_STORE
@pytest.mark.parametrize("content", [b"", b"damaged", b"nan", b"\xff", b"9e99", b"-1"])
def test_damaged_mark_counts_from_now_on(
    make: Callable[..., SessionCount],
    sessions: Sessions,
    clock: FakeClock,
    published: list[Counts],
    tmp_path: Path,
    content: bytes,
) -> None:
    (tmp_path / "mark").write_bytes(content)
    store_session(sessions, clock)
    clock.advance(IDLE_SECONDS)

    count = make()
    count.run()

    assert published[0]["nature"] == (0, 1, 0)
    assert float((tmp_path / "mark").read_text()) == clock()


@NOT_OF_THE_STORE
def test_mark_that_cannot_be_written_is_logged_once(
    make: Callable[..., SessionCount],
    published: list[Counts],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "mark").mkdir()
    count = make()

    count.run()
    count.run()

    assert len(published) == 2
    assert len(caplog.records) == 1


@NOT_OF_THE_STORE
def test_failed_count_is_made_again(
    make: Callable[..., SessionCount],
    sessions: Sessions,
    published: list[Counts],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = iter([False, True])
    count = make(wait=lambda seconds: next(answers))
    errors = [StoreUnavailable("broken")]
    survey = sessions.survey

    def fail_once(after: bytes, limit: int):  # type: ignore[no-untyped-def]
        if errors:
            raise errors.pop()
        return survey(after, limit)

    monkeypatch.setattr(sessions, "survey", fail_once)

    count.run()

    assert len(published) == 1
    assert "not counted, next in a while: broken" in caplog.text


@NOT_OF_THE_STORE
def test_expiries_wait_for_a_clock_that_can_be_trusted(
    sessions: Sessions, clock: FakeClock, published: list[Counts], tmp_path: Path
) -> None:
    trust = iter([True, False, True])
    count = SessionCount(
        sessions, list, lambda: next(trust), tmp_path / "mark", clock, lambda _: True
    )
    store_session(sessions, clock)
    count.count()
    clock.advance(IDLE_SECONDS)
    count.count()
    count.count()

    assert [one["nature"] for one in published] == [(1, 0, 0), (0, 1, 0), (0, 1, 1)]


def test_large_store_rests_between_pieces_and_stops_there(
    make: Callable[..., SessionCount],
    sessions: Sessions,
    clock: FakeClock,
    published: list[Counts],
    monkeypatch: pytest.MonkeyPatch,
    store: Store,
) -> None:
    monkeypatch.setattr(session_count, "PIECE_ENTRIES", 4)
    monkeypatch.setattr(session_count, "PIECE_BOUNDS", (4, 4))
    for k in range(10):
        store_session(sessions, clock, key(f"s{k}"))
    rests: list[float] = []
    count = make(wait=lambda seconds: rests.append(seconds))

    count.count()

    assert published[0]["nature"] == (10, 0, 0)
    parts = -(-10 // 4) if type(store).__name__ != "InProcessStore" else 1
    assert len(rests) >= parts - 1
    assert all(0 < seconds <= 1.0 for seconds in rests)
    make(wait=lambda seconds: True).count()
    assert len(published) == (1 if rests else 2)


def test_pieces_become_smaller_where_pages_are_not_in_memory() -> None:
    assert choose_limit(250, 0.001) == 250
    assert choose_limit(250, 0.004) == 62
    assert choose_limit(250, 5.0) == 32
    assert choose_limit(250, 0.0) == 1000


@NOT_OF_THE_STORE
def test_damaged_records_are_not_counted(
    make: Callable[..., SessionCount], store: Store, published: list[Counts]
) -> None:
    name = key("s").encode()
    store.commit([Put(name, 0, b"x" * 100, 4e9 + 1e6), Put(b"k", 0, b"", 4e9 + 1e6)])

    make().run()

    assert published == [{"idle": (0, 0, 0), "nature": (0, 0, 0)}]


@pytest.mark.parametrize("reason", ["expired", "ended", "deleted"])
def test_end_of_a_record_is_read_from_its_first_bytes(reason) -> None:  # type: ignore[no-untyped-def]
    session = session_at(FakeClock(), step=9)
    gone = Tombstone(reason, 3, 5.0, b"answers")

    assert read_end(encode(session)[:END_BYTES]) == (False, session.expires_at)
    assert read_end(encode(gone)[:END_BYTES]) == (reason != "expired", 5.0)
    for record in (session, gone):
        assert isinstance(record, Session | Tombstone)
        content = encode(record)
        for size in range(END_BYTES):
            read_end(content[:size])


@NOT_OF_THE_STORE
def test_stopped_count_ends(sessions: Sessions, tmp_path: Path) -> None:
    count = SessionCount(sessions, list, lambda: True, tmp_path / "mark")
    count.start()

    count.stop()

    assert not count.is_alive()


def test_stores_of_one_state_have_a_mark_each(tmp_path: Path) -> None:
    urls = ["lmdb:///a", "lmdb:///b", "redis://:secret@host"]

    names = {name_mark(tmp_path, url).name for url in urls}

    assert len(names) == 3
    assert not any("secret" in name for name in names)
