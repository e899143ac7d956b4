"""Changes of a model's traffic: checked, loaded and stored for all workers.

A change that names a version that cannot be served is refused and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec.structs import replace

from service.errors import Conflict, ModelNotLoaded
from service.registry.catalog import Catalog, Model, choose_default
from service.registry.model_repository import Repository
from service.registry.shared_choices import ModelChoice
from service.registry.traffic import Traffic

log = logging.getLogger(__name__)

# Each attempt is lost only to another operator's change.
MAX_ATTEMPTS = 8


def change_traffic(
    repository: Repository,
    catalog: Catalog,
    name: str,
    alter: Callable[[Traffic], Traffic],
) -> Traffic:
    """Replace the traffic of a served model, by compare-and-set.

    Args:
        repository: Opens versions, and stores choices.
        catalog: Versions that this process serves.
        name: Of the model.
        alter: Returns the new traffic for the current one; called again if another
            change was faster.

    Returns:
        The stored traffic.

    Raises:
        ModelNotFound: No such model is served.
        ModelNotLoaded: A version cannot be served, or the change cannot be stored.
        CarryoverError: What `alter` raises; nothing has changed.
    """
    for _ in range(MAX_ATTEMPTS):
        catalog.versions(name)  # raises ModelNotFound
        before = repository.find_choice(name)
        after = alter(before.traffic)
        ready = open_versions(repository, name, after)
        swap = TrafficSwap(before, after, {*catalog.loaded(name), *ready})
        repository.change(name, swap, ready)
        if swap.is_done:
            return after
    raise Conflict(
        f"the traffic of {name[:80]!r} changed {MAX_ATTEMPTS} times while this call "
        "was to change it; this one was not made. Try again."
    )


class TrafficSwap:
    """Compare-and-set of a traffic: a change made only if it is still as read.

    Args:
        before: The choice that the change was derived from.
        after: The new traffic.
        served: Versions that can be served.

    Attributes:
        is_done: Whether the last call made the change.
    """

    def __init__(self, before: ModelChoice, after: Traffic, served: set[int]) -> None:
        self._before = before
        self._after = after
        self._served = served
        self.is_done = False

    def __call__(self, found: ModelChoice) -> ModelChoice:
        """Return the next choice; the same one if its traffic was changed."""
        self.is_done = found.traffic == self._before.traffic
        if not self.is_done:
            return found
        versions = sorted({*found.versions, *self._served}, reverse=True)
        state = found.state or self._before.state
        return replace(found, state=state, versions=versions, traffic=self._after)


def open_versions(
    repository: Repository, name: str, traffic: Traffic
) -> dict[int, Model]:
    """Open the versions of a model's traffic.

    The previous version may be deleted: it is only needed for a rollback.

    Raises:
        ModelNotLoaded: One cannot be served; the error names its part.
    """
    wanted = sorted(traffic.versions(), reverse=True)
    opened, failures = repository.open_newest(name, wanted, wanted)
    parts = {**traffic.version_labels(), "shadow": traffic.shadow}
    for part, version in parts.items():
        if version in failures:
            log.error("%s %s cannot be %s: %s", name, version, part, failures[version])
            raise ModelNotLoaded(
                f"{part} is version {version} of {name[:80]!r}; expected a version "
                "that can be served. Publish it, or name another; the log says why."
            )
    return opened


def find_stable(catalog: Catalog, name: str, on_trial: Traffic) -> int:
    """Return the version that is stable where a change names none.

    Raises:
        Conflict: The model has no other version than the one on trial.
    """
    versions = catalog.versions(name)
    stable = choose_default(on_trial, versions)
    if stable == on_trial.canary:
        raise Conflict(
            f"version {stable} is the only one of {name[:80]!r} that is served; "
            "expected another one that is stable. Name it as stable."
        )
    return stable
