"""Check of a manifest against the network it comes with.

A manifest is a file anybody can change. Its numbers are compared with the network's own
before anything of their size is allocated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from service.registry.artifact import ArtifactError, Manifest, Size

Name = Annotated[str, msgspec.Meta(min_length=1)]
Words = Annotated[list[str], msgspec.Meta(min_length=1)]
Deviation = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class EventInput(msgspec.Struct, tag="event", tag_field="kind"):
    """Events by name; `unknown` is the one that stands for any other name."""

    vocabulary: Words
    unknown: Name | None = None


class IndexInput(msgspec.Struct, tag="index", tag_field="kind"):
    """Whole numbers from 0."""

    size: Size


class VectorInput(msgspec.Struct, tag="vector", tag_field="kind"):
    """Numbers, `size` an event; `indices`: whole ones; `boolean`: or true, false."""

    size: Size
    indices: Size | None = None
    boolean: bool = False


class TimeField(msgspec.Struct, tag="time", tag_field="type"):
    """A wall-clock time of a record."""

    name: Name


class NumberField(msgspec.Struct, tag="number", tag_field="type"):
    """A number of a record, with the mean and deviation of its training."""

    name: Name
    mean: float = 0.0
    std: Deviation = 1.0
    optional: bool = False


class CategoryField(msgspec.Struct, tag="category", tag_field="type"):
    """A name of a record; `unknown` is the one that stands for any other name."""

    name: Name
    vocabulary: Words
    unknown: Name | None = None


class IndexField(msgspec.Struct, tag="index", tag_field="type"):
    """A whole number of a record, from 0."""

    name: Name
    size: Size
    static: bool = False


class VectorField(msgspec.Struct, tag="vector", tag_field="type"):
    """Numbers of a record; `indices`: whole ones; `boolean`: or true, false."""

    name: Name
    size: Size
    indices: Size | None = None
    boolean: bool = False
    static: bool = False


Field = TimeField | NumberField | CategoryField | IndexField | VectorField


class RecordInput(msgspec.Struct, tag="record", tag_field="kind"):
    """Records of fields."""

    fields: Annotated[list[Field], msgspec.Meta(min_length=1)]


Input = EventInput | IndexInput | VectorInput | RecordInput


class Output(msgspec.Struct):
    """Output schema of a network; `end` is the label without an event."""

    kind: Name
    name: Name
    labels: Words | None = None
    end: Name | None = None
    others: list[Name] = []
    horizon: Size | None = None
    quantiles: Annotated[list[Share], msgspec.Meta(min_length=1)] | None = None


def check_schemas(manifest: Manifest) -> None:
    """Refuse schemas from which no request can be read or answered.

    Raises:
        ArtifactError: A member is missing, unknown, empty, out of range or double.
    """
    read = convert(manifest, "input", Input)
    output = convert(manifest, "output", Output)
    if isinstance(read, RecordInput):
        check_names("input.fields", [field.name for field in read.fields])
        for field in read.fields:
            if isinstance(field, CategoryField):
                check_names(f"{field.name}.vocabulary", field.vocabulary)
                check_member(f"{field.name}.unknown", field.unknown, field.vocabulary)
    elif isinstance(read, EventInput):
        check_names("input.vocabulary", read.vocabulary)
        check_member("input.unknown", read.unknown, read.vocabulary)
    check_member("output.end", output.end, output.labels or [])
    check_names("output", [output.name, *output.others, *manifest.memory])


def convert(manifest: Manifest, member: str, kind: Any) -> Any:
    """Read a schema of the manifest into its struct.

    Raises:
        ArtifactError: It does not have the struct's form.
    """
    try:
        return msgspec.convert(getattr(manifest, member), kind)
    except msgspec.ValidationError as error:
        raise ArtifactError(
            f"the manifest's {member} cannot be read: {error}. Export the model again."
        ) from None


def check_names(where: str, names: Sequence[str]) -> None:
    """Refuse a name that stands twice.

    Raises:
        ArtifactError: A name occurs twice.
    """
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise ArtifactError(
            f"the manifest's {where} has {name[:80]!r} {times} times; expected "
            "different names. Export the model again."
        )


def check_member(where: str, name: str | None, names: Sequence[str]) -> None:
    """Refuse a name outside the allowed names.

    Raises:
        ArtifactError: The name is not one of them.
    """
    if name is not None and name not in names:
        raise ArtifactError(
            f"the manifest's {where} is {name[:80]!r}, which is not one of its names. "
            "Export the model again."
        )


def check_inputs(
    shapes: Mapping[str, Sequence[int | None]],
    manifest: Manifest,
    columns: Sequence[int],
    batch: int | None = None,
    timesteps: int | None = None,
) -> None:
    """Compare what a network takes with what the manifest says.

    Args:
        shapes: The network's own, by tensor; a size may be open.
        manifest: Of the version.
        columns: Shape of an event in the sequence.
        batch: Rows of a call; None if open.
        timesteps: Timesteps of a call; None if open.

    Raises:
        ArtifactError: They differ.
    """
    expected: dict[str, tuple[int | None, ...]] = {
        "sequence": (batch, timesteps, *columns),
        "length": (batch,),
        **{name: (batch, *size) for name, size in manifest.memory.items()},
    }
    if shapes.keys() != expected.keys():
        raise ArtifactError(
            f"the network takes {', '.join(sorted(shapes))}; the manifest says "
            f"{', '.join(sorted(expected))}. Export the model again."
        )
    for name, shape in shapes.items():
        if not fits(shape, expected[name]):
            raise ArtifactError(
                f"the network's {name} has the shape {list(shape)}; the manifest says "
                f"{list(expected[name])}. Export the model again."
            )


def fits(shape: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    """Compare two shapes in which sizes may be open."""
    return len(shape) == len(expected) and all(
        None in (one, other) or one == other
        for one, other in zip(shape, expected, strict=True)
    )


def check_results(results: Mapping[str, np.ndarray], manifest: Manifest) -> None:
    """Compare what one event of one row led to with what the manifest says.

    Raises:
        ArtifactError: A tensor is missing, or has another shape.
    """
    output = convert(manifest, "output", Output)
    shapes = {name: np.shape(result) for name, result in results.items()}
    expected: dict[str, tuple[int, ...]] = {
        output.name: describe_main(output, shapes.get(output.name, ())),
        **{name: (1, 1, *shapes.get(name, ())[2:]) for name in output.others},
        **{name: (1, *size) for name, size in manifest.memory.items()},
    }
    if output.kind == "next_event":
        expected["surprise"] = (1, 1)
    for name, shape in expected.items():
        if shapes.get(name) != shape:
            raise ArtifactError(
                f"the network answers {name} of shape {shapes.get(name)}; the manifest "
                f"says {shape}. Export the model again."
            )


def describe_main(output: Output, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the main output's shape of one event, as far as the manifest knows it."""
    if output.labels is not None:
        return (1, 1, *shape[2:-1], len(output.labels))
    if output.horizon is not None:
        quantiles = () if output.quantiles is None else (len(output.quantiles),)
        return (1, 1, output.horizon, *quantiles)
    return (1, 1, *shape[2:])
