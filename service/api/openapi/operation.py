"""Declarations of a call's parameters, body and answers, made at its view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, Literal, NamedTuple, TypeVar

from service.errors import (
    CarryoverError,
    Forbidden,
    RateLimited,
    StoreUnavailable,
    TooManyAtOnce,
    Unauthorized,
)
from service.registry.artifact import Manifest
from service.registry.catalog import Model

JSON = "application/json"
# Scope that an API key needs: `any` takes every key, `open` needs none.
Access = Literal["open", "any", "predict", "sessions", "admin"]
# Endpoints of pages and their files: not calls, and a browser sends them no key.
PAGES = ("swagger_ui.", "playground.")


class Parameter(NamedTuple):
    """A parameter of the query or a header: its type is one msgspec checks."""

    name: str
    where: str
    type: Any
    description: str


class Example(NamedTuple):
    """A body that works, and what it shows."""

    summary: str
    body: Any


@dataclass(frozen=True)
class Operation:
    """Declaration of one call.

    Attributes:
        tag: The group it is listed in.
        access: What the API key of a request needs, where keys are on.
        answer: Type of its answer; None where that is any JSON object.
        body: Type of its request's body; None where it has none.
        other_answers: Types of answers that are no problem documents, by status.
        errors: The classes it can end in, their subclasses included.
        parameters: Of the query and the headers.
        examples: Bodies that work, by name, for a served model.
        body_schema: What its body's schema says beyond the type.
        media_types: Of the body and of the answer.
        is_body_optional: Whether it can be called without.
        statuses: Of its answers when all went well.
        is_answer_empty: Whether it answers nothing but its status.
        more_answers: Media types it answers in besides, such as binary tensors.
        parts: Further types, which schemas refer to by their names.
    """

    tag: str
    access: Access
    answer: Any = None
    body: Any = None
    other_answers: Mapping[int, Any] = field(default_factory=dict)
    errors: Sequence[type[CarryoverError]] = ()
    parameters: Sequence[Parameter] = ()
    examples: Callable[[Model], dict[str, Example]] | None = None
    body_schema: dict[str, Any] | None = None
    media_types: tuple[str, str] = (JSON, JSON)
    is_body_optional: bool = False
    statuses: Sequence[int] = (200,)
    parts: Sequence[Any] = ()
    is_answer_empty: bool = False
    more_answers: Sequence[str] = ()

    def all_types(self) -> list[Any]:
        """Return the types of its body and answers."""
        types = [self.body, self.answer, *self.other_answers.values(), *self.parts]
        return [one for one in types if one is not None]

    def all_errors(self) -> set[type[CarryoverError]]:
        """Return every class of error it can end in; those of the tree's groups too."""
        found: set[type[CarryoverError]] = {CarryoverError, StoreUnavailable}
        if self.access != "open":
            found.add(Unauthorized)
        if self.access not in ("open", "any"):
            found.add(Forbidden)
        if self.access not in ("open", "admin"):
            found |= {RateLimited, TooManyAtOnce}
        waiting = list(self.errors)
        while waiting:
            cls = waiting.pop()
            found.add(cls)
            waiting += cls.__subclasses__()
        return found


View = TypeVar("View", bound=Callable[..., Any])
OPERATIONS: dict[Callable[..., Any], Operation] = {}


def describes(tag: str, access: Access, **declared: Any) -> Callable[[View], View]:
    """Declare what a view takes and answers; see `Operation`.

    Stands below the route, so that it sees the function itself:

        @blueprint.get("/v1/models")
        @describes("models", "any", answer=ModelList)
        def list_models() -> Response: ...
    """

    def declare(view: View) -> View:
        OPERATIONS[view] = Operation(tag, access, **declared)
        return view

    return declare


def example_events(manifest: Manifest, count: int) -> list[Any]:
    """Make events of a model's own, as a client would write them."""
    schema = manifest.input
    if schema["kind"] == "event":
        return list(islice(cycle(schema["vocabulary"]), count))
    if schema["kind"] == "record":
        return [example_record(schema["fields"], k) for k in range(count)]
    return [example_value({**schema, "type": schema["kind"]}, k) for k in range(count)]


def example_record(fields: Sequence[dict[str, Any]], k: int) -> dict[str, Any]:
    """Make the k-th record."""
    return {field["name"]: example_value(field, k) for field in fields}


def example_value(field: dict[str, Any], k: int) -> Any:
    """Make the k-th value of a field: half an hour apart, about its mean."""
    kind = field["type"]
    if kind == "time":
        return f"2014-12-01T{8 + k // 2:02d}:{k % 2 * 30:02d}:00"
    if kind == "category":
        return field["vocabulary"][k % len(field["vocabulary"])]
    if kind == "index":
        return k % field["size"]
    if kind == "vector":
        return [0.5] * field["size"]
    return round(field.get("mean", 0.0), 1) + k
