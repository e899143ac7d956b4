"""`/v1/models/{model}/traffic`, `:promote` and `:rollback`: a new version on trial."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response
from msgspec import UNSET, UnsetType

from service.api.context import find_model, read_form, repository, services
from service.api.openapi import describes
from service.api.responses import json_response
from service.errors import (
    Conflict,
    InvalidRequest,
    ModelNotFound,
    ModelNotLoaded,
    NotServed,
    UnknownField,
)
from service.registry.traffic import Number, Share, Traffic
from service.registry.traffic_control import change_traffic, find_stable

blueprint = Blueprint("traffic", __name__, url_prefix="/v1/models")

CHANGES = (
    InvalidRequest,
    ModelNotFound,
    ModelNotLoaded,
    NotServed,
    Conflict,
    UnknownField,
)


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """A version, and the share of sessions that is for it."""

    version: Number
    share: float


class TrafficForm(msgspec.Struct, forbid_unknown_fields=True):
    """The traffic from now on; what is left out is not on trial any more."""

    stable: Number | UnsetType = UNSET
    canary: Part | None = None
    shadow: Part | None = None


class PromoteForm(msgspec.Struct, forbid_unknown_fields=True):
    """The version that becomes stable; the canary where it is left out."""

    version: Number = 0


class PartState(msgspec.Struct):
    """A version on trial, and the share of sessions that is for it."""

    version: int
    share: Share


class TrafficState(msgspec.Struct):
    """The traffic of a model; `stable` is null where the newest version is."""

    model: str
    stable: int | None
    canary: PartState | None
    shadow: PartState | None
    previous: int | None


@blueprint.get("/<model:name>/traffic")
@describes("models", "any", answer=TrafficState, errors=[ModelNotFound])
def show_traffic(name: str) -> Response:
    """Say on which version new sessions begin, and which one shadows them."""
    find_model(name)
    return answer_state(name, services().catalog.traffic(name))


@blueprint.put("/<model:name>/traffic")
@describes("models", "admin", body=TrafficForm, answer=TrafficState, errors=CHANGES)
def set_traffic(name: str) -> Response:
    """Begin a share of new sessions on a canary, or have a shadow follow a share.

    The whole traffic is replaced, in all workers. Live sessions stay on their version.
    """
    form = read_form(TrafficForm)
    canary, shadow = read_part("canary", form.canary), read_part("shadow", form.shadow)

    def alter(before: Traffic) -> Traffic:
        on_trial = Traffic(before.stable, *canary, *shadow)
        stable = before.stable if form.stable is UNSET else form.stable
        if not stable and (canary[0] or shadow[0]):
            stable = find_stable(services().catalog, name, on_trial)
        check_parts(stable, canary[0], shadow[0])
        # A new canary: a rollback takes that back, and no promotion before it.
        is_kept = not canary[0] and stable == before.stable
        return Traffic(stable, *canary, *shadow, before.previous if is_kept else 0)

    after = change_traffic(repository(), services().catalog, name, alter)
    return answer_state(name, after)


@blueprint.post("/<model:name>:promote")
@describes(
    "models",
    "admin",
    body=PromoteForm,
    is_body_optional=True,
    answer=TrafficState,
    errors=CHANGES,
)
def promote(name: str) -> Response:
    """Begin all new sessions on a version: the canary, unless one is named."""
    version = read_form(PromoteForm).version
    stored = change_traffic(
        repository(), services().catalog, name, lambda traffic: traffic.promote(version)
    )
    return answer_state(name, stored)


@blueprint.post("/<model:name>:rollback")
@describes("models", "admin", answer=TrafficState, errors=CHANGES)
def rollback(name: str) -> Response:
    """Take the canary back, or else the last promotion."""
    stored = change_traffic(repository(), services().catalog, name, Traffic.rollback)
    return answer_state(name, stored)


def read_part(name: str, part: Part | None) -> tuple[int, float]:
    """Read a version and its share; zeros for none.

    Raises:
        InvalidRequest: It is not a share.
    """
    if part is None:
        return 0, 0.0
    if not 0 <= part.share <= 1:
        raise InvalidRequest(
            f"{name}.share is {part.share:g}; expected a number from 0 to 1. Send 0.05 "
            "for 5% of the sessions."
        )
    if not part.version:
        raise InvalidRequest(
            f"{name}.version is 0; expected the number of a version. Name one."
        )
    return part.version, part.share


def check_parts(stable: int, canary: int, shadow: int) -> None:
    """Refuse a version that is compared with itself.

    Raises:
        InvalidRequest: The stable version is on trial.
    """
    for part, version in (("canary", canary), ("shadow", shadow)):
        if version and version == stable:
            raise InvalidRequest(
                f"{part}.version is {version}, which is the stable version; expected "
                "another one. Name another version, or another as stable."
            )


def answer_state(name: str, traffic: Traffic) -> Response:
    """Answer the traffic of a model."""
    canary = PartState(traffic.canary, traffic.share)
    shadow = PartState(traffic.shadow, traffic.shadow_share)
    state = TrafficState(
        name,
        traffic.stable or None,
        canary if traffic.canary else None,
        shadow if traffic.shadow else None,
        traffic.previous or None,
    )
    return json_response(msgspec.to_builtins(state))
