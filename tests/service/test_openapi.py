"""The OpenAPI document: valid, complete, and its examples work."""

import re
from dataclasses import replace

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.api.openapi.document import EXAMPLES, RENAMED, TAGS
from service.api.openapi.operation import OPERATIONS, PAGES
from service.app import create_app
from tests.assembly import build_engine


@pytest.fixture
def document(client):
    return client.get("/openapi.json").get_json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def fill(path):
    """Put examples in the place of an address's variables."""
    values = {RENAMED.get(name, name): value for name, value in EXAMPLES.items()}
    values["model"] = "counting"
    return re.sub(r"{(\w+)}", lambda found: str(values[found[1]]), path)


def test_document_is_valid_openapi(document):
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_in_the_document(client, document):
    described = {(path, method) for path, method, _ in operations(document)}

    for rule in client.application.url_map.iter_rules():
        if rule.endpoint.startswith(PAGES):
            continue
        path = re.sub(
            r"<(?:\w+(?:\(.*?\))?:)?(\w+)>",
            lambda v: f"{{{RENAMED.get(v[1], v[1])}}}",
            rule.rule,
        )
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert (path, method.lower()) in described


def test_every_view_declares_what_it_takes_and_answers(client):
    app = client.application
    undeclared = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if app.view_functions[rule.endpoint] not in OPERATIONS
        and not rule.endpoint.startswith(PAGES)
    }

    assert not undeclared, "decorate these views with @describes"


def test_every_operation_has_a_name_of_its_own_a_group_and_a_summary(document):
    names = [operation["operationId"] for *_, operation in operations(document)]

    assert len(set(names)) == len(names)
    for *_, operation in operations(document):
        assert set(operation["tags"]) <= TAGS.keys()
        assert operation["summary"].endswith(".")


def test_sections_for_programmers_are_left_out_of_descriptions(client, document):
    views = client.application.view_functions.values()
    assert any("Raises:" in (view.__doc__ or "") for view in views)

    for path, _, operation in operations(document):
        assert "Raises:" not in operation["summary"], path
        assert "Raises:" not in operation.get("description", ""), path


@pytest.fixture
def forgetful(services, clock):
    """Give a client of a service that remembers nothing yet, at every call."""

    def begin():
        return create_app(replace(services, engine=build_engine(clock))).test_client()

    return begin


def test_examples_work_and_are_answered_as_described(forgetful, document):
    executed = 0
    for path, method, operation in operations(document):
        for media_type, content in (
            operation.get("requestBody", {}).get("content", {}).items()
        ):
            for name, example in content.get("examples", {}).items():
                if "label" in path:
                    continue  # labels are a file's, which these tests have not
                response = forgetful().open(
                    fill(path),
                    method=method,
                    json=example["value"],
                    content_type=media_type,
                )

                assert response.status_code == 200, (path, name, response.get_json())
                assert_conforms(document, operation, response)
                executed += 1
    assert executed > 10


def assert_conforms(document, operation, response):
    """Check an answer against the schema of its status."""
    content = operation["responses"][str(response.status_code)]["content"]
    schema = content[response.mimetype]["schema"]
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.validate(whole, response.get_json())


def test_examples_are_of_the_served_models_own_events(document):
    predict = document["paths"]["/v1/models/{model}:predict"]["post"]
    examples = predict["requestBody"]["content"]["application/json"]["examples"]

    assert examples["bare"]["value"] == {"instances": [["red"], ["red", "green"]]}


def test_codes_of_an_error_stand_at_its_status(document):
    predict = document["paths"]["/v1/models/{model}:predict"]["post"]
    schema = predict["responses"]["409"]["content"]["application/problem+json"]

    assert "step_conflict" in schema["schema"]["properties"]["code"]["enum"]


@pytest.mark.parametrize("address", ["/docs", "/docs/"])
def test_page_loads_nothing_from_another_host(client, address):
    page = client.get(address)

    assert page.status_code == 200
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert any(file.endswith("swagger-ui-bundle.js") for file in files)
    for file in files:
        assert file.startswith("/docs/")
        assert client.get(file, buffered=True).status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert '"/openapi.json"' in page.text


ONE_SCHEMA = {"schema", "items", "additionalProperties"}
SCHEMAS_BY_NAME = {"schemas", "properties"}
CHOICES = {"anyOf", "oneOf", "allOf"}


def list_schemas(node):
    """Yield every schema of a document, those within others too."""
    if isinstance(node, list):
        for part in node:
            yield from list_schemas(part)
    elif isinstance(node, dict):
        yield from (node[word] for word in ONE_SCHEMA & node.keys())
        for word in SCHEMAS_BY_NAME & node.keys():
            yield from node[word].values()
        for word in CHOICES & node.keys():
            yield from node[word]
        for word in node.keys() - {"example", "examples"}:
            yield from list_schemas(node[word])


def test_schemas_say_all_that_generators_of_clients_need(document):
    schemas = [schema for schema in list_schemas(document) if isinstance(schema, dict)]

    assert len(schemas) > 300
    for schema in schemas:
        assert "default" not in schema, schema
        assert isinstance(schema.get("type", ""), str), schema
        if "enum" in schema or "const" in schema:
            assert schema["type"] in ("string", "integer", "boolean"), schema
        if schema.get("type") == "array":
            assert "items" in schema, schema
        if schema.get("type") == "object":
            assert {"properties", "additionalProperties"} & schema.keys(), schema


def test_default_is_described_in_words(document):
    fields = document["components"]["schemas"]["PredictBody"]["properties"]

    assert fields["return"] == {
        "type": "string",
        "enum": ["all", "last"],
        "description": 'Default: "last".',
    }


def test_binary_answers_are_described(document):
    infer = document["paths"]["/v2/models/{model}/infer"]["post"]
    content = infer["responses"]["200"]["content"]

    assert content["application/octet-stream"]["schema"]["format"] == "binary"
