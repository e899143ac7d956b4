"""Differential: labels, and version 0, as TensorFlow Serving has them."""

import pytest

from service.registry.catalog import Catalog
from tests.assembly import serve
from tests.fakes import counting_model
from tests.problems import assert_problem
from tests.service import serving_calls
from tests.service.serving_calls import BODIES

client = pytest.fixture(serving_calls.client)


def test_moved_label_is_followed_without_a_restart(client, tmp_path):
    (tmp_path / "counting" / "labels.json").write_text('{"stable": 2}')

    status = client.get("/v1/models/counting/labels/stable").get_json()

    assert status["model_version_status"][0]["version"] == "2"


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"stable": "1"}', b'{"stable": 0}', b'{"\xff": 1}']
)
def test_labels_that_cannot_be_read_change_none(client, tmp_path, text, caplog):
    path = "/v1/models/counting/labels/stable"
    file = tmp_path / "counting" / "labels.json"
    good = file.read_text()

    file.write_bytes(text)
    response = client.get(path)
    assert "labels.json" in assert_problem(response, 400, "unknown_label")["detail"]
    file.write_text(good)
    assert client.get(path).status_code == 200
    file.write_bytes(text)
    for _ in range(2):
        assert client.get(path).status_code == 200
    assert caplog.text.count("cannot be read") == 2


def test_labels_that_were_never_there_do_not_hide_why_they_cannot_be_read(
    client, tmp_path
):
    path = "/v1/models/counting/labels/stable"
    file = tmp_path / "counting" / "labels.json"
    file.unlink()
    assert_problem(client.get(path), 400, "unknown_label")

    file.write_text("[")

    detail = assert_problem(client.get(path), 400, "unknown_label")["detail"]
    assert "cannot be read" in detail


def test_names_and_labels_keep_their_case(client):
    assert client.get("/V1/models/Counting").status_code == 404
    assert client.get("/V1/models/counting/labels/Stable").status_code == 400


def test_version_0_is_the_newest_for_every_call_that_takes_a_version(client):
    rules = [
        rule
        for rule in client.application.url_map.iter_rules()
        if "version" in rule.arguments
    ]
    assert len(rules) > 8

    for rule in rules:
        (method,) = rule.methods - {"HEAD", "OPTIONS"}
        path = rule.rule.replace("<model:name>", "counting")
        answers = [
            client.open(
                path.replace("/versions/<version:version>", chosen),
                method=method,
                json=BODIES.get(path.rpartition("/")[2]),
            )
            for chosen in ("/versions/0", "")
        ]

        assert answers[0].status_code == answers[1].status_code, rule
        assert answers[0].data == answers[1].data, rule


def test_version_0_lets_a_session_stay_on_its_version(services, clock):
    models = Catalog([counting_model(1), counting_model(2, network="cd" * 32)])
    client = serve(
        models,
        settings=services.settings,
        clock=clock,
        sessions=services.engine.sessions,
    )
    row = {"instances": [{"sequence": ["red"], "session": "s"}]}
    client.post("/v1/models/counting/versions/1:predict", json=row)

    stayed = client.post("/v1/models/counting/versions/0:predict", json=row).get_json()

    assert (stayed["model_version"], stayed["predictions"][0]["step"]) == ("1", 2)
