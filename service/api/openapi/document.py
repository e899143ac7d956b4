"""The document: the application's routes and their operations as OpenAPI 3.1.

Knows the routes and what is declared at their views; no call's own work.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from flask import Flask
from werkzeug.routing import Rule

from service import VERSION
from service.api.openapi.operation import JSON, OPERATIONS, PAGES, Operation
from service.api.openapi.responses import Problem, describe_responses, spell_out
from service.errors import CarryoverError, MalformedRequest, NotFound
from service.registry.catalog import Catalog, Model
from service.sessions.record import MAX_SESSION_BYTES

REF = "#/components/schemas/{name}"
INTRODUCTION = (
    "Serves Keras recurrent networks and carries their memory between requests. Every "
    "error is a problem document (RFC 9457) with a stable `code`, and `error` for the "
    "clients of TensorFlow Serving and Triton. `X-Request-Id` and a valid "
    "`traceparent` are echoed."
)
# Methods that Flask answers by itself.
IMPLIED = {"HEAD", "OPTIONS"}
VARIABLE = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
# Names in addresses as the documents write them, where the code has another.
RENAMED = {"name": "model", "session": "id"}
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
# By Flask's name; what is not here is any text.
PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "name": ("A served model.", TEXT),
    "version": (
        "A served version of it; 0 for the newest.",
        {"type": "integer", "minimum": 0},
    ),
    "label": ("A label of one of its versions.", TEXT | {"pattern": "^[^/:]+$"}),
    "session": (
        "A session's id, percent-encoded; slashes may stand as they are.",
        TEXT | {"maxLength": MAX_SESSION_BYTES},
    ),
}
EXAMPLES: dict[str, Any] = {"version": 1, "label": "stable", "session": "ticket-42"}
TAGS = {
    "predict": "TensorFlow Serving's and KServe V1's calls, with memory.",
    "models": "What is served.",
    "sessions": "Memory as a resource.",
    "inference": "Open Inference Protocol v2, with Triton's extensions.",
    "operations": "For supervisors and tools.",
}


def build_document(app: Flask, catalog: Catalog) -> dict[str, Any]:
    """Describe every call of an application.

    Args:
        app: Its routes, pages among them.
        catalog: The served models, which the examples are about.
    """
    models = [catalog.find(name) for name in catalog.names()]
    calls = list(list_calls(app))
    types = [t for *_, call in calls for t in call.all_types()]
    schemas, components = msgspec.json.schema_components(
        [Problem, *types], ref_template=REF
    )
    schema_of = dict(zip(map(id, [Problem, *types]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    names: set[str] = set()
    for rule, method, view, call in calls:
        path, parameters = describe_path(rule.rule, [m.manifest.name for m in models])
        responses = describe_responses(call, address_errors(rule), schema_of)
        described = describe_call(call, view, schema_of, models)
        described["responses"] = responses
        name = name_operation(rule, method)
        described["operationId"] = f"{name}_of_model" if name in names else name
        names.add(name)
        described["parameters"] = parameters + described["parameters"]
        paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Carryover",
            "version": VERSION,
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {name: spell_out(one) for name, one in components.items()}
        },
    }


def list_calls(
    app: Flask,
) -> Iterator[tuple[Rule, str, Callable[..., Any], Operation]]:
    """Yield each route with its method, its view and its operation.

    A view that declares nothing is described by its docstring alone.
    """
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if rule.endpoint.startswith(PAGES):
            continue
        for method in sorted((rule.methods or set()) - IMPLIED):
            yield rule, method, view, OPERATIONS.get(view, Operation("other", "admin"))


def address_errors(rule: Rule) -> set[type[CarryoverError]]:
    """Return what an address ends in where a variable in it has no right form."""
    if not rule.arguments:
        return set()
    return {MalformedRequest if rule.rule.startswith("/v1/") else NotFound}


def describe_call(
    call: Operation,
    view: Callable[..., Any],
    schema_of: dict[int, Any],
    models: list[Model],
) -> dict[str, Any]:
    """Describe one call."""
    # The errors are among the responses already.
    text = inspect.cleandoc(view.__doc__ or "").partition("\n\nRaises:")[0]
    summary, _, description = text.partition("\n\n")
    described: dict[str, Any] = {
        "tags": [call.tag],
        "summary": summary,
        "parameters": [
            {
                "name": parameter.name,
                "in": parameter.where,
                "required": False,
                "description": parameter.description,
                "schema": spell_out(msgspec.json.schema(parameter.type)),
            }
            for parameter in call.parameters
        ],
    }
    if description:
        described["description"] = re.sub(r"\s+", " ", description)
    if call.body is not None:
        described["requestBody"] = describe_body(call, schema_of[id(call.body)], models)
    return described


def describe_body(
    call: Operation, schema: dict[str, Any], models: list[Model]
) -> dict[str, Any]:
    """Describe a request's body, with examples for the first of the models."""
    content: dict[str, Any] = {"schema": spell_out(schema | (call.body_schema or {}))}
    if call.examples is not None and models:
        content["examples"] = {
            name: {"summary": example.summary, "value": example.body}
            for name, example in call.examples(models[0]).items()
        }
    return {
        "required": not call.is_body_optional,
        "content": {call.media_types[0]: content},
    }


def name_operation(rule: Rule, method: str) -> str:
    """Name a call after its view, and after what its address names besides a model."""
    # Python's words are written with an underscore: import_.
    view = rule.endpoint.replace(".", "_").rstrip("_")
    named = [name for name in ("version", "label") if name in rule.arguments]
    return "_".join([method.lower(), view, *(f"by_{name}" for name in named)])


__all__ = ["JSON", "build_document"]


def describe_path(rule: str, models: Sequence[str]) -> tuple[str, list[dict[str, Any]]]:
    """Translate a rule.

    Args:
        rule: Such as `/v1/models/<model:name>`.
        models: The served models' names.

    Returns:
        The path, such as `/v1/models/{model}`, and its parameters.
    """
    parameters = [describe_variable(name, models) for _, name in VARIABLE.findall(rule)]
    path = VARIABLE.sub(lambda v: f"{{{RENAMED.get(v[2], v[2])}}}", rule)
    return path, parameters


def describe_variable(name: str, models: Sequence[str]) -> dict[str, Any]:
    """Describe one variable of an address."""
    text, schema = PARAMETERS.get(name, ("", TEXT))
    described = {
        "name": RENAMED.get(name, name),
        "in": "path",
        "required": True,
        "description": text,
        "schema": schema,
    }
    if name == "name":
        # An enumeration would be stricter than the service: models come and go.
        described["examples"] = {model: {"value": model} for model in models}
    elif name in EXAMPLES:
        described["example"] = EXAMPLES[name]
    return described
