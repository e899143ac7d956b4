"""Sessions of the Python client: gone, started again and changed."""

import carryover_client
import pytest


def test_session_that_is_gone_starts_again_only_on_request(client, clock):
    client.session("counting", "s").predict(["red"], ttl_seconds=10)
    clock.advance(11)

    with (
        pytest.raises(carryover_client.SessionGone),
        client.session("counting", "s"),
    ):
        pass
    with client.session("counting", "s", start=True) as session:
        assert session.step == 0
        assert [answer["step"] for answer in session.stream(["red", "red"])] == [1, 2]
        assert session.predict(["green"], end=True)["ended"]
    with client.session("counting", "s", start=True) as session:
        assert session.predict(["green"])["probabilities"] == [0, 1, 0]


def test_session_that_is_gone_in_use_starts_again_on_request(client, clock, transport):
    session = client.session("counting", "s", start=True)
    session.predict(["red"], ttl_seconds=10)
    clock.advance(11)
    transport.num_lost = 2  # that it is gone, and that it has started

    answers = [session.predict(iter(["green"]), end=True), session.predict(["red"])]

    assert [answer["step"] for answer in answers] == [1, 1]
    client.session("counting", "s").delete()
    with pytest.raises(carryover_client.SessionGone):
        list(session.stream(["red", "red"]))
    assert [answer["step"] for answer in session.stream(["red", "red"])] == [1, 2]
    clock.advance(101)
    assert session.explain(["red"])["step"] == 1


def test_session_that_another_client_started_is_not_continued_unseen(client, clock):
    session = client.session("counting", "s", start=True)
    session.predict(["red"], ttl_seconds=10)
    clock.advance(11)
    client.session("counting", "s", start=True).predict(["red"] * 2)

    with pytest.raises(carryover_client.StepConflict):
        session.predict(["green", "green"])


def test_session_that_is_gone_in_use_stays_gone_without_request(client, clock):
    session = client.session("counting", "s")
    session.predict(["red"], ttl_seconds=10)
    clock.advance(11)

    for _ in range(2):
        with pytest.raises(carryover_client.SessionGone):
            session.predict(["red"])
        with pytest.raises(carryover_client.SessionGone):
            list(session.stream(["red"]))


def test_memory_of_a_client_gives_what_a_session_gives(client, transport):
    sealed, session = client.sealed("counting"), client.session("counting", "s")
    for event in ("red", "green", "red"):
        same = sealed.predict([event]), session.predict([event])

    assert same[0]["probabilities"] == same[1]["probabilities"]
    assert sealed.step == 3
    again = client.sealed("counting", sealed.token)
    assert again.explain(["red"])["step"] == 4


def test_explained_session_moves_and_a_forecast_stays(client):
    with client.session("days", "s") as session:
        assert session.explain(["wake"], top=1)["layers"] == []
        path = session.forecast(3, ["eat"])["path"]
        again = session.forecast(2, samples=2, seed=1)

    assert len(path["events"]) == 3
    assert len(again["samples"]) == 2
    assert session.reload()["step"] == 1


def test_changed_session_is_where_the_change_left_it(client):
    with client.session("counting", "s") as session:
        for event in ("red", "green"):
            session.predict([event])
        session.fork("t")
        session.rewind(1)
        assert session.predict(["red"])["probabilities"] == [1, 0, 0]
        session.touch(ttl_seconds=7)
        assert session.reload()["idle_seconds"] == 7
        page = client.get("models/counting/sessions", prefix="t")
        assert [entry["step"] for entry in page["sessions"]] == [2]
        session.delete()
        with pytest.raises(carryover_client.SessionGone):
            session.predict(["red"])
