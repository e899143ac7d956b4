"""Version policy and retention: settings of the memory that the rules of a step read.

A model's policy decides which version continues a memory that another one made. `pin`
stays on the version that made the memory; `replay` runs the session's whole history
through the present version; `reset` restarts and says so; `refuse` answers 409. Never a
silent mix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

import msgspec
import numpy as np

from service.errors import WrongNetwork
from service.registry.catalog import Model
from service.sessions.preconditions import wrong_network
from service.sessions.record import Session
from service.sessions.sections import AnswerBounds, decode_history

Policy = Literal["pin", "replay", "reset", "refuse"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


class Policies(NamedTuple):
    """The policy of each model, and of those that are not named."""

    default: Policy = "pin"
    models: Mapping[str, Policy] = {}

    def of(self, model: str) -> Policy:
        """Return a model's policy."""
        return self.models.get(model, self.default)


class Continuation(NamedTuple):
    """Decision on how a memory is continued.

    Attributes:
        model: By which version.
        network: Fingerprint of the memory that can be continued so.
        history: Events to run first, from no memory; None where the memory is kept.
        is_reset: Whether the memory is dropped and the sequence restarts.
    """

    model: Model
    network: bytes
    history: np.ndarray | None = None
    is_reset: bool = False


def choose_version(
    record: Session,
    model: Model,
    others: Sequence[Model],
    policy: Policy,
    *,
    is_version_named: bool,
) -> Continuation:
    """Choose how a memory made by other weights than a model's is continued.

    Args:
        record: The memory.
        model: The version the request is for.
        others: The served versions of the same model, newest last.
        policy: The model's policy.
        is_version_named: Whether the request names the version itself; a pinned
            memory then does not go elsewhere.

    Raises:
        WrongNetwork: The policy lets no version continue it.
    """
    if policy == "reset":
        return Continuation(model, record.network, is_reset=True)
    if policy == "replay":
        return Continuation(model, record.network, read_history(record, model))
    is_pinned = policy == "pin" and not is_version_named
    if is_pinned and (maker := find_maker(record, others)):
        return Continuation(maker, record.network)
    raise wrong_network(record)


def stay(record: Session, served: Sequence[Model]) -> Continuation | None:
    """Continue a memory by the version that made it; None where it is not served."""
    maker = find_maker(record, served)
    if maker is None or maker.maker != (record.network, record.model_version):
        return None
    return Continuation(maker, record.network)


def find_maker(record: Session, served: Sequence[Model]) -> Model | None:
    """Find the served version that made a memory, or the newest of its weights."""
    makers = [model for model in served if model.fingerprint == record.network]
    made_by = record.network, record.model_version
    exact = [model for model in makers if model.maker == made_by]
    return (exact or makers)[-1] if makers else None


def read_history(record: Session, model: Model) -> np.ndarray:
    """Return a session's events as a model takes them, shape (timesteps[, columns]).

    Raises:
        WrongNetwork: The history is not whole, or its events were encoded otherwise.
    """
    history = decode_history(record.history)
    if not history.is_whole:
        raise cannot_replay(record, "its history was not kept whole")
    if history.schema != model.schema:
        raise cannot_replay(record, "its events were encoded by another input schema")
    flat = np.frombuffer(history.events, model.encoder.dtype)
    events = flat.reshape(-1, *model.encoder.columns)
    if len(events) != record.step:
        raise cannot_replay(record, f"its history has {len(events)} events")
    return events


def cannot_replay(record: Session, reason: str) -> WrongNetwork:
    """Return the error of a memory that cannot be rebuilt."""
    return WrongNetwork(
        f"this memory was made by version {record.model_version} and cannot be rebuilt "
        f'by this one: {reason}. Restart the sequence with "start": true, or name '
        "the version that made it in the address.",
        step=record.step,
        model_version=str(record.model_version),
    )


def find_version(version: int, model: Model, served: Sequence[Model]) -> Model:
    """Find the version that gave a stored answer.

    Returns:
        Where it is no longer served, a copy of this model under its number: what the
        answer says of itself stays the same.
    """
    for other in served:
        if other.manifest.version == version:
            return other
    manifest = msgspec.structs.replace(model.manifest, version=version)
    return replace(model, manifest=manifest)


class Retention(NamedTuple):
    """Retention of a session: what is kept in addition to its memory.

    Attributes:
        snapshots: Earlier memories, to rewind it to; 0 keeps none.
        answers: Answers, to repeat them.
        history_events: Events, to rebuild its memory with, where the model's policy
            is `replay`.
        policies: What becomes of memories when a new version is served.
    """

    snapshots: int = 0
    answers: AnswerBounds = AnswerBounds()
    history_events: int = 1000
    policies: Policies = Policies()


class Lifetimes(NamedTuple):
    """Default lifetimes in seconds.

    Attributes:
        session_seconds: An idle session's.
        token_seconds: A sealed memory's.
        models: An idle session's by model, where it differs.
    """

    session_seconds: float
    token_seconds: float
    models: Mapping[str, float] = MappingProxyType({})

    def of(self, model: str) -> float:
        """Return an idle session's lifetime for a model."""
        return self.models.get(model, self.session_seconds)
