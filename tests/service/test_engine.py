import numpy as np
import pytest

from service.engine.rows import Refused, Row
from service.errors import (
    EarlierRowFailed,
    NonFiniteResult,
    SessionContended,
    SessionGone,
    StoreFull,
    StoreUnavailable,
    UnknownEvent,
    WrongNetwork,
)
from service.sessions.record import SessionKey
from tests.assembly import build_engine
from tests.fakes import counting_model

RED, GREEN, POISON = 0, 1, 2
KEY = SessionKey("", "counting", "s")


@pytest.fixture
def rival(engine, clock):
    """Another worker's engine over the same sessions."""
    return build_engine(clock, sessions=engine.sessions)


def row(*events, **options):
    return Row(np.array(events, "int32"), **options)


def test_a_row_that_lost_the_race_is_computed_on_the_winners_memory(
    engine, rival, model
):
    engine.advance(model, [row(RED, session="s")], tenant="")

    def be_overtaken():
        model.runtime.before_return = lambda: None
        rival.advance(model, [row(GREEN, GREEN, session="s")], tenant="")

    model.runtime.before_return = be_overtaken

    (outcome,) = engine.advance(model, [row(RED, session="s")], tenant="")

    assert outcome.step == 4
    assert outcome.outputs["probabilities"][-1].tolist() == [0.5, 0.5, 0.0]


def test_only_the_rows_that_lost_are_computed_again(engine, rival, model):
    def be_overtaken():
        model.runtime.before_return = lambda: None
        rival.advance(model, [row(GREEN, session="s")], tenant="")

    model.runtime.before_return = be_overtaken

    lost, won = engine.advance(
        model, [row(RED, session="s"), row(RED, session="other")], tenant=""
    )

    assert (lost.step, won.step) == (2, 1)


def test_a_session_that_never_stands_still_is_contended(
    engine, rival, model, monkeypatch
):
    monkeypatch.setattr("service.engine.settlement.MAX_CONTENTION_SECONDS", 0.1)
    others = counting_model()

    def overtake():
        rival.advance(others, [row(GREEN, session="s")], tenant="")

    model.runtime.before_return = overtake

    (error,) = engine.advance(model, [row(RED, session="s")], tenant="")

    assert isinstance(error, SessionContended)
    assert engine.sessions.get(KEY).step == model.runtime.calls


def test_memory_of_another_network_is_never_mixed_in(engine, model):
    engine.advance(model, [row(RED, session="s")], tenant="")
    retrained = counting_model(version=2, network="cd" * 32)

    (error,) = engine.advance(retrained, [row(RED, session="s")], tenant="")

    assert isinstance(error, WrongNetwork)
    assert error.members == {"step": 1, "model_version": "1"}
    assert engine.sessions.get(KEY).step == 1


def test_session_of_another_network_restarts_with_start(engine, model):
    engine.advance(model, [row(RED, session="s")], tenant="")
    retrained = counting_model(version=2, network="cd" * 32)

    (outcome,) = engine.advance(
        retrained, [row(GREEN, session="s", start=True)], tenant=""
    )

    assert outcome.step == 1
    assert outcome.outputs["probabilities"].tolist() == [[0.0, 1.0, 0.0]]


def test_token_of_another_network_is_refused(engine, model):
    (outcome,) = engine.advance(model, [row(RED, seal_memory=True)], tenant="")
    retrained = counting_model(version=2, network="cd" * 32)

    (error,) = engine.advance(
        retrained, [row(RED, seal_memory=True, token=outcome.token)], tenant=""
    )

    assert isinstance(error, WrongNetwork)


def test_sessions_of_one_tenant_are_unknown_to_another(engine, model):
    engine.advance(model, [row(RED, session="s")], tenant="a")

    (outcome,) = engine.advance(model, [row(GREEN, session="s")], tenant="b")

    assert outcome.step == 1


def test_non_finite_row_stores_nothing_and_spoils_no_other(engine, model):
    bad, good = engine.advance(
        model, [row(POISON, session="s"), row(RED, session="t")], tenant=""
    )

    assert isinstance(bad, NonFiniteResult)
    assert good.step == 1
    (after,) = engine.advance(model, [row(GREEN, session="s")], tenant="")
    assert after.step == 1


@pytest.mark.parametrize("timesteps", [1, 255, 256, 257, 600])
def test_rows_longer_than_a_chunk_keep_all_their_timesteps(engine, model, timesteps):
    long, short = engine.advance(
        model, [row(*[RED] * timesteps), row(GREEN)], tenant=""
    )

    assert len(long.outputs["probabilities"]) == long.step == timesteps
    assert short.outputs["probabilities"].tolist() == [[0.0, 1.0, 0.0]]


def test_ended_session_is_gone(engine, model):
    engine.advance(model, [row(RED, session="s", end=True)], tenant="")

    (error,) = engine.advance(model, [row(RED, session="s")], tenant="")

    assert isinstance(error, SessionGone)
    assert (error.members["reason"], error.members["step"]) == ("ended", 1)


def test_sealed_memory_continues_where_it_was(engine, model):
    (first,) = engine.advance(model, [row(RED, seal_memory=True)], tenant="")

    (second,) = engine.advance(
        model, [row(GREEN, seal_memory=True, token=first.token)], tenant=""
    )

    assert second.step == 2
    assert second.outputs["probabilities"].tolist() == [[0.5, 0.5, 0.0]]
    assert first.token != second.token


def test_rows_after_a_refused_one_of_their_session_are_blocked(engine, model):
    refused = Refused(UnknownEvent("no such event."), "s")

    first, bad, after, other = engine.advance(
        model,
        [
            row(RED, session="s"),
            refused,
            row(GREEN, session="s"),
            row(RED, session="t"),
        ],
        tenant="",
    )

    assert first.step == other.step == 1
    assert bad is refused.error
    assert isinstance(after, EarlierRowFailed)
    assert engine.sessions.get(KEY).step == 1


def test_rows_after_a_non_finite_one_of_their_session_are_blocked(engine, model):
    bad, after = engine.advance(
        model, [row(POISON, session="s"), row(RED, session="s")], tenant=""
    )

    assert isinstance(bad, NonFiniteResult)
    assert isinstance(after, EarlierRowFailed)


@pytest.mark.parametrize("error", [StoreFull, StoreUnavailable])
def test_a_store_that_refuses_costs_only_the_rows_that_need_it(engine, model, error):
    (token,) = engine.advance(model, [row(RED, seal_memory=True)], tenant="")
    failure = error("no room.")

    def refuse(writes):
        raise failure

    save, engine.sessions.save_encoded = engine.sessions.save_encoded, refuse
    stored, bare, sealed = engine.advance(
        model,
        [
            row(RED, session="s"),
            row(RED),
            row(RED, seal_memory=True, token=token.token),
        ],
        tenant="",
    )
    engine.sessions.save_encoded = save

    assert stored is failure
    assert (bare.step, sealed.step) == (1, 2)
    (again,) = engine.advance(model, [row(RED, session="s", at=0)], tenant="")
    assert again.step == 1


def test_committed_rows_keep_their_answers_when_the_store_fills_up(engine, model):
    save = engine.sessions.save_encoded

    def fill_up(writes):
        engine.sessions.save_encoded = refuse
        return save(writes)

    def refuse(writes):
        raise StoreFull("no room.")

    engine.sessions.save_encoded = fill_up

    first, second = engine.advance(
        model, [row(RED, session="s"), row(RED, session="s")], tenant=""
    )

    assert first.step == 1
    assert isinstance(second, StoreFull)


def test_a_store_that_cannot_be_read_costs_only_the_rows_that_need_it(engine, model):
    def refuse(keys):
        if keys:
            raise StoreUnavailable("the disk is gone.")
        return []

    engine.sessions.fetch = refuse

    stored, bare = engine.advance(model, [row(RED, session="s"), row(RED)], tenant="")

    assert isinstance(stored, StoreUnavailable)
    assert bare.step == 1


def test_padding_never_multiplies_one_long_row_by_many_short_ones(engine, model):
    shapes = []
    run = model.runtime.run

    def watch(signature, tensors):
        shapes.append(tensors["sequence"].shape)
        return run(signature, tensors)

    model.runtime.run = watch

    outcomes = engine.advance(
        model, [row(*[RED] * 256), *[row(GREEN) for _ in range(700)]], tenant=""
    )

    assert max(batch * timesteps for batch, timesteps in shapes) <= 4096
    assert [outcome.step for outcome in outcomes] == [256, *[1] * 700]
    assert all(len(o.outputs["probabilities"]) == o.step for o in outcomes)


def test_rows_without_sessions_do_without_a_store_that_fails(
    engine, session_store, model
):
    def refuse(*_):
        raise StoreUnavailable("the disk is gone.")

    session_store.fetch = refuse

    (bare, remembered) = engine.advance(model, [row(0), row(0, session="s")], tenant="")

    assert bare.step == 1
    assert isinstance(remembered, StoreUnavailable)
