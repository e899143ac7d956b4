"""Migration of memories when a new version is served."""

import json
from dataclasses import replace

import numpy as np
import pytest

from service.engine.rows import Row
from service.errors import SessionLive, StepConflict, WrongNetwork
from service.registry.catalog import Catalog
from service.registry.encoding.events import build_encoder
from service.sessions.record import SessionKey
from service.sessions.version_policy import Policies, Retention
from tests.assembly import build_app, build_engine
from tests.fakes import CountingRuntime, counting_model
from tests.problems import assert_problem, assert_problem_body

OLD, NEW = "ab" * 32, "cd" * 32
RED, GREEN = 0, 1
WIDER = ("green", "red", "blue")
KEY = SessionKey("", "counting", "s")


class DoublingRuntime(CountingRuntime):
    """Counts every event twice: a memory no other network has made."""

    def run(self, signature, tensors):
        halved = tensors["short_term_0"] / 2
        results = super().run(signature, {**tensors, "short_term_0": halved})
        return results | {"short_term_0": 2 * results["short_term_0"]}


def build_model(version, network, vocabulary=CountingRuntime.VOCABULARY):
    model = counting_model(version=version, network=network)
    schema = {"kind": "event", "vocabulary": list(vocabulary)}
    manifest = model.manifest
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    fields |= {"input": schema, "output": {**manifest.output, "labels": vocabulary}}
    runtime = DoublingRuntime() if network == NEW else CountingRuntime()
    return replace(
        model,
        manifest=type(manifest)(**fields),
        runtime=runtime,
        encoder=build_encoder(schema, max_events=50),
    )


@pytest.fixture
def old():
    return build_model(1, OLD)


@pytest.fixture
def new():
    return build_model(2, NEW)


@pytest.fixture
def serve(engine, clock):
    """Build an engine over the same sessions, as a restart with other models does."""

    def build(*models, policy="pin", **retention):
        kept = Retention(policies=Policies(policy), **retention)
        catalog, sessions = Catalog(models), engine.sessions
        return build_engine(clock, sessions=sessions, retention=kept, catalog=catalog)

    return build


def row(*events, **options):
    return Row(np.array(events, "int32"), **{"session": "s", **options})


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


@pytest.fixture
def visit(serve, old):
    """POST to a service with given versions and policy, over the same sessions."""

    def post(*models, rows, policy="pin", version=None, headers=None, **body):
        app = build_app(models, engine=serve(*models, policy=policy))
        at = f"/versions/{version}" if version else ""
        return app.test_client().post(
            f"/v1/models/counting{at}:predict",
            json={"instances": rows, **body},
            headers=headers or {},
        )

    return post


RED_ROW = {"sequence": ["red"], "session": "s"}


def test_answer_names_the_version_that_advanced_its_rows(visit, old, new):
    visit(old, rows=[RED_ROW])

    pinned = visit(old, new, rows=[RED_ROW]).get_json()
    mixed = visit(old, new, rows=[RED_ROW, {**RED_ROW, "session": "new"}]).get_json()

    assert pinned["model_version"] == "1"
    assert "model_version" not in pinned["predictions"][0]
    assert mixed["model_version"] == "2"
    assert mixed["predictions"][0]["model_version"] == "1"
    assert "model_version" not in mixed["predictions"][1]


def test_answer_names_where_its_memory_came_from(visit, old, new):
    visit(old, rows=[RED_ROW], policy="replay")

    first = visit(new, rows=[RED_ROW], policy="replay").get_json()["predictions"][0]
    second = visit(new, rows=[RED_ROW], policy="replay").get_json()["predictions"][0]

    assert (first["migrated_from"], first["step"]) == ("1", 2)
    assert "migrated_from" not in second
    assert "reset" not in first


def test_answer_says_that_a_session_was_reset(visit, old, new):
    visit(old, rows=[RED_ROW])

    answer = visit(new, rows=[RED_ROW], policy="reset").get_json()["predictions"][0]

    assert (answer["migrated_from"], answer["reset"], answer["step"]) == ("1", True, 1)


def test_address_that_names_a_version_is_bound_to_it(visit, old, new):
    visit(old, rows=[RED_ROW])

    refused = visit(old, new, rows=[RED_ROW], version=2)
    served = visit(old, new, rows=[RED_ROW], version=1)

    assert_problem(refused, 409, "wrong_network")
    assert served.get_json()["model_version"] == "1"


def test_pinned_session_reads_events_by_its_own_vocabulary(visit, old):
    wider = build_model(2, NEW, WIDER)
    visit(old, rows=[RED_ROW])

    pinned = visit(old, wider, rows=[RED_ROW], top=1).get_json()
    unknown = visit(old, wider, rows=[{"sequence": ["blue"], "session": "s"}])

    assert pinned["predictions"][0]["probabilities"] == [1.0, 0.0, 0.0]
    assert pinned["labels"] == ["red", "green", "poison"]
    assert pinned["predictions"][0]["top"][0]["label"] == "red"
    assert_problem(unknown, 400, "unknown_event")


def test_rows_of_other_labels_name_them(visit, old):
    wider = build_model(2, NEW, WIDER)
    visit(old, rows=[RED_ROW])

    body = visit(old, wider, rows=[RED_ROW, {**RED_ROW, "session": "new"}]).get_json()

    assert body["labels"] == list(WIDER)
    assert body["predictions"][0]["labels"] == ["red", "green", "poison"]


def test_repeat_is_the_same_to_the_byte_after_a_new_version_came(visit, old, new):
    headers = {"Idempotency-Key": '"k"'}
    first = visit(old, rows=[RED_ROW], headers=headers)

    second = visit(old, new, rows=[RED_ROW], headers=headers, policy="reset")
    third = visit(new, rows=[RED_ROW], headers=headers, policy="reset")

    assert third.data == second.data == first.data
    assert third.headers["Idempotency-Replayed"] == "true"


def test_migrating_answer_can_be_repeated(visit, old, new):
    headers = {"Idempotency-Key": '"k"'}
    visit(old, rows=[RED_ROW])
    first = visit(new, rows=[RED_ROW], headers=headers, policy="reset")

    second = visit(new, rows=[RED_ROW], headers=headers, policy="reset")

    assert second.data == first.data
    assert json.loads(first.data)["predictions"][0]["migrated_from"] == "1"


def test_one_refused_session_spoils_no_other(visit, old, new):
    visit(old, rows=[RED_ROW])

    body = visit(new, rows=[RED_ROW, {**RED_ROW, "session": "new"}]).get_json()

    assert_problem_body(body["predictions"][0], 409, "wrong_network")
    assert body["predictions"][1]["step"] == 1
