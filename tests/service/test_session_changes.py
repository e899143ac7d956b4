"""`:fork`, `:rewind`, `:touch`: changes that no event makes."""

import itertools

import pytest

from service.engine.shadow import MARK
from service.sessions.lifecycle import NEVER_SEEN
from service.sessions.record import SessionKey, Tombstone
from service.sessions.version_policy import Lifetimes
from tests.assembly import serve
from tests.problems import assert_problem
from tests.service import changes
from tests.service.changes import PATH

engine = pytest.fixture(changes.engine)
send = pytest.fixture(changes.send)


def test_rewound_session_continues_as_if_the_events_had_not_been(client, send):
    for event in ["red", "green", "green"]:
        send("a", event)
    client.post(PATH + "a:fork", json={"to": "b"})

    response = client.post(PATH + "b:rewind", json={"to_step": 1})

    assert response.get_json()["step"] == 1
    assert response.get_json()["last_event"] == "red"
    assert response.get_json()["rewind_steps"] == [1]
    assert send("b", "red")["probabilities"] == [1.0, 0.0, 0.0]
    assert client.get(PATH + "a").get_json()["rewind_steps"] == [1, 2]


def test_session_rewinds_to_every_step_it_lists_and_to_no_other(client, send):
    for _ in range(6):
        send("a", "red")
    assert client.get(PATH + "a").get_json()["rewind_steps"] == [3, 4, 5]

    for step in [0, 1, 2, 7]:
        response = client.post(PATH + "a:rewind", json={"to_step": step})
        problem = assert_problem(response, 409, "snapshot_unavailable")
        assert (problem["step"], problem["steps"]) == (6, [3, 4, 5])
    for step in [6, 5, 4, 3]:
        response = client.post(PATH + "a:rewind", json={"to_step": step})
        assert response.get_json()["step"] == step
        assert response.get_json()["norms"]["short_term_0"] == step


def test_rewinding_cuts_the_history(client, send, services):
    for event in ["red", "green", "red"]:
        send("a", event)

    client.post(PATH + "a:rewind", json={"to_step": 2})

    from service.sessions.record import SessionKey
    from service.sessions.sections import decode_history

    record = services.engine.sessions.get(SessionKey("", "counting", "a"))
    assert decode_history(record.history).events == b"\0\0\0\0\1\0\0\0"


def test_key_of_an_undone_request_is_not_applied_again(client, send):
    body = {"instances": [{"sequence": ["red"], "session": "a"}]}
    keyed = {"Idempotency-Key": '"k"'}
    send("a", "green")
    first = client.post("/v1/models/counting:predict", json=body, headers=keyed)
    client.post(PATH + "a:rewind", json={"to_step": 1})

    repeat = client.post("/v1/models/counting:predict", json=body, headers=keyed)

    assert repeat.data == first.data
    assert repeat.headers["Idempotency-Replayed"] == "true"
    assert client.get(PATH + "a").get_json()["step"] == 1


def test_answer_to_a_step_that_was_undone_is_not_given_for_another(client, send):
    send("a", "red")
    send("a", "red", at=1)
    client.post(PATH + "a:rewind", json={"to_step": 1})
    send("a", "green")

    late = {"sequence": ["red"], "session": "a", "at": 1}
    response = client.post("/v1/models/counting:predict", json={"instances": [late]})

    assert assert_problem(response, 409, "step_conflict")["step"] == 2


def test_touch_postpones_expiry_to_the_instant(client, send, clock):
    send("a", "red")
    clock.advance(99.999)

    touched = client.post(PATH + "a:touch")

    assert touched.get_json()["updated_at"] == "2023-11-14T22:13:20.000Z"
    clock.advance(99.999)
    assert client.get(PATH + "a").status_code == 200
    clock.advance(0.001)
    assert_problem(client.get(PATH + "a"), 410, "session_gone")
    assert_problem(client.post(PATH + "a:touch"), 410, "session_gone")


def test_touch_changes_the_lifetime_of_later_events_too(client, send, clock):
    send("a", "red")

    client.post(PATH + "a:touch", json={"ttl_seconds": 5})

    assert client.get(PATH + "a").get_json()["idle_seconds"] == 5
    send("a", "red")
    clock.advance(5)
    assert_problem(client.get(PATH + "a"), 410, "session_gone")


def test_row_model_and_service_each_set_a_lifetime(clock, model, services):
    lifetimes = Lifetimes(100, 50, {"counting": 40})
    client = serve(
        [model], settings=services.settings, clock=clock, lifetimes=lifetimes
    )

    rows = [{"sequence": ["red"], "session": "a"}]
    rows.append({"sequence": ["red"], "session": "b", "ttl_seconds": 7})
    client.post("/v1/models/counting:predict", json={"instances": rows})

    idle = [client.get(PATH + s).get_json()["idle_seconds"] for s in "ab"]
    assert idle == [40, 7]
    assert lifetimes.of("other") == 100


VERBS = {"fork": {"to": "z"}, "rewind": {"to_step": 1}, "touch": {}}


@pytest.mark.parametrize("verb", VERBS)
def test_changes_to_what_is_not_live_are_distinguished(client, send, verb):
    send("gone", "red", end=True)

    never = client.post(f"{PATH}never:{verb}", json=VERBS[verb])
    gone = client.post(f"{PATH}gone:{verb}", json=VERBS[verb])

    assert_problem(never, 404, "session_not_found")
    assert_problem(gone, 410, "session_gone")


IDS = ["a", "a:fork", "a:fork:fork", ":", "::", ":fork", "a/", "/a", "a/memory"]

IDS += ["memory", "/memory", "memory/memory", "a:touch/memory", "é:\U0001f600", "a b"]

IDS += ["..", ".", "%", "%2F", "?", "#", "a;b", "sessions", "+", "a%3Afork", "\\"]

ADDRESSES = str.maketrans({c: f"%{ord(c):02X}" for c in "%?# /+;\\"})


@pytest.mark.parametrize("session", IDS)
def test_no_id_is_out_of_reach_of_any_call(client, send, session):
    for other in IDS:
        send(other, "green")
    send(session, "red")
    address = PATH + session.translate(ADDRESSES)

    answers = [
        client.get(address),
        client.get(address + "/memory"),
        client.post(address + ":touch"),
        client.post(address + ":fork", json={"to": "new"}),
        client.post(address + ":rewind", json={"to_step": 1}),
        client.delete(address),
    ]

    statuses = [response.status_code for response in answers]
    assert statuses == [200, 200, 200, 201, 200, 200]
    bodies = [response.get_json() for response in answers]
    assert [bodies[k]["step"] for k in range(6)] == [2, 2, 2, 2, 1, 1]
    assert [bodies[k]["session"] for k in (0, 2, 3, 4, 5)] == [
        *[session] * 2,
        "new",
        *[session] * 2,
    ]
    steps = {s: client.get(PATH + s.translate(ADDRESSES)).status_code for s in IDS}
    assert steps == dict.fromkeys(IDS, 200) | {session: 410}


def test_post_without_a_verb_is_no_call(client, send):
    send("a", "red")

    response = client.post(PATH + "a")

    assert_problem(response, 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("fork", b"", "invalid_request"),
        ("fork", b"{}", "invalid_request"),
        ("fork", b'{"to": 1}', "invalid_request"),
        ("fork", b'{"to": ""}', "invalid_request"),
        ("fork", b'{"to": "a\\u0000"}', "invalid_request"),
        ("fork", b'{"to": "b", "ttl_seconds": 0}', "invalid_request"),
        ("fork", b'{"to": "b", "ttl_seconds": NaN}', "invalid_json"),
        ("fork", b'{"to": "b", "form": 1}', "unknown_field"),
        ("rewind", b"{}", "invalid_request"),
        ("rewind", b'{"to_step": -1}', "invalid_request"),
        ("rewind", b'{"to_step": 1.5}', "invalid_request"),
        ("rewind", b'{"to_step": 1e400}', "invalid_request"),
        ("touch", b'{"ttl_seconds": -1}', "invalid_request"),
        ("touch", b'{"ttl_seconds": 1e12}', "invalid_request"),
        ("touch", b"[]", "invalid_request"),
        ("touch", b"{", "invalid_json"),
        ("touch", b"\xff", "invalid_json"),
        ("touch", b"[" * 19_000, "invalid_json"),
    ],
)
def test_bodies_of_another_form_are_refused_and_change_nothing(
    client, send, verb, body, code
):
    send("a", "red")
    before = client.get(PATH + "a").data

    response = client.post(f"{PATH}a:{verb}", data=body)

    if code == "invalid_json":
        assert response.get_json()["code"] in ("invalid_json", "invalid_request")
        assert response.status_code == 400
    else:
        assert_problem(response, 400, code)
    assert client.get(PATH + "a").data == before


def test_random_changes_agree_with_a_list_of_events(client, send):
    """Every sequence of four operations on two sessions, against plain lists."""
    kept: dict[str, list[list[str]]] = {}
    for number, operations in enumerate(itertools.product("rgwf", repeat=4)):
        name = f"s{number}"
        kept[name] = [["red"]]
        send(name, "red")
        for k, operation in enumerate(operations):
            past = kept[name]
            if operation in "rg":
                event = {"r": "red", "g": "green"}[operation]
                past.append([*past[-1], event])
                send(name, event)
            elif operation == "w" and len(past) > 1:
                past.pop()
                step = {"to_step": len(past[-1])}
                assert client.post(f"{PATH}{name}:rewind", json=step).status_code == 200
            elif operation == "f":
                fork = f"{name}-{k}"
                client.post(f"{PATH}{name}:fork", json={"to": fork})
                kept[fork] = [list(one) for one in past]
                name = fork
        expected = [kept[name][-1].count(event) for event in ("red", "green")]
        memory = client.get(f"{PATH}{name}/memory").get_json()["memory"]
        assert memory["short_term_0"][:2] == expected, operations


@pytest.mark.parametrize("change", ["rewind", "import", "fork", "delete"])
def test_shadow_of_a_session_that_changed_otherwise_is_forgotten(
    client, engine, send, change
):
    send("a", "red")
    send("a", "green")
    [found] = engine.sessions.load([SessionKey("", "counting", "a").encode()])
    own = SessionKey("", "counting" + MARK.decode(), "a").encode()
    engine.sessions.save([(own, NEVER_SEEN, found.record)])
    if change == "rewind":
        answer = client.post(PATH + "a:rewind", json={"to_step": 1})
    elif change == "import":
        document = client.get(PATH + "a/memory").get_json()
        headers = {"If-Match": client.get(PATH + "a").headers["ETag"]}
        answer = client.put(PATH + "a/memory", json=document, headers=headers)
    elif change == "fork":
        send("b", "red")
        engine.sessions.delete(SessionKey("", "counting", "a"))
        answer = client.post(PATH + "b:fork", json={"to": "a", "start": True})
    else:
        answer = client.delete(PATH + "a")

    assert answer.status_code in (200, 201), answer.get_json()
    [found] = engine.sessions.load([own])
    assert isinstance(found.record, Tombstone)
