"""Builds the network as an ONNX graph: `python graph.py WEIGHTS.npz OUT.onnx`.

`events`, int64 of shape (batch, timesteps), to `probabilities` after the last, float32
of shape (batch, labels). Built by hand, since it is six operations.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def reorder(packed):
    """Pack Keras's gates i, f, g, o as ONNX has them: i, o, f, g; rows are units."""
    i, f, g, o = np.split(packed, 4, axis=-1)
    return np.concatenate([i, o, f, g], axis=-1).T[None]


def build(weights):
    """Build the graph around weights in Keras's order."""
    kernel, recurrent, bias, head, head_bias = weights
    constants = {
        "kernel": reorder(kernel),
        "recurrent": reorder(recurrent),
        # ONNX adds a second bias, of the recurrent product; Keras has none.
        "bias": np.concatenate([reorder(bias[None])[..., 0], 0 * bias[None]], axis=-1),
        "head": head,
        "head_bias": head_bias,
        "depth": np.array(len(kernel), np.int64),
        "off_on": np.array([0, 1], np.float32),
        "first": np.array([0], np.int64),
    }
    nodes = [
        ("Transpose", ["events"], ["by_time"], {"perm": [1, 0]}),
        ("OneHot", ["by_time", "depth", "off_on"], ["features"], {"axis": -1}),
        (
            "LSTM",
            ["features", "kernel", "recurrent", "bias"],
            ["", "last"],
            {"hidden_size": len(recurrent)},
        ),
        ("Squeeze", ["last", "first"], ["hidden"], {}),
        ("Gemm", ["hidden", "head", "head_bias"], ["logits"], {}),
        ("Softmax", ["logits"], ["probabilities"], {"axis": -1}),
    ]
    tensor = helper.make_tensor_value_info
    return helper.make_graph(
        [helper.make_node(op, i, o, **options) for op, i, o, options in nodes],
        "lstm",
        [tensor("events", TensorProto.INT64, ["batch", "timesteps"])],
        [tensor("probabilities", TensorProto.FLOAT, ["batch", len(head_bias)])],
        [
            numpy_helper.from_array(np.ascontiguousarray(value), name)
            for name, value in constants.items()
        ],
    )


if __name__ == "__main__":
    source, target = sys.argv[1:]
    stored = np.load(source)
    graph = build([stored[name] for name in stored.files])
    # Versions that every ONNX Runtime of the last years reads.
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)
