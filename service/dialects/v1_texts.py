"""TensorFlow Serving's own words for what is not there; clients may match on them."""

from __future__ import annotations


def servable_not_found(name: str, version: int | None) -> str:
    """Say what TensorFlow Serving says when a prediction finds no model."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return f"Servable not found for request: {asked}"


def no_versions(name: str, version: int | None) -> str:
    """Say what TensorFlow Serving says when a status or metadata finds no model."""
    if version is None:
        return f"Could not find any versions of model {name}"
    return f"Could not find version {version} of model {name}"


def malformed_request(method: str, path: str) -> str:
    """Say what TensorFlow Serving says to an address it does not know."""
    return f"Malformed request: {method} {path}"
