"""No request stops the event loop: every view, asked for the most that it takes.

Derived from the application's routes: a view without a request in `HEAVY` is asked
plainly, or sent a body of nearly the longest that is read.
"""

import http.client
import json
import shutil
import struct
from itertools import chain

import pytest

from service.api.sessions.listing import MAX_PAGE
from tests.assembly import build_app
from tests.networks import VOCABULARY
from tests.servers import Server

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

MAX_MILLISECONDS = 50
NUM_TRIES = 10  # of which the best counts: a busy machine stops anything
# What a request may take longer is not what is tried.
TIMEOUT_SECONDS = 3
NUM_ROWS, NUM_EVENTS = 1024, 390
NUM_NAMES = NUM_ROWS * NUM_EVENTS
NUM_SESSIONS = 10_000
EVENT = "tree"
# A model that can forecast itself, and an event of it.
NEXT, NEXT_EVENT = "next-lstm", VOCABULARY[0]
LONG = [EVENT] * NUM_EVENTS
ENCODED = struct.pack("<I", len(EVENT)) + EVENT.encode()
HEADER_LENGTH = "Inference-Header-Content-Length"


def rows(row, num_rows=NUM_ROWS, **options):
    return json.dumps({"instances": [row(k) for k in range(num_rows)]} | options)


def bad(first):
    """A large body with something else as its first row."""
    return rows(lambda k: LONG if k else first)


def columns(**others):
    return json.dumps({"inputs": {"sequence": [LONG] * NUM_ROWS, **others}})


def infer(data, shape=(NUM_ROWS, NUM_EVENTS), **parameters):
    tensor = {"name": "sequence", "shape": shape, "datatype": "BYTES"}
    tensor |= {"data": data} if data else {"parameters": parameters}
    return json.dumps({"inputs": [tensor], "parameters": parameters if data else {}})


V2_ALL = {"return": "all"}
ALL = {"return": "all", "top": 3, "threshold": 0.5}
MANY = [[EVENT] * 10_000] * 10
BINARY = infer(None, binary_data_size=NUM_NAMES * len(ENCODED))
SESSIONS = [f"column {k}" for k in range(NUM_ROWS)]
NUMBERS = [0.5] * 700_000
# Very many containers, and what lies deep: written without spaces, as an attacker does.
HOSTILE = ["[" + "{}," * 300_000 + "1]", "[[[[[" + "1," * 700_000 + "1]]]]]"]
HOSTILE += ['{"' + '":1,"'.join(map(str, range(200_000))) + '":1}']
# Many small events that are deep in themselves: in one short row, and in a long one.
DEEP = "[" * 12 + '"red"' + "]" * 12 + ","
SHORT_DEEP, LONG_DEEP = ("[" + DEEP * k + '"red"]' for k in (33_000, 130_000))


def wrap(row, options=""):
    """Make a body of one row, written already."""
    return f'{{{options}"instances":[{row}]}}'


# By view: what it is asked for.
HEAVY = {
    "predict.predict": {
        "bare rows": lambda: rows(lambda k: LONG),
        "sessions": lambda: rows(lambda k: {"sequence": LONG[:9], "session": f"l{k}"}),
        "a bad row": lambda: bad([*LONG, "nonsense"]),
        "a row that is a number": lambda: bad(5),
        "a row with NaN": lambda: bad([float("nan")]),
        "a row of half a surrogate pair": lambda: bad(["\ud800"]),
        "not JSON": lambda: bad([])[:-1],
        "empty objects": lambda: wrap(HOSTILE[0]),
        "deep numbers": lambda: wrap(HOSTILE[1]),
        "many unknown fields": lambda: wrap(HOSTILE[2]),
        "deep events": lambda: wrap(SHORT_DEEP),
        "many deep events": lambda: wrap(LONG_DEEP),
        "one long row": lambda: rows(lambda k: [EVENT] * NUM_NAMES, 1),
        "one long row of a session": lambda: rows(
            lambda k: {"session": "long", "sequence": [EVENT] * NUM_NAMES}, 1
        ),
        "a million rows": lambda: rows(lambda k: 1, 1_000_000),
        "columns": lambda: columns(session=SESSIONS),
        "columns of deep events": lambda: f'{{"inputs":{LONG_DEEP}}}',
        "columns that are not JSON": lambda: columns()[:-1],
        "a million columns": lambda: json.dumps({"inputs": [1] * 1_000_000}),
        "all outputs": lambda: json.dumps({"instances": MANY} | ALL),
        "all outputs as columns": lambda: json.dumps({"inputs": MANY} | ALL),
    },
    "predict.explain": {
        "1,000 events": lambda: rows(lambda k: [EVENT] * 1000, 1),
        "a large body": lambda: rows(lambda k: LONG),
    },
    "stream.stream": {
        "10,000 lines": lambda: f'["{EVENT}"]\n' * 10_000,
        "long lines": lambda: (json.dumps([EVENT] * 10_000) + "\n") * 4,
        "one long line": lambda: json.dumps([EVENT] * NUM_NAMES) + "\n",
        "one line of empty objects": lambda: HOSTILE[0] + "\n",
        "one line of deep events": lambda: SHORT_DEEP + "\n",
        "one line of NaN": lambda: json.dumps([float("nan")] * NUM_NAMES) + "\n",
    },
    "forecast.forecast_rows": {
        "a long path": lambda: rows(lambda k: [EVENT], 1, horizon=5_000, samples=1),
        "many samples": lambda: rows(lambda k: [EVENT], 10, horizon=10, samples=90),
        "a large body": lambda: rows(lambda k: LONG, horizon=1),
        "empty objects": lambda: wrap(HOSTILE[0], '"horizon":1,'),
        "deep events": lambda: wrap(SHORT_DEEP, '"horizon":1,'),
        "many deep events": lambda: wrap(LONG_DEEP, '"horizon":1,'),
        "one long row": lambda: rows(lambda k: [EVENT] * NUM_NAMES, 1, horizon=1),
        "not JSON": lambda: bad([])[:-1],
    },
    "v2.infer": {
        "flat": lambda: infer([EVENT] * NUM_NAMES),
        "nested": lambda: infer([LONG] * NUM_ROWS),
        "empty objects": lambda: infer([1], (1, 1)).replace("[1]", HOSTILE[0]),
        "deep events": lambda: infer([1], (1, 1)).replace("[1]", SHORT_DEEP),
        "many deep events": lambda: infer([1], (1, 1)).replace("[1]", LONG_DEEP),
        "not JSON": lambda: infer([EVENT] * NUM_NAMES)[:-1],
        "all outputs": lambda: infer(list(chain(*MANY)), (10, 10_000), **V2_ALL),
        "binary": lambda: BINARY.encode() + ENCODED * NUM_NAMES,
    },
    "session_memory.import_": {
        "many numbers": lambda: json.dumps({"memory": {"short_term_0": NUMBERS}})
    },
}
QUERIES = {"sessions.list_sessions": f"?limit={MAX_PAGE}"}
# Has no effect otherwise.
BEFORE = {"v2_repository.load": "/v2/repository/models/nature/unload"}
AFTER = {"v2_repository.unload": "/v2/repository/models/nature/load"}


def copy_models(bundled, exported, folder):
    """Copy a bundled model, and another one that can forecast itself."""
    shutil.copytree(bundled / "nature", folder / "nature")
    shutil.copytree(exported[0] / NEXT, folder / NEXT)
    return folder


@pytest.fixture(scope="module")
def server(bundled, exported, tmp_path_factory):
    home = tmp_path_factory.mktemp("heartbeat")
    with Server(
        copy_models(bundled, exported, home / "models"),
        home,
        "tests.end_to_end.heartbeat_app:app",
        workers=1,
        runtime="litert",
        request_timeout_seconds=TIMEOUT_SECONDS,
        log_level="error",
    ) as running:
        for start in range(0, NUM_SESSIONS, NUM_ROWS):
            names = [f"s{start + k}" for k in range(NUM_ROWS)]
            sessions = [{"sequence": [EVENT], "session": name} for name in names]
            running.predict("nature", *sessions).raise_for_status()
        yield running


def list_routes():
    """One route of each view: the shortest, which may be the short way."""
    app = build_app([])
    routes = {}
    for rule in app.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            known = routes.setdefault((rule.endpoint, method), rule)
            if len(rule.arguments) < len(known.arguments):
                routes[rule.endpoint, method] = rule
    return app, routes


APP, ROUTES = list_routes()
OTHERS = {
    "GET": {"nothing": lambda: None},
    "POST": {"a large body": lambda: json.dumps({"to": NUMBERS})},
}
CASES = [
    pytest.param(rule, method, heavy, id=f"{endpoint} {method} {what}")
    for (endpoint, method), rule in sorted(ROUTES.items())
    for what, heavy in HEAVY.get(endpoint, OTHERS.get(method, OTHERS["GET"])).items()
]


def send(server, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=100)
    connection.request(method, path, body, dict(headers))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def post_where(server, calls, endpoint):
    if endpoint in calls:
        send(server, "POST", calls[endpoint])


def build_path(rule):
    values = {"name": "nature", "version": 1, "label": "stable", "session_id": "s1"}
    values |= {"path": "index.html", "filename": "index.html"}
    if rule.endpoint.startswith("forecast."):
        values["name"] = NEXT
    wanted = {name: values.get(name, "s1") for name in rule.arguments}
    return rule.build(wanted)[1] + QUERIES.get(rule.endpoint, "")


def test_views_of_the_requests_exist():
    assert HEAVY.keys() | QUERIES.keys() <= {endpoint for endpoint, _ in ROUTES}


@pytest.mark.parametrize(("rule", "method", "heavy"), CASES)
def test_no_request_stops_the_loop(server, rule, method, heavy):
    endpoint, path = rule.endpoint, build_path(rule)
    body = heavy()
    if endpoint.startswith("forecast."):
        body = body.replace(EVENT, NEXT_EVENT)
    is_binary = isinstance(body, bytes)
    headers = {HEADER_LENGTH: str(len(BINARY))} if is_binary else {}
    stops = []
    while len(stops) < NUM_TRIES and (not stops or min(stops) > MAX_MILLISECONDS):
        post_where(server, BEFORE, endpoint)
        send(server, "GET", "/stopped")
        status, content = send(server, method, path, body, headers)
        stops.append(float(send(server, "GET", "/stopped")[1]))
        post_where(server, AFTER, endpoint)

    assert status != 500, content[:500]
    # A refusal for another reason would prove nothing.
    assert status not in (401, 403)
    assert endpoint not in HEAVY or status != 404
    assert min(stops) <= MAX_MILLISECONDS
