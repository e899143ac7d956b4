"""Versions of a model with other numbers for the same names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import strategies as st

from service.registry.encoding.events import build_encoder
from tests.fakes import CountingRuntime, counting_model

# The same names under other numbers; the last one is the counting network's poison.
VOCABULARIES = {
    1: ["open", "close", "wait", "poison"],
    2: ["wait", "open", "close", "poison"],
}

NAMES = st.lists(st.sampled_from(VOCABULARIES[1][:3]), min_size=1, max_size=2)


class CountingByName(CountingRuntime):
    """The counting network over four names, as events or as a category of records."""

    VOCABULARY = (*VOCABULARIES[1],)

    def run(self, signature, tensors):
        sequence = tensors["sequence"]
        if sequence.ndim == 3:  # the category is the second column
            tensors = tensors | {"sequence": sequence[..., 1].astype("int32")}
        return super().run(signature, tensors)


def build_model(version: int, kind: str):
    """Build a version of the counting model with its own order of the names."""
    names = VOCABULARIES[version]
    schema: dict[str, Any] = {"kind": "event", "vocabulary": names}
    if kind == "record":
        door = {"name": "door", "type": "category", "vocabulary": names}
        fields = [{"name": "count", "type": "number"}, door]
        schema = {"kind": "record", "fields": fields}
    model = counting_model(version, f"{version:02x}" * 32, runtime=CountingByName())
    manifest = msgspec.structs.replace(
        model.manifest,
        input=schema,
        output={**model.manifest.output, "labels": names},
        memory={"short_term_0": [len(names)]},
    )
    encoder = build_encoder(schema, max_events=50)
    return replace(model, manifest=manifest, encoder=encoder)
