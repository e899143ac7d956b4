"""Requests and answers of `/v2/models/counting/infer`, as JSON and in binary."""

import json

import numpy as np

from service.api.v2.tensors import write_texts

INFER = "/v2/models/counting/infer"
LENGTH = "Inference-Header-Content-Length"
NEVER_STARTED = (
    "inference request for sequence {} to model 'counting' must specify the START flag "
    "on the first request of the sequence"
)


def events(*names, **more):
    return {
        "name": "sequence",
        "shape": [1, len(names)],
        "datatype": "BYTES",
        "data": list(names),
        **more,
    }


def body(*names, outputs=None, id=None, **parameters):
    built = {"inputs": [events(*names)], "parameters": parameters}
    if outputs is not None:
        built["outputs"] = outputs
    if id is not None:
        built["id"] = id
    return built


def binary_body(*names, **parameters):
    """Build the body and headers of a request with its tensor in binary."""
    data = write_texts(names)
    entry = events(*names, parameters={"binary_data_size": len(data)})
    del entry["data"]
    head = json.dumps({"inputs": [entry], "parameters": parameters}).encode()
    return head + data, {LENGTH: str(len(head))}


def outputs_of(response):
    """Read the outputs of an answer by name, whichever form they have."""
    length = response.headers.get(LENGTH)
    head = response.data if length is None else response.data[: int(length)]
    tail = b"" if length is None else response.data[int(length) :]
    values = {}
    for output in json.loads(head)["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        dtype = {"FP32": "<f4", "BOOL": "?"}.get(output["datatype"], object)
        if size is None:
            array = np.array(output["data"], dtype)
        else:
            array = np.frombuffer(tail[:size], dtype)
            tail = tail[size:]
        values[output["name"]] = array.reshape(output["shape"])
    assert not tail
    return values
