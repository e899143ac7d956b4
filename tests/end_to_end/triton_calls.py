"""Calls by Triton's own client."""

import numpy as np
import tritonclient.http as triton

MODEL = "next-lstm"
# Enough calls that each of two workers gets some: half of them missing one would be
# one in a million.
MANY = 20


def client(server):
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as opened:
        yield opened


def tensor(name, values, datatype, *, is_binary=True):
    dtype = {"BYTES": object, "FP32": "f4", "FP64": "f8", "INT32": "i4", "INT64": "i8"}
    array = np.array(values, dtype[datatype])
    built = triton.InferInput(name, list(array.shape), datatype)
    built.set_data_from_numpy(array, binary_data=is_binary)
    return built


def events(*names, is_binary=True):
    return tensor("sequence", [names], "BYTES", is_binary=is_binary)


def infer(client, *names, is_binary=True, **options):
    return client.infer(MODEL, [events(*names, is_binary=is_binary)], **options)


def parameters_of(result):
    return result.get_response()["parameters"]
