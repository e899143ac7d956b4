"""Requests that a browser sends from pages of other sites, to a service without keys.

Such a page can send a plain POST unasked, but reads no answer without CORS. The routes
are those of the application, so that a new one is covered.
"""

import pytest
from werkzeug.test import Client

from service.api.fast_path import FastPath
from service.api.hooks import find_access
from service.api.responses import answer_crash
from service.app import create_app
from tests.problems import assert_problem

PREDICT = "/v1/models/counting:predict"
ROWS = {"instances": [{"sequence": ["red"], "session": "s"}]}
CROSS = {"Sec-Fetch-Site": "cross-site"}
READING = {"GET", "HEAD"}


@pytest.fixture
def app(services):
    return create_app(services)


@pytest.fixture(params=["flask", "fast path"])
def way(request, app, services):
    if request.param == "flask":
        return app.test_client()
    return Client(FastPath(app.wsgi_app, services, answer_crash))


def changing_routes(app):
    values = {"name": "counting", "version": 1, "label": "stable", "session": "s"}
    values |= {"filename": "index.html", "path": "index.html"}
    for rule in app.url_map.iter_rules():
        if find_access(app, rule.endpoint) == "open":
            continue
        names = {k: values[k] for k in rule.arguments}
        for method in sorted(rule.methods - READING - {"OPTIONS"}):
            yield (
                app.url_map.bind("").build(rule.endpoint, names, method),
                method,
            )


def test_no_route_changes_anything_for_a_page_of_another_site(app, way):
    routes = set(changing_routes(app))
    assert len(routes) > 10
    for address, method in routes:
        response = way.open(address, method=method, json=ROWS, headers=CROSS)
        problem = assert_problem(response, 403, "forbidden")
        assert f"a {method} that a browser sends" in problem["detail"], address


def test_refused_request_leaves_no_session(way):
    way.post(PREDICT, json=ROWS, headers=CROSS)
    assert way.get("/v1/models/counting/sessions").json["sessions"] == []


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none", None])
def test_pages_of_the_service_and_programs_are_answered(way, site):
    headers = {"Sec-Fetch-Site": site} if site else {}
    assert way.post(PREDICT, json=ROWS, headers=headers).status_code == 200


def test_other_sites_may_link_to_the_service(way):
    assert way.get("/v1/models/counting/sessions", headers=CROSS).status_code == 200
