"""Version labels: names such as `stable` for versions, in a file beside them.

`<models>/<model>/labels.json` holds `{"stable": 1, "canary": 2}`; it is read at every
look, so that moving a label needs no restart. Knows not which versions are served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from service.errors import CarryoverError, UnknownLabel

FILE = "labels.json"
DECODER = msgspec.json.Decoder(dict[str, Annotated[int, msgspec.Meta(ge=1)]])


def find_version(models: Path, model: str, label: str) -> int:
    """Find the version a label stands for.

    Args:
        models: Folder of models.
        model: A served model's name.
        label: The label.

    Raises:
        UnknownLabel: The model has no such label.
        CarryoverError: The file of labels cannot be read.
    """
    labels = read_labels(models / model / FILE)
    if label not in labels:
        known = ", ".join(sorted(labels)) or "none"
        raise UnknownLabel(
            f"model {model!r} has no version label {label[:80]!r}; its labels are: "
            f"{known}. They are set in {FILE} beside its versions.",
            error=f"Unrecognized servable version label: {label[:80]}",
        )
    return labels[label]


def read_labels(file: Path) -> dict[str, int]:
    """Read a file of labels; none are set where there is none.

    Raises:
        CarryoverError: It cannot be read.
    """
    try:
        return DECODER.decode(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise CarryoverError(
            f"the labels of {file.parent.name!r} cannot be read: {error}. Expected "
            f'{FILE} to hold versions by label, such as {{"stable": 1}}.'
        ) from error
