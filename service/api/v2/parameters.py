"""The v2 dialect's parameters: what a request says of memory and of its answer.

Knows the sequence extension of Triton, and what this service adds; no tensors.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from service.api.v2.schema import Parameters, Remembering, Value
from service.engine.idempotency import parse_key
from service.errors import InvalidRequest, UnknownField
from service.sessions.record import check_session_id

# A year, as in the native calls.
MAX_TTL_SECONDS = 366 * 86_400
MAX_SEQUENCE_ID = 2**64 - 1
MAX_STEP = 2**53
KNOWN = (
    "sequence_id",
    "sequence_start",
    "sequence_end",
    "binary_data_output",
    "idempotency_key",
    "at",
    "ttl_seconds",
    "memory",
    "return",
    "priority",
    "timeout",
    "headers",
)
KNOWN_NAMES = frozenset(KNOWN)
# What tritonclient sends with a sequence.
SEQUENCE = frozenset(KNOWN[:4])
KINDS: dict[str, tuple[type, ...]] = {
    "sequence_id": (int, str),
    "sequence_start": (bool,),
    "sequence_end": (bool,),
    "binary_data_output": (bool,),
    "idempotency_key": (str,),
    "at": (int,),
    "ttl_seconds": (int, float),
    "memory": (str,),
    "return": (str,),
    "binary_data": (bool,),
    "classification": (int,),
    "binary_data_size": (int,),
}
SEQUENCE_ID = KINDS["sequence_id"]
NO_MEMORY = Remembering()
WORDS = {bool: "a boolean", int: "a whole number", float: "a number", str: "text"}


def read(parameters: Mapping[str, Value], name: str, default: Value) -> Value:
    """Return a parameter of the kind it has to be.

    Raises:
        InvalidRequest: It is of another kind.
    """
    if name not in parameters:
        return default
    value = parameters[name]
    if type(value) not in KINDS[name]:
        expected = " or ".join(WORDS[kind] for kind in KINDS[name])
        raise InvalidRequest(
            f"parameter {name!r} is {str(value)[:80]!r}; expected {expected}."
        )
    return value


def check_parameters(parameters: Parameters) -> None:
    """Refuse reserved names, and slips of those that are known.

    Others are the client's own: Triton hands them to the model, which here takes none.

    Raises:
        InvalidRequest: A name begins with `triton_`.
        UnknownField: A name is close to a known one.
    """
    for name in parameters.keys() - KNOWN_NAMES:
        if name.startswith("triton_"):
            raise InvalidRequest(
                f"parameter {name[:80]!r} begins with triton_, which is reserved. "
                "Leave it out."
            )
        if close := difflib.get_close_matches(name[:80], KNOWN, n=1, cutoff=0.8):
            raise UnknownField(
                f"parameter {name[:80]!r} is not known. Did you mean {close[0]!r}?"
            )


def read_memory(parameters: Parameters) -> Remembering:
    """Read what the parameters say of memory.

    Raises:
        InvalidRequest: They contradict each other, or one cannot be used.
    """
    if not parameters:
        return NO_MEMORY
    if not KNOWN_NAMES.issuperset(parameters):
        check_parameters(parameters)
    sequence_id = read_sequence_id(parameters)
    start = parameters.get("sequence_start", False)
    end = parameters.get("sequence_end", False)
    if not (isinstance(start, bool) and isinstance(end, bool)):
        start = bool(read(parameters, "sequence_start", False))
        end = bool(read(parameters, "sequence_end", False))
    session = None if sequence_id is None else str(sequence_id)
    memory = Remembering(sequence_id, session, start, end)
    if not SEQUENCE.issuperset(parameters):
        memory = memory.replace(
            at=read_at(parameters),
            ttl_seconds=read_ttl(parameters),
            key=read_key(parameters),
            token=read_token(parameters),
            is_last_only=read_return(parameters),
        )
    if session is None or memory.token is not None:
        check_memory(memory)
    return memory


def read_sequence_id(parameters: Parameters) -> int | str | None:
    """Read the id of a sequence; 0 and "" mean no id, as for Triton.

    An integer names the session of its digits: 42 and "42" are one.

    Raises:
        InvalidRequest: It is of another kind, not in 1 to `MAX_SEQUENCE_ID`, or text
            that cannot be an id.
    """
    value = parameters.get("sequence_id", 0)
    if type(value) not in SEQUENCE_ID:
        read(parameters, "sequence_id", 0)
    if value in (0, ""):
        return None
    if isinstance(value, int) and not 0 < value <= MAX_SEQUENCE_ID:
        raise InvalidRequest(
            f"sequence_id is {str(value)[:40]}; expected 1 to {MAX_SEQUENCE_ID}, or "
            "text."
        )
    check_session_id(str(value))
    return value if isinstance(value, int) else str(value)


def read_at(parameters: Parameters) -> int | None:
    """Read the step the client believes its sequence to be at.

    Raises:
        InvalidRequest: It is not a whole number from 0 to `MAX_STEP`.
    """
    if "at" not in parameters:
        return None
    at = int(read(parameters, "at", 0))
    if not 0 <= at <= MAX_STEP:
        raise InvalidRequest(f"parameter 'at' is {str(at)[:40]}; expected 0 or more.")
    return at


def read_key(parameters: Parameters) -> str | None:
    """Read the idempotency key, quoted or bare as its header."""
    if "idempotency_key" not in parameters:
        return None
    return parse_key(str(read(parameters, "idempotency_key", "")))


def read_token(parameters: Parameters) -> str | None:
    """Read the sealed memory; empty to begin with one."""
    return str(read(parameters, "memory", "")) if "memory" in parameters else None


def read_ttl(parameters: Parameters) -> float | None:
    """Read the idle lifetime asked for.

    Raises:
        InvalidRequest: It is not a number above 0, or it is above `MAX_TTL_SECONDS`.
    """
    if "ttl_seconds" not in parameters:
        return None
    value = read(parameters, "ttl_seconds", 0)
    # Compared before it is converted: an integer may be beyond any float.
    if isinstance(value, str) or not 0 < value <= MAX_TTL_SECONDS:
        raise InvalidRequest(
            f"parameter 'ttl_seconds' is {str(value)[:40]}; expected more than 0 and "
            f"at most {MAX_TTL_SECONDS}."
        )
    return float(value)


def read_return(parameters: Parameters) -> bool:
    """Read whether outputs are wanted after the last event only.

    Raises:
        InvalidRequest: It is neither `last` nor `all`.
    """
    value = read(parameters, "return", "last")
    if value not in ("last", "all"):
        raise InvalidRequest(
            f'parameter \'return\' is {str(value)[:80]!r}; expected "last" or "all".'
        )
    return value == "last"


def check_memory(memory: Remembering) -> None:
    """Refuse parameters that contradict each other.

    Raises:
        InvalidRequest: There are both an id and a memory, or a parameter of one that is
            missing.
    """
    if memory.session is not None and memory.token is not None:
        raise InvalidRequest(
            "the parameters have both sequence_id and memory; send sequence_id when "
            "the service is to remember, memory when the client does."
        )
    if memory.session is None and (memory.start or memory.end):
        raise InvalidRequest(
            "sequence_start and sequence_end belong to a sequence, and the request "
            "has no sequence_id. Add one, or leave them out."
        )
    is_remembered = memory.session is not None or memory.token is not None
    if not is_remembered and not (memory.at is None and memory.ttl_seconds is None):
        raise InvalidRequest(
            "at and ttl_seconds belong to a memory, and the request has none. Add a "
            "sequence_id or a memory, or leave them out."
        )
