"""The services that routes work with, and what the current request gives them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import msgspec
from flask import current_app, g, request

from service.api import body
from service.api.body import BodyBudget
from service.api.limiter import Limiter
from service.api.tenants import Tenants
from service.engine.engine import Engine
from service.engine.job import Timings
from service.errors import InvalidJson, InvalidRequest, NotServed, UnknownField
from service.registry.catalog import Catalog, Model
from service.registry.model_folder import find_version
from service.registry.model_repository import Repository
from service.settings import Settings
from service.telemetry import tracing
from service.telemetry.statistics import CallStatistics

Form = TypeVar("Form", bound=msgspec.Struct)


@dataclass(frozen=True)
class Services:
    """The parts of the service that the routes use."""

    settings: Settings
    catalog: Catalog
    engine: Engine
    tenants: Tenants
    repository: Repository | None = None
    statistics: CallStatistics = field(default_factory=CallStatistics)
    bodies: BodyBudget = field(default_factory=BodyBudget)
    is_clock_trusted: Callable[[], bool] = lambda: True
    limiter: Limiter | None = None

    def find_model(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> Model:
        """Find a served model, by its version or version label if one is given.

        Raises:
            ModelNotFound: No such model is served.
            VersionNotFound: The model is served, but not in this version.
            UnknownLabel: It has no such version label.
        """
        if label is not None:
            version = self._find_labelled(name, label)
        return self.catalog.find(name, version)

    def _find_labelled(self, name: str, label: str) -> int:
        self.catalog.versions(name)  # only a served model has a folder to look into
        if directed := self.catalog.traffic(name).version_labels().get(label):
            return directed
        if self.repository is not None and self.repository.follows_labels:
            return self.repository.find_labelled(name, label)
        return find_version(Path(self.settings.models), name, label)


def services() -> Services:
    """Return the current application's services."""
    return cast("Services", current_app.extensions["carryover"])


def tenant() -> str:
    """Return whom the current request belongs to."""
    return cast("str", g.tenant)


def find_model(
    name: str, version: int | None = None, label: str | None = None
) -> Model:
    """Find a served model, and note it for the log.

    Raises:
        ModelNotFound: No such model is served.
        VersionNotFound: The model is served, but not in this version.
        UnknownLabel: It has no such version label.
    """
    g.model = services().find_model(name, version, label)
    return cast("Model", g.model)


def repository() -> Repository:
    """Return the model repository.

    Raises:
        NotServed: The application was made without one.
    """
    opened = services().repository
    if opened is None:
        raise NotServed("this service was started without a model repository.")
    return opened


def read_body() -> bytes:
    """Read the request's body, whole or not at all; see `service.api.body`."""
    here = services()
    most = here.settings.max_body_bytes
    return body.read_body(request.environ, most, here.bodies, tenant())


def measure() -> Timings | None:
    """Have the engine measure what the current request's time is spent on, if asked."""
    g.timings = None if tracing.running is None else Timings()
    return cast("Timings | None", g.timings)


def read_form(form: type[Form]) -> Form:
    """Read the request's body; an empty one is an object without fields.

    Raises:
        InvalidJson: It is no JSON.
        UnknownField: It has a field the call does not know.
        InvalidRequest: A field is missing or has another type.
    """
    read_query()
    try:
        return msgspec.json.decode(read_body() or b"{}", type=form)
    except msgspec.ValidationError as error:
        text = str(error).replace("`", "'").replace("$", "body")
        fields = ", ".join(form.__struct_encode_fields__)
        cls = UnknownField if "unknown field" in text else InvalidRequest
        raise cls(
            f"the body does not have the right form: {text}. Its fields: {fields}."
        ) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidJson(
            f"the body is not JSON ({str(error)[:120]}); expected an object."
        ) from None


def read_query(*known: str) -> dict[str, str]:
    """Read the query of the address.

    Raises:
        UnknownField: It has a parameter this call does not know, or one twice.
    """
    for name, values in request.args.lists():
        if name not in known:
            raise UnknownField(
                f"the address has an unknown parameter {name[:80]!r}; this call takes "
                f"{', '.join(known) or 'none'}."
            )
        if len(values) > 1:
            raise InvalidRequest(f"the address has {name} {len(values)} times; send 1.")
    return request.args.to_dict()


def read_flag(query: dict[str, str], name: str) -> bool:
    """Read a parameter that is true or false; false where it is left out.

    Raises:
        InvalidRequest: It is another word.
    """
    words: Collection[str] = ("true", "false")
    if (word := query.get(name, "false")) not in words:
        raise InvalidRequest(f"{name} is {word[:80]!r}; expected true or false.")
    return word == "true"
