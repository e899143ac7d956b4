"""Contract of a store: one suite, run against each of them."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from service.common.setting_types import STORE_FORMS, list_store_forms
from service.stores.base import MAX_KEY_BYTES, Entry, Put, Store
from service.stores.in_process import InProcessStore
from service.stores.lmdb.store import LmdbStore
from service.stores.schemes import SCHEMES, check_address, open_store
from tests.service.memory.conftest import STORES

LATER = 4_000_000_000.0


def put(key: bytes, expected: int, value: bytes, forget_at: float = LATER) -> Put:
    return Put(key, expected, value, forget_at)


def test_absent_keys_are_none(store: Store) -> None:
    assert store.fetch([b"a", b"b"]) == [None, None]


def test_fetch_of_no_keys_is_empty(store: Store) -> None:
    assert store.fetch([]) == []
    assert store.commit([]) == []


def test_first_commit_makes_version_one(store: Store) -> None:
    assert store.commit([put(b"a", 0, b"first")]) == [True]

    assert store.fetch([b"a"]) == [Entry(1, b"first")]


def test_each_commit_raises_the_version_by_one(store: Store) -> None:
    for version in range(5):
        assert store.commit([put(b"a", version, b"v%d" % version)]) == [True]

    assert store.fetch([b"a"]) == [Entry(5, b"v4")]


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_commit_at_another_version_changes_nothing(store: Store, expected: int) -> None:
    store.commit([put(b"a", 0, b"first")])
    store.commit([put(b"a", 1, b"second")])

    assert store.commit([put(b"a", expected, b"lost")]) == [False]

    assert store.fetch([b"a"]) == [Entry(2, b"second")]


def test_commit_that_expects_a_version_of_an_absent_key_is_refused(
    store: Store,
) -> None:
    assert store.commit([put(b"a", 1, b"x")]) == [False]

    assert store.count() == 0


def test_one_refused_put_spoils_no_other_of_the_batch(store: Store) -> None:
    store.commit([put(b"b", 0, b"kept")])

    batch = [put(b"a", 0, b"1"), put(b"b", 0, b"2"), put(b"c", 0, b"3")]
    assert store.commit(batch) == [True, False, True]

    entries = [Entry(1, b"1"), Entry(1, b"kept"), Entry(1, b"3")]
    assert store.fetch([b"a", b"b", b"c"]) == entries


def test_fetch_answers_in_the_order_asked_repeats_included(store: Store) -> None:
    store.commit([put(b"a", 0, b"1"), put(b"b", 0, b"2")])

    found = store.fetch([b"b", b"x", b"a", b"b"])

    assert found == [Entry(1, b"2"), None, Entry(1, b"1"), Entry(1, b"2")]


def test_commit_of_the_same_key_twice_is_an_error(store: Store) -> None:
    with pytest.raises(ValueError, match="each key once"):
        store.commit([put(b"a", 0, b"1"), put(b"a", 1, b"2")])

    assert store.count() == 0


@pytest.mark.parametrize("length", [0, MAX_KEY_BYTES + 1], ids=["empty", "too-long"])
def test_key_of_impossible_length_is_an_error(store: Store, length: int) -> None:
    with pytest.raises(ValueError, match=f"{length} bytes; expected 1 to 400"):
        store.commit([put(b"k" * length, 0, b"1")])


@pytest.mark.parametrize("length", [0, 1, 1_000, 300_000])
def test_values_of_any_length_come_back_as_they_were(store: Store, length: int) -> None:
    value = random.Random(length).randbytes(length)
    key = b"k" * MAX_KEY_BYTES

    store.commit([put(key, 0, value)])

    assert store.fetch([key]) == [Entry(1, value)]


def test_scan_pages_through_a_prefix_in_byte_order(store: Store) -> None:
    wanted = [b"p\0%03d" % i for i in range(25)]
    keys = [*wanted, b"o\xff", b"p", b"p\x01", b"q\0000"]
    random.Random(0).shuffle(keys)
    store.commit([put(key, 0, key) for key in keys])

    pages: list[list[bytes]] = []
    after = b""
    while page := store.scan(b"p\0", after, 10):
        assert all(entry == Entry(1, key) for key, entry in page)
        pages.append([key for key, _ in page])
        after = pages[-1][-1]

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [key for page in pages for key in page] == wanted


def test_scan_continues_after_a_key_that_is_gone(store: Store) -> None:
    store.commit([put(b"a", 0, b"1"), put(b"c", 0, b"3")])

    assert store.scan(b"", b"b", 10) == [(b"c", Entry(1, b"3"))]


def test_one_of_many_concurrent_commits_wins(store: Store) -> None:
    wins: list[int] = []
    start = threading.Barrier(8)

    def compete(number: int) -> None:
        for version in range(50):
            start.wait()
            if store.commit([put(b"prize", version, b"%d" % number)]) == [True]:
                wins.append(version)

    run_threads(8, compete)

    assert sorted(wins) == list(range(50))


def test_increments_from_threads_add_up(store: Store) -> None:
    def increment_often(_: int) -> None:
        for _ in range(100):
            increment(store, b"counter")

    run_threads(8, increment_often)

    assert store.fetch([b"counter"]) == [Entry(800, b"800")]


def test_closing_twice_is_harmless(store: Store) -> None:
    store.close()
    store.close()


def increment(store: Store, key: bytes) -> None:
    """Add one to a counter, however often others are faster."""
    stored = False
    while not stored:
        entry = store.fetch([key])[0] or Entry(0, b"0")
        value = b"%d" % (int(entry.value) + 1)
        stored = store.commit([put(key, entry.version, value)])[0]


def run_threads(count: int, work) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_memory_url_opens_the_in_process_store() -> None:
    assert isinstance(open_store("memory://"), InProcessStore)


def test_lmdb_url_with_three_slashes_is_an_absolute_path(tmp_path: Path) -> None:
    store = open_store(f"lmdb://{tmp_path}/deep/store")
    store.close()

    assert isinstance(store, LmdbStore)
    assert (tmp_path / "deep" / "store" / "data.mdb").exists()


def test_lmdb_url_with_two_slashes_is_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    open_store("lmdb://var/memory").close()

    assert (tmp_path / "var" / "memory" / "data.mdb").exists()


@pytest.mark.parametrize(
    "url", ["", "lmdb://", "lmdb:/x", "memory", "memory://x", "redis://"]
)
def test_unknown_url_says_what_is_expected(url: str) -> None:
    with pytest.raises(
        ValueError, match="expected lmdb://PATH, redis://HOST"
    ) as raised:
        open_store(url)

    assert all(form in str(raised.value) for form in STORE_FORMS.values())
    with pytest.raises(ValueError, match="is unknown"):
        check_address(url)


def test_every_scheme_has_an_address_and_is_tried_with_every_test() -> None:
    tried = {getattr(kind, "values", (kind,))[0] for kind in STORES}

    assert SCHEMES.keys() == STORE_FORMS.keys(), "see docs/how-to/add-a-store.md"
    assert SCHEMES.keys() <= tried, "add it to LOCAL or SERVERS of conftest.py"
    assert list_store_forms().startswith("lmdb://PATH, redis://HOST, ")
    assert list_store_forms().endswith(" or memory://")


def test_unknown_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"is unknown: durabilty; .* durability=\.\.\."
    ):
        open_store(f"lmdb://{tmp_path}/store?durabilty=disk")
    with pytest.raises(ValueError, match="durability=process or durability=disk"):
        open_store(f"lmdb://{tmp_path}/store?durability=ssd")


def test_durability_of_the_disk_keeps_what_the_store_promises(tmp_path: Path) -> None:
    store = open_store(f"lmdb://{tmp_path}/store?durability=disk")

    assert store.commit([put(b"a", 0, b"1"), put(b"b", 0, b"2")]) == [True, True]
    assert store.commit([put(b"a", 0, b"lost")]) == [False]

    assert store.fetch([b"a", b"b"]) == [Entry(1, b"1"), Entry(1, b"2")]
    store.close()


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_survey_meets_each_entry_once(store: Store, limit: int) -> None:
    keys = [b"k%03d" % k for k in range(50)] + [b"\xff" * 9, b"\0"]
    store.commit([put(key, 0, b"value of " + key) for key in keys])
    met: list[tuple[bytes, bytes]] = []
    after: bytes | None = b""

    while after is not None:
        heads, after = store.survey(after, limit, 10)
        met += heads
        assert isinstance(store, InProcessStore) or len(heads) <= limit

    assert sorted(met) == sorted((key, (b"value of " + key)[:10]) for key in keys)


def test_survey_of_an_empty_store_ends(store: Store) -> None:
    assert store.survey(b"", 10, 10) == ([], None)
