"""Client-held memory over HTTP: the owner of a token, and how often it is good."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pytest

from service.errors import StoreFull
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Policies, Retention
from tests.assembly import SECRET, serve
from tests.fakes import counting_model
from tests.problems import assert_problem, assert_problem_body

PREDICT = "/v1/models/{}:predict"


def other_model():
    model = counting_model()
    manifest = msgspec.structs.replace(model.manifest, name="other")
    return replace(model, manifest=manifest)


def create_two_versions(services, clock):
    """Create a strict service of two versions: the newer one resets sequences."""
    return serve(
        [counting_model(), counting_model(2, "cd" * 32)],
        settings=services.settings,
        clock=clock,
        sessions=services.engine.sessions,
        seal=TokenCipher([SECRET], True),
        retention=Retention(policies=Policies("reset")),
    )


def create_client(services, clock, *, is_strict):
    return serve(
        [counting_model(), other_model()],
        settings=services.settings,
        clock=clock,
        sessions=services.engine.sessions,
        seal=TokenCipher([SECRET], is_strict),
    )


@pytest.fixture
def loose(services, clock):
    return create_client(services, clock, is_strict=False)


@pytest.fixture
def strict(services, clock):
    return create_client(services, clock, is_strict=True)


def send(client, memory, *events, model="counting", **options):
    row = {"sequence": list(events), "memory": memory, **options}
    return client.post(PREDICT.format(model), json={"instances": [row]})


def advance(client, memory, *events, **options):
    response = send(client, memory, *events, **options)
    assert response.status_code == 200, response.get_json()
    return response.get_json()["predictions"][0]


def test_each_kind_of_useless_token_has_its_own_code(strict, clock):
    token = advance(strict, None, "red")["memory"]
    tampered = token[:-9] + ("A" if token[-9] != "A" else "B") + token[-8:]
    late = advance(strict, token, "green")["memory"]

    assert_problem(send(strict, tampered, "red"), 400, "token_invalid")
    foreign = send(strict, token, "red", model="other")
    assert assert_problem(foreign, 400, "token_foreign")["model"] == "counting"
    replayed = send(strict, token, "red")
    assert assert_problem(replayed, 409, "token_replayed")["step"] == 2
    clock.advance(50)
    assert_problem(send(strict, late, "red"), 410, "token_expired")


def test_without_the_setting_an_old_token_opens_each_time_that_it_comes(loose):
    token = advance(loose, None, "red")["memory"]

    steps = [advance(loose, token, "red")["step"] for _ in range(3)]

    assert steps == [2, 2, 2]


def test_request_with_a_lost_answer_can_be_repeated(strict):
    token = advance(strict, None, "red")["memory"]

    first = advance(strict, token, "green")
    again = advance(strict, token, "green")

    assert first["probabilities"] == again["probabilities"]
    assert (first["step"], again["step"]) == (2, 2)
    assert advance(strict, first["memory"], "red")["step"] == 3
    assert_problem(send(strict, token, "green"), 409, "token_replayed")
    # Sealed at the same step as the other; what went on from that one counts.
    assert_problem(send(strict, again["memory"], "green"), 409, "token_replayed")


def test_refused_row_does_not_use_its_token_up(strict):
    token = advance(strict, None, "red")["memory"]

    failed = send(strict, token, "poison")

    assert_problem(failed, 500, "non_finite")
    assert advance(strict, token, "red")["step"] == 2


def test_of_two_uses_of_a_token_at_once_one_is_good(strict):
    for _ in range(10):
        token = advance(strict, None, "red")["memory"]

        with ThreadPoolExecutor(2) as pool:
            uses = [["green"], ["red", "red"]]
            sent = [pool.submit(send, strict, token, *events) for events in uses]
            answers = [one.result() for one in sent]

        assert sorted(answer.status_code for answer in answers) == [200, 409]


def test_two_rows_of_a_request_with_one_token_are_two_uses(strict):
    token = advance(strict, None, "red")["memory"]
    rows = [{"sequence": [event], "memory": token} for event in ("red", "green")]

    response = strict.post(PREDICT.format("counting"), json={"instances": rows})

    good, bad = response.get_json()["predictions"]
    assert good["step"] == 2
    assert_problem_body(bad, 409, "token_replayed")


def test_sequences_begun_at_once_are_chains_of_their_own(strict):
    tokens = [advance(strict, None, "red")["memory"] for _ in range(2)]

    advance(strict, tokens[0], "red", "red")

    assert advance(strict, tokens[1], "green")["step"] == 2


def test_old_token_is_refused_as_long_as_it_would_open(strict, services, clock):
    token = advance(strict, None, "red", ttl_seconds=5000)["memory"]
    advance(strict, token, "red", ttl_seconds=1)

    clock.advance(4999)
    services.engine.sessions.sweep(100)

    assert_problem(send(strict, token, "green"), 409, "token_replayed")


def test_row_with_a_chain_that_cannot_be_kept_gets_no_token(strict, services):
    def refuse(writes):
        raise StoreFull("the store has no room.")

    token = advance(strict, None, "red")["memory"]
    save, services.engine.sessions.save_encoded = (
        services.engine.sessions.save_encoded,
        refuse,
    )
    refused = send(strict, token, "green")
    services.engine.sessions.save_encoded = save

    assert_problem(refused, 503, "store_full")
    assert advance(strict, token, "red")["step"] == 2


def test_token_that_a_reset_used_up_is_refused_in_every_version(services, clock):
    client, first = create_two_versions(services, clock), "counting/versions/1"
    token = advance(client, None, "red", model=first, ttl_seconds=5000)["memory"]

    reset = advance(client, token, "green", ttl_seconds=1)
    again = advance(client, token, "green")

    assert (reset["reset"], reset["step"], again["step"]) == (True, 1, 1)
    clock.advance(4000)  # longer than the new token is good
    services.engine.sessions.sweep(100)
    for model, event in [("counting", "red"), (first, "red"), (first, "green")]:
        refused = send(client, token, event, model=model)
        assert_problem(refused, 409, "token_replayed")


def test_repeated_reset_gives_tokens_of_one_sequence(services, clock):
    client, first = create_two_versions(services, clock), "counting/versions/1"
    token = advance(client, None, "red", model=first)["memory"]
    tokens = [advance(client, token, "green")["memory"] for _ in range(2)]

    assert advance(client, tokens[0], "red")["step"] == 2
    assert_problem(send(client, tokens[1], "green"), 409, "token_replayed")


def test_token_that_was_continued_is_not_reset(services, clock):
    client, first = create_two_versions(services, clock), "counting/versions/1"
    token = advance(client, None, "red", model=first)["memory"]
    advance(client, token, "green", model=first)

    assert_problem(send(client, token, "green"), 409, "token_replayed")


def test_new_token_of_a_reset_is_good_as_long_as_it_was_given(services, clock):
    client, first = create_two_versions(services, clock), "counting/versions/1"
    token = advance(client, None, "red", model=first)["memory"]
    token = advance(client, token, "green", ttl_seconds=5000)["memory"]
    advance(client, token, "red", ttl_seconds=1)

    clock.advance(4999)
    services.engine.sessions.sweep(100)

    assert_problem(send(client, token, "green"), 409, "token_replayed")


def test_chains_are_no_sessions(strict):
    advance(strict, None, "red")

    listed = strict.get("/v1/models/counting/sessions").get_json()
    assert listed["sessions"] == []
