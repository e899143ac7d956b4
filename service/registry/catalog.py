"""The models being served: each artifact with its runtime and its encoder.

Knows which models and versions there are; knows no HTTP and no sessions.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from service.common.setting_types import RuntimeChoice
from service.errors import ModelNotFound, VersionNotFound
from service.registry.artifact import Manifest, read_artifact
from service.registry.backends.base import SIGNATURES, Runtime
from service.registry.backends.opening import open_runtime
from service.registry.encoding.events import Encoder, build_encoder
from service.registry.manifest_check import check_results, check_schemas
from service.registry.traffic import NO_TRAFFIC, Traffic, is_in_share
from service.telemetry.engine_metrics import Served, note_served
from service.telemetry.traffic_metrics import note_traffic

# Sessions and tokens carry this much of the SHA-256: no two networks will share it.
FINGERPRINT_BYTES = 16
# Histories of sessions carry a digest of the input schema.
SCHEMA_BYTES = 8
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Model:
    """One served version: its manifest, runtime and encoder.

    Attributes:
        prepared: What dialects work out once per model, by their own names.
    """

    manifest: Manifest
    runtime: Runtime
    encoder: Encoder
    # Not an argument, so that a changed copy of a model begins with none of it.
    prepared: dict[str, Any] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    @cached_property
    def fingerprint(self) -> bytes:
        """The network's fingerprint, which its memory carries."""
        return bytes.fromhex(self.manifest.network)[:FINGERPRINT_BYTES]

    @cached_property
    def maker(self) -> tuple[bytes, int]:
        """The version that makes a memory: fingerprint of its weights, and number."""
        return self.fingerprint, self.manifest.version

    @cached_property
    def schema(self) -> bytes:
        """Digest of its input schema: where it is the same, encoded events are."""
        schema = json.dumps(self.manifest.input, sort_keys=True).encode()
        return blake2b(schema, digest_size=SCHEMA_BYTES).digest()

    @cached_property
    def memory_dtype(self) -> np.dtype[Any]:
        """Type of a memory's numbers, as stored."""
        return np.dtype(self.manifest.memory_dtype).newbyteorder("<")

    @cached_property
    def memory_bytes(self) -> int:
        """Size of one sequence's memory, as stored."""
        return self.memory_size * self.memory_dtype.itemsize

    @cached_property
    def memory_size(self) -> int:
        """Numbers in one sequence's memory."""
        return sum(int(np.prod(shape)) for shape in self.manifest.memory.values())

    @cached_property
    def memory_layout(self) -> list[tuple[str, int, int, tuple[int, ...]]]:
        """The tensors of a packed memory: name, start, stop and shape of each."""
        layout, start = [], 0
        for name, shape in self.manifest.memory.items():
            stop = start + int(np.prod(shape))
            layout.append((name, start, stop, tuple(shape)))
            start = stop
        return layout

    @cached_property
    def no_memory(self) -> bytes:
        """The memory of a sequence that has not begun, as stored."""
        return bytes(self.memory_bytes)


class Catalog:
    """Served models by name and version.

    Args:
        models: The models; of several versions of one name the newest is the default.

    Attributes:
        has_traffic: Whether any model has traffic: without, a request looks no further.
    """

    def __init__(self, models: Iterable[Model]) -> None:
        self._models: dict[str, dict[int, Model]] = {}
        for model in models:
            versions = self._models.setdefault(model.manifest.name, {})
            versions[model.manifest.version] = model
        self._traffic: dict[str, Traffic] = {}
        self.has_traffic = False
        # Called before the catalog is looked into: others may have changed what is
        # to be served.
        self.watch: Callable[[str | None], None] = lambda name: None

    def replace(self, name: str, models: Iterable[Model]) -> None:
        """Serve these versions of a model from now on; none of them unloads it."""
        versions = {model.manifest.version: model for model in models}
        note_served(
            name,
            list_served(self._models.get(name, {}).values()),
            list_served(versions.values()),
        )
        others = {n: served for n, served in self._models.items() if n != name}
        self._models = {**others, name: versions} if versions else others

    def direct(self, name: str, traffic: Traffic) -> None:
        """Let new sessions of a model begin as its traffic says."""
        note_traffic(name, self.traffic(name).shares(), traffic.shares())
        others = {n: other for n, other in self._traffic.items() if n != name}
        self._traffic = others if traffic == NO_TRAFFIC else {**others, name: traffic}
        self.has_traffic = bool(self._traffic)

    def traffic(self, name: str) -> Traffic:
        """Return the traffic of a model."""
        return self._traffic.get(name, NO_TRAFFIC)

    def begin_with(self, model: Model, key: bytes) -> Model:
        """Choose the version on which a new session begins.

        Args:
            model: The version that the address without a version means.
            key: The store's key of the session.
        """
        name = model.manifest.name
        traffic = self._traffic.get(name)
        if traffic is None or not is_in_share(key, traffic.share):
            return model
        return self._models.get(name, {}).get(traffic.canary, model)

    def loaded(self, name: str) -> dict[int, Model]:
        """Return the versions of a model that this process holds, without a watch."""
        return dict(self._models.get(name, {}))

    def names(self) -> list[str]:
        """List the served models."""
        self.watch(None)
        return sorted(self._models)

    def versions(self, name: str) -> list[int]:
        """List a model's served versions, oldest first.

        Raises:
            ModelNotFound: No such model is served.
        """
        self.watch(name)
        if not (versions := self.loaded(name)):
            served = ", ".join(self.names()) or "none"
            raise ModelNotFound(
                f"model {name[:80]!r} is not served here; the served models are: "
                f"{served}."
            )
        return sorted(versions)

    def family(self, model: Model) -> list[Model]:
        """List the served versions of a model's name, oldest first."""
        versions = self._models.get(model.manifest.name, {})
        return [versions[version] for version in sorted(versions)]

    def find(self, name: str, version: int | None = None) -> Model:
        """Find a model, in its stable or newest version unless one is named.

        Raises:
            ModelNotFound: No such model is served.
            VersionNotFound: The model is served, but not in this version.
        """
        self.watch(name)
        served = self._models.get(name)
        if served and version is None:
            if self.has_traffic:
                return served[choose_default(self.traffic(name), sorted(served))]
            return served[max(served)]
        model = served.get(version or 0) if served else None
        if model is None:
            versions = self.versions(name)
            raise VersionNotFound(
                f"model {name!r} is not served in version {version}; it is in version "
                f"{', '.join(map(str, versions))}."
            )
        return model


def choose_default(traffic: Traffic, versions: list[int]) -> int:
    """Choose the version that the address without a version means.

    Where the stable one cannot be served: the newest that is not on trial.

    Args:
        traffic: Of the model.
        versions: That are served, oldest first.
    """
    if traffic.stable in versions:
        return traffic.stable
    on_trial = traffic.canary, traffic.shadow
    tried = [version for version in versions if version not in on_trial]
    return tried[-1] if tried else versions[-1]


def list_served(models: Iterable[Model]) -> list[Served]:
    """Name each version with the runtime that runs it."""
    return [(model.manifest.version, model.runtime.name) for model in models]


def load_model(path: Path, max_events: int, runtime: RuntimeChoice = "auto") -> Model:
    """Load one version."""
    artifact = read_artifact(path)
    manifest = artifact.manifest
    check_schemas(manifest)
    encoder = build_encoder(manifest.input, max_events=max_events)
    model = Model(manifest, open_runtime(artifact, runtime), encoder)
    warm_up(model)
    log.info(
        "loaded %s version %d from %s, run by %s",
        manifest.name,
        manifest.version,
        path,
        model.runtime.name,
    )
    return model


def warm_up(model: Model) -> None:
    """Run both signatures once, so that no client waits for the set-up.

    Raises:
        ArtifactError: The network answers something else than the manifest says.
    """
    layout, columns = model.manifest.memory, model.encoder.columns
    tensors = {
        "sequence": np.zeros((1, 1, *columns), model.encoder.dtype),
        "length": np.ones(1, np.int32),
        **{n: np.zeros((1, *size), model.memory_dtype) for n, size in layout.items()},
    }
    for signature in SIGNATURES:
        check_results(model.runtime.run(signature, tensors), model.manifest)
