"""One request, three dialects, the same bits: rows, columns and tensors."""

import struct
from itertools import cycle

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assembly import serve
from tests.fakes import counting_model

PREDICT = "/v1/models/counting:predict"
INFER = "/v2/models/counting/infer"
events = st.lists(st.sampled_from(["red", "green"]), min_size=1, max_size=7)
bounded = settings(max_examples=15, deadline=None, database=None)


def begin():
    """Give a client of a service that remembers nothing yet."""
    return serve([counting_model()])


def floats(values):
    """Read probabilities as the float32 they were, bit by bit."""
    return np.array(values, np.float32).tobytes()


def by_rows(client, sequences, session=None, begins=False):
    """Send native rows, bare or of a session."""
    rows = sequences
    if session is not None:
        rows = [{"sequence": one, "session": str(session)} for one in sequences]
    answer = client.post(PREDICT, json={"instances": rows}).get_json()
    if session is None:
        return floats(answer["predictions"])
    return floats([row["probabilities"] for row in answer["predictions"]])


def by_columns(client, sequences, session=None, begins=False):
    """Send TensorFlow Serving's columns, with OpenVINO's sequences."""
    inputs = {"sequence": sequences}
    if session is not None:
        inputs |= {"sequence_id": [session], "sequence_control_input": [int(begins)]}
    outputs = client.post(PREDICT, json={"inputs": inputs}).get_json()["outputs"]
    return floats(outputs if session is None else outputs["probabilities"])


def tensor_of(sequences):
    """Lay sequences out as one tensor, padded with empty names."""
    longest = max(map(len, sequences))
    padded = [one + [""] * (longest - len(one)) for one in sequences]
    shape = [len(sequences), longest]
    data = [name for one in padded for name in one]
    return data, {"name": "sequence", "datatype": "BYTES", "shape": shape}


def length_of(sequences):
    """State how many events of each padded row are its own."""
    lengths = [len(one) for one in sequences]
    shape = [len(lengths)]
    return {"name": "length", "datatype": "INT32", "shape": shape, "data": lengths}


def parameters_of(session, begins):
    """Name the sequence, as Triton's clients do."""
    if session is None:
        return {}
    return {"sequence_id": session, "sequence_start": begins}


def by_tensors(client, sequences, session=None, begins=False):
    """Send Open Inference tensors in JSON."""
    data, tensor = tensor_of(sequences)
    body = {
        "inputs": [{**tensor, "data": data}, length_of(sequences)],
        "parameters": parameters_of(session, begins),
    }
    outputs = client.post(INFER, json=body).get_json()["outputs"]
    return floats(next(o["data"] for o in outputs if o["name"] == "probabilities"))


def by_binary_tensors(client, sequences, session=None, begins=False):
    """Send Open Inference tensors in Triton's binary form."""
    data, tensor = tensor_of(sequences)
    binary = b"".join(struct.pack("<I", len(name)) + name.encode() for name in data)
    wanted = {"name": "probabilities", "parameters": {"binary_data": True}}
    head = orjson.dumps(
        {
            "inputs": [
                {**tensor, "parameters": {"binary_data_size": len(binary)}},
                length_of(sequences),
            ],
            "outputs": [wanted],
            "parameters": parameters_of(session, begins),
        }
    )
    name = "Inference-Header-Content-Length"
    answer = client.post(INFER, data=head + binary, headers={name: str(len(head))})
    return answer.data[int(answer.headers[name]) :]


DIALECTS = (by_rows, by_columns, by_tensors, by_binary_tensors)


@bounded
@given(sequences=st.lists(events, min_size=1, max_size=4))
def test_rows_without_memory_are_the_same_bits(sequences):
    client = begin()

    answers = {dialect(client, sequences) for dialect in DIALECTS}

    assert len(answers) == 1


@bounded
@given(parts=st.lists(events, min_size=1, max_size=5))
def test_sessions_are_the_same_bits_in_every_dialect(parts):
    client = begin()

    reported = [
        [
            dialect(client, [part], session=10 + k, begins=n == 0)
            for n, part in enumerate(parts)
        ]
        for k, dialect in enumerate(DIALECTS)
    ]

    assert all(answers == reported[0] for answers in reported)


@bounded
@given(parts=st.lists(events, min_size=2, max_size=8), first=st.integers(0, 3))
def test_one_session_continues_from_dialect_to_dialect(parts, first):
    client = begin()
    order = DIALECTS[first:] + DIALECTS[:first]
    alone = [by_rows(client, [part], session=1) for part in parts]

    mixed = [
        dialect(client, [part], session=2, begins=n == 0)
        for n, (part, dialect) in enumerate(zip(parts, cycle(order), strict=False))
    ]

    assert mixed == alone
