"""Migration of memories when a new version is served."""

import pytest

from service.errors import SessionLive, StepConflict, WrongNetwork
from service.sessions.version_policy import Policies
from tests.fakes import counting_model
from tests.service import migrations
from tests.service.migrations import GREEN, KEY, NEW, OLD, RED, WIDER, build_model, row

old = pytest.fixture(migrations.old)
new = pytest.fixture(migrations.new)
serve = pytest.fixture(migrations.serve)


def test_pinned_session_stays_on_the_version_that_made_it(serve, old, new):
    serve(old).advance(old, [row(RED)], tenant="")

    (outcome,) = serve(old, new).advance(new, [row(GREEN)], tenant="")

    assert (outcome.version, outcome.step, outcome.migrated_from) == (1, 2, None)
    assert outcome.outputs["probabilities"].tolist() == [[0.5, 0.5, 0.0]]
    assert new.runtime.calls == 0


def test_new_sessions_begin_on_the_new_version(serve, old, new):
    (outcome,) = serve(old, new).advance(new, [row(RED)], tenant="")

    assert (outcome.version, old.runtime.calls) == (2, 0)


def test_rows_of_one_request_run_each_on_its_version(serve, old, new):
    serve(old).advance(old, [row(RED), row(GREEN, session="t")], tenant="")

    outcomes = serve(old, new).advance(
        new,
        [row(GREEN), row(RED, session="new"), row(RED, session="t"), row(RED)],
        tenant="",
    )

    assert [(o.version, o.step) for o in outcomes] == [(1, 2), (2, 1), (1, 2), (1, 3)]


def test_pinned_session_is_refused_once_its_version_is_gone(serve, old, new):
    serve(old).advance(old, [row(RED)], tenant="")

    (error,) = serve(new).advance(new, [row(GREEN)], tenant="")

    assert isinstance(error, WrongNetwork)
    assert error.members == {"step": 1, "model_version": "1"}


def test_pinned_session_does_not_follow_a_named_version(serve, old, new):
    engine = serve(old, new)
    engine.advance(old, [row(RED)], tenant="")

    (error,) = engine.advance(new, [row(GREEN)], is_version_named=True, tenant="")
    (outcome,) = engine.advance(old, [row(GREEN)], is_version_named=True, tenant="")

    assert isinstance(error, WrongNetwork)
    assert (outcome.version, outcome.step) == (1, 2)


def test_pinned_session_is_live_and_does_not_start_again(serve, old, new):
    engine = serve(old, new)
    engine.advance(old, [row(RED)], tenant="")

    (error,) = engine.advance(new, [row(GREEN, start=True)], tenant="")

    assert isinstance(error, SessionLive)


def test_session_that_cannot_go_on_starts_again(serve, old, new):
    serve(old).advance(old, [row(RED)], tenant="")

    (outcome,) = serve(new).advance(new, [row(GREEN, start=True)], tenant="")

    assert (outcome.version, outcome.step) == (2, 1)


def test_pinned_token_stays_on_the_version_that_made_it(serve, old, new):
    (first,) = serve(old).advance(
        old, [row(RED, session=None, seal_memory=True)], tenant=""
    )
    second = row(GREEN, session=None, seal_memory=True, token=first.token)

    (outcome,) = serve(old, new).advance(new, [second], tenant="")

    assert (outcome.version, outcome.step) == (1, 2)


def test_the_same_weights_under_another_number_go_on(serve, old):
    again = counting_model(version=2, network=OLD)
    serve(old, policy="refuse").advance(old, [row(RED)], tenant="")

    (outcome,) = serve(again, policy="refuse").advance(again, [row(GREEN)], tenant="")

    assert (outcome.version, outcome.step, outcome.migrated_from) == (2, 2, None)


def test_replayed_session_equals_one_that_the_new_version_saw_from_the_start(
    serve, old, new
):
    engine = serve(old, policy="replay")
    engine.advance(old, [row(RED, RED)], tenant="")
    engine.advance(old, [row(GREEN)], tenant="")
    fresh = serve(new, policy="replay")
    fresh.advance(new, [row(RED, RED, GREEN, session="seen")], tenant="")

    replayed, seen = fresh.advance(
        new, [row(GREEN, RED), row(GREEN, RED, session="seen")], tenant=""
    )

    assert (replayed.version, replayed.migrated_from, replayed.step) == (2, 1, 5)
    assert replayed.is_continued
    assert not replayed.is_reset
    for name, output in seen.outputs.items():
        assert replayed.outputs[name].tolist() == output.tolist()
    records = [fresh.sessions.get(KEY._replace(session=s)) for s in ("s", "seen")]
    assert records[0].tensors == records[1].tensors
    assert records[0].network == new.fingerprint
    assert records[0].history == records[1].history


def test_replay_happens_once_and_may_go_back(serve, old, new):
    engine = serve(old, new, policy="replay")
    engine.advance(old, [row(RED)], tenant="")

    outcomes = [
        engine.advance(model, [row(RED)], tenant="")[0] for model in (new, new, old)
    ]

    assert [o.migrated_from for o in outcomes] == [1, None, 2]
    assert [o.step for o in outcomes] == [2, 3, 4]


def test_history_too_long_to_keep_cannot_be_replayed(serve, old, new):
    serve(old, policy="replay", history_events=3).advance(
        old, [row(*[RED] * 4)], tenant=""
    )

    (error,) = serve(new, policy="replay").advance(new, [row(RED)], tenant="")

    assert isinstance(error, WrongNetwork)
    assert "history was not kept whole" in error.detail


def test_session_older_than_the_policy_cannot_be_replayed(serve, old, new):
    serve(old).advance(old, [row(RED)], tenant="")
    serve(old, policy="replay").advance(old, [row(RED)], tenant="")

    (error,) = serve(new, policy="replay").advance(new, [row(RED)], tenant="")

    assert "history was not kept whole" in error.detail


def test_events_of_another_schema_cannot_be_replayed(serve, old):
    wider = build_model(2, NEW, WIDER)
    serve(old, policy="replay").advance(old, [row(RED)], tenant="")

    (error,) = serve(wider, policy="replay").advance(wider, [row(RED)], tenant="")

    assert "another input schema" in error.detail


def test_history_is_kept_for_models_with_that_policy_only(serve, old):
    serve(old).advance(old, [row(RED)], tenant="")

    assert serve(old).sessions.get(KEY).history == b""


def test_reset_session_restarts_and_says_so(serve, old, new):
    serve(old).advance(old, [row(RED, RED)], tenant="")

    (outcome,) = serve(old, new, policy="reset").advance(
        new, [row(GREEN, at=2)], tenant=""
    )

    assert (outcome.version, outcome.migrated_from, outcome.is_reset) == (2, 1, True)
    assert (outcome.step, outcome.is_continued) == (1, False)
    assert outcome.outputs["probabilities"].tolist() == [[0.0, 1.0, 0.0]]


def test_step_is_checked_before_a_session_is_reset(serve, old, new):
    serve(old).advance(old, [row(RED, RED)], tenant="")

    (error,) = serve(new, policy="reset").advance(new, [row(GREEN, at=1)], tenant="")

    assert isinstance(error, StepConflict)


def test_refused_session_stays_as_it_was(serve, old, new):
    serve(old).advance(old, [row(RED)], tenant="")

    (error,) = serve(old, new, policy="refuse").advance(new, [row(GREEN)], tenant="")

    assert isinstance(error, WrongNetwork)
    assert serve(old).sessions.get(KEY).step == 1


def test_snapshots_of_another_network_are_dropped(serve, old, new):
    kept = {"policy": "replay", "snapshots": 3}
    serve(old, **kept).advance(old, [row(RED)], tenant="")
    serve(old, **kept).advance(old, [row(RED)], tenant="")

    serve(new, **kept).advance(new, [row(RED)], tenant="")

    assert serve(new).sessions.get(KEY).snapshots == b""


def test_policy_of_a_model_overrides_the_default():
    policies = Policies("refuse", {"taxi": "reset"})

    assert policies.of("taxi") == "reset"
    assert policies.of("nature") == "refuse"
