"""The layer that was at work when something was raised. Imports no Keras."""

from __future__ import annotations

from typing import Any

# A whole model, or a layer that no model of a user has.
NOT_NAMED = {"Model", "Functional", "InputLayer", "Windowed"}


def find_layer(error: BaseException) -> str:
    """Name the layer that was at work when something was raised, if one was."""
    found, trace = "", error.__traceback__
    while trace is not None:
        scope = trace.tb_frame.f_locals
        for name in ("operation", "layer", "self"):
            if is_layer(scope.get(name)):
                found = f" in layer {scope[name].name!r} ({type(scope[name]).__name__})"
                break
        trace = trace.tb_next
    return found


def is_layer(value: Any) -> bool:
    """Say whether it is a layer or operation, no model, without importing Keras."""
    bases = {kind.__name__ for kind in type(value).__mro__}
    return "Operation" in bases and not bases & NOT_NAMED
