"""Version labels: names such as `stable` for versions, in a file next to them.

`<models>/<model>/labels.json` contains `{"stable": 1, "canary": 2}`. Without a watch it
is read at every look, so that moving a label needs no restart; with one, the repository
adopts it for all workers. Does not know which versions are served.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from service.common.files import read_regular
from service.errors import UnknownLabel

log = logging.getLogger(__name__)

FILE = "labels.json"
# Some ten thousand labels.
MAX_BYTES = 2**20
# Of those that an error names.
MAX_NAMED = 20
DECODER = msgspec.json.Decoder(dict[str, Annotated[int, msgspec.Meta(ge=1)]])


def find_version(models: Path, model: str, label: str) -> int:
    """Find the version a label stands for.

    Args:
        models: Folder of models.
        model: A served model's name.
        label: The label.

    Raises:
        UnknownLabel: The model has no such label, or its file cannot be read.
    """
    return choose_version(read_labels(models / model / FILE), model, label)


def choose_version(labels: Mapping[str, int], model: str, label: str) -> int:
    """Return the version a label stands for.

    Raises:
        UnknownLabel: None of the model's labels is this one.
    """
    if label not in labels:
        first = [label[:80] for label in sorted(labels)[:MAX_NAMED]]
        known = ", ".join(first) or "none"
        if len(labels) > MAX_NAMED:
            known += f" and {len(labels) - MAX_NAMED} more"
        raise UnknownLabel(
            f"model {model[:80]!r} has no version label {label[:80]!r}; its labels "
            f"are: {known}. They are set in {FILE} next to its versions.",
            error=f"Unrecognized servable version label: {label[:80]}",
        )
    return labels[label]


def read_labels(file: Path) -> dict[str, int]:
    """Read a file of labels; an absent file sets no labels.

    A file that cannot be read changes no label: those that this process read last stay.

    Raises:
        UnknownLabel: It cannot be read, and never could be.
    """
    try:
        labels = decode_labels(file)
    except UnknownLabel as error:
        if file not in _bad:  # logged once
            log.error("%s", error)
            _bad.add(file)
        if file not in _good:
            raise
        return _good[file]
    _bad.discard(file)
    _good.pop(file, None)
    if labels:  # without any, a file that is damaged later leaves none to stay
        _good[file] = labels
    return labels


def decode_labels(file: Path) -> dict[str, int]:
    """Decode a file of labels; an absent file sets no labels.

    Raises:
        UnknownLabel: It cannot be read.
    """
    try:
        return DECODER.decode(read_regular(file, MAX_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError, msgspec.MsgspecError, RecursionError) as error:
        # An OSError names the file's path, which is nobody's business.
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnknownLabel(
            f"the labels of {file.parent.name!r} cannot be read: {reason}. Expected "
            f'{FILE} to contain versions by label, such as {{"stable": 1}}.'
        ) from error


_good: dict[Path, dict[str, int]] = {}
_bad: set[Path] = set()
