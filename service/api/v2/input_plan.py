"""The v2 dialect's plan of a model: worked out once, not once a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from service.api.v2.tensor_schema import field_schemas, list_outputs
from service.registry.catalog import Model
from service.registry.encoding.events import EventEncoder, RecordEncoder
from service.registry.encoding.fields import CategoryReader

Field = dict[str, Any]
# Names to their indices, of a field that has any.
Index = Mapping[str, int]


class Plan(NamedTuple):
    """What a request to a model is checked against.

    Attributes:
        fields: The schema of each input tensor.
        names: Their names.
        required: The same, as a set.
        statics: Those that only the first event of a sequence needs.
        sizes: Their shapes after batch and timesteps.
        indices: Of each, its names to their indices; empty where it has none.
        outputs: The names of the outputs.
        main: The name of the output that `decided` is made of.
        threshold: Which probabilities are decided.
    """

    fields: Sequence[Field]
    names: Sequence[str]
    required: frozenset[str]
    statics: frozenset[str]
    sizes: Sequence[tuple[int, ...]]
    indices: Sequence[Index]
    outputs: Sequence[str]
    main: str
    threshold: np.float32


def plan_of(model: Model) -> Plan:
    """Return a model's plan, worked out at the first call."""
    found: Plan | None = model.prepared.get(__name__)
    if found is None:
        found = model.prepared[__name__] = prepare(model)
    return found


def prepare(model: Model) -> Plan:
    """Work out what does not change from request to request."""
    manifest = model.manifest
    fields = field_schemas(manifest)
    names = [field["name"] for field in fields]
    return Plan(
        fields=fields,
        names=names,
        required=frozenset(names),
        statics=frozenset(model.encoder.statics),
        sizes=[(f["size"],) if f["type"] == "vector" else () for f in fields],
        indices=[index_of(field, model) for field in fields],
        outputs=[tensor.name for tensor in list_outputs(manifest)],
        main=manifest.output["name"],
        # Rounded as the probabilities are: one of 0.9 reaches 0.9.
        threshold=np.float32(manifest.threshold or 0),
    )


def index_of(field: Field, model: Model) -> Index:
    """Return the index of a field's names; empty where it has none."""
    encoder = model.encoder
    if isinstance(encoder, EventEncoder):
        return encoder.index
    if isinstance(encoder, RecordEncoder):
        reader = encoder.readers[field["name"]]
        if isinstance(reader, CategoryReader):
            return reader.index
    return {}
