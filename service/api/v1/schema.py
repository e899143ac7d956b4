"""The v1 dialect's schema: a body and a row, as structs that validate them.

The structs both check requests while they are parsed and describe them in the OpenAPI
document. Knows no model's events.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.common.value import Value
from service.engine.rows import Refused, Row
from service.sessions.lifecycle import MAX_SESSION_BYTES

# A year: longer than any sensor sleeps, short enough that a slip of unit is noticed.
MAX_TTL_SECONDS = 366 * 86_400
# JavaScript's and the wire's: larger integers lose digits on their way.
MAX_COUNT = 2**53

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Seconds = Annotated[float, Meta(gt=0, le=MAX_TTL_SECONDS)]
Returned = Literal["last", "all"]
Top = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Threshold = Annotated[float, Meta(ge=0, le=1)]
SessionId = Annotated[str, Meta(max_length=MAX_SESSION_BYTES)]
# OpenVINO Model Server's tensors are of shape [1]; a number alone says the same.
# A bound of this size cannot be checked while parsing; `v1_sequence` does.
UInt64 = Annotated[int, Meta(ge=0, extra_json_schema={"maximum": 2**64 - 1})]
SequenceId = UInt64 | str | Annotated[list[UInt64 | str], Meta(min_length=1)]
Control = Literal[0, 1, 2]
Controls = Control | Annotated[list[Control], Meta(min_length=1)]


class ObjectRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row with options; a bare row is its `sequence` alone."""

    sequence: list[Any]
    session: SessionId | UnsetType = UNSET
    memory: str | dict[str, Any] | UnsetType | None = UNSET
    at: Count | None = None
    start: bool = False
    end: bool = False
    ttl_seconds: Seconds | None = None
    sequence_id: SequenceId | UnsetType = UNSET
    sequence_control_input: Controls | UnsetType = UNSET


class PredictBody(
    msgspec.Struct, forbid_unknown_fields=True, rename={"returned": "return"}
):
    """The body of `:predict` and `:explain`: rows, or columns."""

    instances: list[ObjectRow | list[Any]] | UnsetType = UNSET
    inputs: list[Any] | dict[str, Any] | UnsetType = UNSET
    returned: Returned = "last"
    top: Top | None = None
    threshold: Threshold | None = None
    signature_name: str = "serving_default"
    memory_format: Literal["sealed", "plain"] = "sealed"


class Options(NamedTuple):
    """How answers are written: body options shared by all rows.

    Attributes:
        is_last_only: Whether only the last timestep's outputs are shown.
        top: How many most probable labels are named, if any.
        threshold: Probability from which a label is decided, as a float32 has it.
        is_columnar: Whether the body came in columns, and the answer goes so.
    """

    is_last_only: bool
    top: int | None
    threshold: float | None
    is_columnar: bool = False


class ParsedRow(Value, frozen=True, eq=False):
    """A row for the engine, and what is known of it besides.

    Args:
        row: The row.
        is_bare: Whether it came without options.
        sequence_id: The sequence id it came with.
        warning: What its answer has to warn of.
    """

    row: Row | Refused
    is_bare: bool = False
    sequence_id: int | str | None = None
    warning: str | None = None


class Request(Value, frozen=True):
    """A parsed body."""

    options: Options
    rows: list[ParsedRow]

    @property
    def warnings(self) -> list[str]:
        """What the answer has to warn of."""
        return [parsed.warning for parsed in self.rows if parsed.warning]
