"""Every route of the application, a body for each, and a service to ask."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from werkzeug.test import Client

from service.api.fast_path import ROUTES, FastPath
from service.api.hooks import find_access
from service.api.responses import answer_crash
from service.app import create_app
from service.registry.catalog import Catalog
from service.registry.model_repository import Repository
from service.sessions.tokens.cipher import TokenCipher
from service.sessions.version_policy import Retention
from service.stores.in_process import InProcessStore
from tests.assembly import SECRET, build_services
from tests.fakes import FakeClock, counting_model
from tests.keys import keyed
from tests.service.test_tenants_apart import SurprisedRuntime

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PREDICT = "/v1/models/counting:predict"
MEMORY = {"network": "ab" * 16, "step": 9, "memory": {"short_term_0": [9, 0, 0]}}
TENSOR = {"name": "sequence", "datatype": "BYTES", "shape": [1, 1], "data": ["red"]}


def rows(**options):
    return lambda **row: {"instances": [{"sequence": ["red"], **row}], **options}


def infer(**row):
    names = {"session": "sequence_id", "memory": "memory"}
    return {"inputs": [TENSOR], "parameters": {names[k]: row[k] for k in row}}


# By view: what a call sends, given a row's session or memory.
BODIES = {
    "predict.predict": rows(),
    "predict.explain": rows(),
    "forecast.forecast_rows": rows(horizon=2),
    "stream.stream": lambda **row: {"sequence": ["red"], **row},
    "v2.infer": infer,
    "session_changes.fork": lambda **row: {"to": "other"},
    "session_changes.rewind": lambda **row: {"to_step": 1},
    "session_changes.touch": lambda **row: {},
    "session_memory.import_": lambda **row: MEMORY,
}

KEYS = {"acme": "key-a", "umbrella": "key-u", "ops": "key-o"}
TENANTS = keyed(("acme", "key-a"), ("umbrella", "key-u"), ("ops", "key-o", {"admin"}))


class World:
    """A service with keys, and both ways into it."""

    def __init__(self, folder, store=None, *, has_chains=False):
        self.clock = FakeClock()
        self.store = store or InProcessStore()
        model = counting_model()
        output = model.manifest.output | {"kind": "next_event"}
        manifest = msgspec.structs.replace(model.manifest, output=output)
        model = replace(model, manifest=manifest, runtime=SurprisedRuntime())
        self.catalog = Catalog([model])
        self.folder = folder
        repository = Repository(self.catalog, folder, None, state=folder / "state")
        services = build_services(
            self.catalog,
            settings={"CARRYOVER_MODELS": str(folder)},
            tenants=TENANTS,
            repository=repository,
            clock=self.clock,
            store=self.store,
            seal=TokenCipher([SECRET], has_chains),
            retention=Retention(snapshots=4),
        )
        self.app = create_app(services)
        self.ways = {
            "flask": self.app.test_client(),
            "shortcut": Client(FastPath(self.app.wsgi_app, services, answer_crash)),
        }

    def send(
        self, route, tenant, session="s", way="flask", headers=(), data=None, **row
    ):
        """Make a route's call; the whole answer, as bytes on the wire have it."""
        rule, method = route
        values = {"name": "counting", "version": 1, "label": "stable"}
        values |= {"session": session, "filename": "index.html", "path": "index.html"}
        address = self.app.url_map.bind("").build(
            rule.endpoint, {k: values[k] for k in rule.arguments}, method
        )
        body = BODIES.get(rule.endpoint, dict)
        response = self.ways[way].open(
            fill(rule, values) or address,
            method=method,
            data=data or json.dumps(body(**(row or {"session": session}))),
            headers={
                "X-API-Key": KEYS.get(tenant, ""),
                "X-Request-Id": "same",
                **dict(headers),
            },
        )
        # Two calls may be on both sides of a second.
        headers = [pair for pair in response.headers if pair[0] != "Date"]
        return response.status, sorted(headers), response.data

    def begin(self, tenant, session="s", events=1):
        for _ in range(events):
            body = rows()(session=session)
            headers = {"X-API-Key": KEYS[tenant]}
            self.ways["flask"].post(PREDICT, json=body, headers=headers)

    def access(self, route):
        return find_access(self.app, route[0].endpoint)


def fill(rule, values):
    """Write the address of this very rule: `build` takes any of the endpoint's."""
    text = rule.rule
    for name in rule.arguments:
        at = text.index(f":{name}>") if f":{name}>" in text else text.index(f"<{name}>")
        begin = text.rindex("<", 0, at + 1)
        end = text.index(">", at) + 1
        text = text[:begin] + str(values[name]) + text[end:]
    return text


def make_world(folder, store=None, **options):
    (folder / "counting").mkdir(exist_ok=True, parents=True)
    (folder / "counting" / "labels.json").write_text('{"stable": 1}')
    (folder / "state").mkdir(exist_ok=True)
    return World(folder, store, **options)


def all_routes():
    """Every rule and method of the application, and the fast path's."""
    with tempfile.TemporaryDirectory() as folder:
        app = make_world(Path(folder)).app
    return [
        pytest.param((rule, method), id=f"{method} {rule.rule}")
        for rule in app.url_map.iter_rules()
        for method in METHODS
        if method in rule.methods
    ]


ROUTES_OF_APP = all_routes()
SHORT = set(ROUTES.values())


def ways_of(route):
    return ["flask", "shortcut"] if route[0].rule in SHORT else ["flask"]
