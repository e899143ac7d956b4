"""Whether a model can be described in every dialect, tried when it is loaded."""

from __future__ import annotations

import orjson

from service.artifact import ArtifactError
from service.catalog import Model
from service.dialects import v1_metadata, v1_wording, v2_metadata, v2_plan


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
    v1_wording.wording_of(model)
    v2_plan.plan_of(model)
