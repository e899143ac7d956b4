"""Bodies for the decoder of infer requests: right ones, damaged ones, and noise."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from service.api.v2.schema import DATATYPES
from service.api.v2.tensors import write_texts

NAMES = st.sampled_from(["red", "green", "poison", "blue", "", "r\u00e9d"])
INTEGERS = st.sampled_from([0, 1, 2, 3, -1, 255, 2**31 - 1, 2**31, 2**63, 10**30])
SCALARS = st.one_of(
    st.none(), st.booleans(), INTEGERS, st.floats(), NAMES, st.sampled_from([7, "42"])
)
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
PARAMETERS = st.dictionaries(
    st.sampled_from(
        [
            "binary_data_size",
            "binary_data",
            "classification",
            "sequence_id",
            "sequence_start",
            "sequence_end",
            "binary_data_output",
            "at",
            "ttl_seconds",
            "memory",
            "return",
            "sequnce_id",
            "triton_x",
            "idempotency_key",
            "own",
        ]
    ),
    SCALARS,
    max_size=3,
)
SHAPES = st.lists(st.one_of(st.integers(0, 4), INTEGERS), max_size=4)


@st.composite
def tensors(draw):
    """Draw an input and its bytes; often they fit each other."""
    datatype = draw(st.sampled_from([*DATATYPES, "BYTES", "INT32", "FP8"]))
    if draw(st.booleans()):
        names = draw(st.lists(NAMES, max_size=4))
        shape, data = [1, len(names)], write_texts(names)
    else:
        shape, data = draw(SHAPES), draw(st.binary(max_size=40))
    entry = {
        "name": draw(st.sampled_from(["sequence", "length", "x"])),
        "shape": shape,
        "datatype": datatype,
        "parameters": draw(PARAMETERS),
    }
    if draw(st.booleans()):
        entry["parameters"] = {"binary_data_size": len(data)}
    elif draw(st.booleans()):
        entry["data"] = draw(DATA)
    return entry, data


@st.composite
def bodies(draw):
    """Draw a body and the length of its JSON."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200)), draw(st.none() | st.integers(0, 220))
    drawn = draw(st.lists(tensors(), max_size=3))
    request = {
        "inputs": [entry for entry, _ in drawn],
        "parameters": draw(PARAMETERS),
        "outputs": draw(
            st.none()
            | st.lists(
                st.fixed_dictionaries(
                    {
                        "name": st.sampled_from(["probabilities", "decided", "x"]),
                        "parameters": PARAMETERS,
                    }
                ),
                max_size=2,
            )
        ),
    }
    head = json.dumps(request).encode()
    body = head + b"".join(data for _, data in drawn)
    length = len(head)
    return body, draw(st.sampled_from([length] * 5 + [None, 0]))


def mutate(generator, data, header_length):
    """Damage a body in a few places: bytes anywhere, digits of the JSON, its length."""
    body = bytearray(data)
    for _ in range(generator.randint(1, 3)):
        if not body:
            body += b"\0"
        damage(generator, body, header_length)
    if header_length is not None and generator.random() < 0.2:
        header_length = max(0, header_length + generator.choice([-1, 1, 4, 2**40]))
    return bytes(body), header_length


def damage(generator, body, header_length):
    """Damage a body in one place."""
    at = generator.randrange(len(body))
    kind = generator.randrange(5)
    if kind == 0:  # any byte, in the tensors where there are some
        first = header_length or 0
        at = generator.randrange(first, len(body)) if first < len(body) else at
        body[at] = generator.randrange(256)
    elif kind == 1:  # another digit leaves the JSON whole
        digits = [k for k, byte in enumerate(body) if 48 <= byte <= 57]
        if digits:
            body[generator.choice(digits)] = generator.randrange(48, 58)
    elif kind == 2:
        del body[at : at + generator.randint(1, 8)]
    elif kind == 3:
        body[at:at] = generator.randbytes(generator.randint(1, 8))
    else:
        body[at:at] = body[at : at + generator.randint(1, 40)]
