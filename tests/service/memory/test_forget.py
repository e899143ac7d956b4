"""Forgetting in every store: exactly what is due, and nothing else."""

from __future__ import annotations

import random

import pytest

from service.stores.base import UNLIMITED, Entry, Put, Store

LATER = 2_000_000_000.0
# Times count from 2096: a Redis server drops what is past by its own clock.
BASE = 4_000_000_000.0


def put(key: bytes, expected: int, value: bytes, forget_at: float = LATER) -> Put:
    return Put(key, expected, value, BASE + forget_at)


def forget(store: Store, now: float, limit: int) -> int:
    return store.forget(BASE + now, limit)


def all_keys(store: Store) -> list[bytes]:
    return [key for key, _ in store.scan(b"", b"", 1_000_000)]


def test_forget_deletes_exactly_what_is_due(store: Store) -> None:
    times = {b"past": 99.0, b"due": 100.0, b"next": 100.00001, b"far": 1e12}
    store.commit([put(key, 0, b"", at) for key, at in times.items()])

    assert forget(store, 100.0, 10) == 2

    assert all_keys(store) == [b"far", b"next"]


def test_forget_of_an_empty_store_is_zero(store: Store) -> None:
    assert forget(store, LATER, 10) == 0


def test_postponed_entry_is_kept_until_its_new_time(store: Store) -> None:
    store.commit([put(b"a", 0, b"1", 100.0)])
    store.commit([put(b"a", 1, b"2", 200.0)])

    assert forget(store, 199.0, 10) == 0
    assert store.fetch([b"a"]) == [Entry(2, b"2")]
    assert forget(store, 200.0, 10) == 1
    assert store.count() == 0


def test_shortened_entry_goes_at_its_new_time(store: Store) -> None:
    store.commit([put(b"a", 0, b"1", 200.0)])
    store.commit([put(b"a", 1, b"2", 100.0)])

    assert forget(store, 99.0, 10) == 0
    assert forget(store, 100.0, 10) == 1


def test_postponed_entries_do_not_use_up_the_limit(store: Store) -> None:
    keys = [b"%04d" % i for i in range(600)]
    store.commit([put(key, 0, b"", 100.0 + i) for i, key in enumerate(keys)])
    store.commit([put(key, 1, b"", 5000.0) for key in keys[:500]])

    assert forget(store, 1000.0, 30) == 30

    assert store.count() == 570


def test_forget_stops_at_its_limit_and_continues_next_time(store: Store) -> None:
    store.commit([put(b"%d" % i, 0, b"", float(i)) for i in range(10)])

    assert [forget(store, 8.0, 4) for _ in range(4)] == [4, 4, 1, 0]

    assert all_keys(store) == [b"9"]


def test_forgotten_key_begins_again_at_version_one(store: Store) -> None:
    store.commit([put(b"a", 0, b"old", 100.0)])
    store.commit([put(b"a", 1, b"old", 100.0)])
    forget(store, 100.0, 10)

    assert store.commit([put(b"a", 2, b"late", 300.0)]) == [False]
    assert store.commit([put(b"a", 0, b"new", 300.0)]) == [True]

    assert forget(store, 200.0, 10) == 0
    assert store.fetch([b"a"]) == [Entry(1, b"new")]


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
def test_times_before_1970_are_long_past(open_kind, kind: str) -> None:
    store = open_kind(kind, UNLIMITED)
    store.commit([Put(b"past", 0, b"", -5.0), Put(b"later", 0, b"", 5.0)])
    store.commit([Put(b"past", 1, b"", -9.0)])

    assert store.forget(0.0, 10) == 1

    assert all_keys(store) == [b"later"]


def test_entry_without_end_is_kept(store: Store) -> None:
    store.commit([put(b"never", 0, b"", float("inf")), put(b"due", 0, b"", 1.0)])

    assert forget(store, 1e12, 10) == 1

    assert all_keys(store) == [b"never"]


def test_entry_that_is_given_an_end_goes(store: Store) -> None:
    store.commit([put(b"a", 0, b"", float("inf"))])
    store.commit([put(b"a", 1, b"", 5.0)])

    assert forget(store, 5.0, 10) == 1


def test_any_order_of_commits_and_forgets_keeps_what_a_plain_dict_would(
    store: Store,
) -> None:
    dice = random.Random(7)
    model: dict[bytes, tuple[int, bytes, float]] = {}
    for now in range(300):
        keys = [b"%d" % i for i in dice.sample(range(40), dice.randrange(1, 9))]
        batch = [
            put(
                key,
                model.get(key, (0,))[0],
                dice.randbytes(5),
                now + dice.random() * 60,
            )
            for key in keys
        ]
        assert all(store.commit(batch))
        for change in batch:
            entry = (change.expected + 1, change.value, change.forget_at)
            model[change.key] = entry
        due = sorted(key for key, entry in model.items() if entry[2] <= BASE + now)
        if dice.random() < 0.3:
            assert forget(store, float(now), 1_000) == len(due)
            for key in due:
                del model[key]

    expected_entries = [(key, Entry(*model[key][:2])) for key in sorted(model)]
    assert store.scan(b"", b"", 1_000) == expected_entries
    assert forget(store, 1_000.0, 1_000) == len(model)
    assert store.count() == 0
