"""Whether a model can be described in every dialect, tried when it is loaded."""

from __future__ import annotations

import orjson

from service.api.v1 import metadata as v1_metadata
from service.api.v1 import wording
from service.api.v2 import input_plan
from service.api.v2 import metadata as v2_metadata
from service.registry.artifact import ArtifactError
from service.registry.catalog import Model


def check_descriptions(model: Model) -> None:
    """Describe a model once, so that no request is the first to find a fault.

    Raises:
        ArtifactError: Its manifest has what no answer can.
    """
    shown = [
        v1_metadata.describe_model(model),
        v2_metadata.describe_model(model, [model.manifest.version]),
        v2_metadata.describe_config(model, max_rows=1, idle_seconds=1),
    ]
    try:
        orjson.dumps(shown)
    except TypeError as error:
        raise ArtifactError(
            f"the manifest cannot be shown as JSON: {error}. Export the model again."
        ) from None
    wording.wording_of(model)
    input_plan.plan_of(model)
