"""Operations of TensorFlow between the layers of TF 2.x, as operations of Keras.

TF 2.4 to 2.15 wrote `x * 2`, `tf.nn.relu(x)` and `x[:, -1]` in a Functional model as
layers `TFOpLambda` and `SlicingOpLambda` with the name of the function. Each is an
entry of a table here: the operation of Keras that means the same, or a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from training.errors import ModelError

Config = dict[str, Any]

OPERATION_LAYERS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
REPLACE = (
    "Use a layer of Keras in its place, such as Rescaling, Add or Multiply, and save "
    "the model again."
)


class OperationRule(NamedTuple):
    """Translation of a function of TensorFlow to an operation of Keras.

    Args:
        module: Of `keras.src.ops` where the operation is.
        name: Its class.
        tensors: Names of the function's parameters that hold tensors, in the order of
            the operation's.
        options: Names of the function's other parameters, and what the operation's
            constructor calls them.
        fixed: Further arguments of the constructor.
        defaults: Values of the function's parameters that are not Keras's own.
    """

    module: str
    name: str
    tensors: tuple[str, ...] = ("x",)
    options: Mapping[str, str] = {}
    fixed: Mapping[str, Any] = {}
    defaults: Mapping[str, Any] = {}


def unary(
    module: str, names: Mapping[str, str], *tensors: str
) -> dict[str, OperationRule]:
    """Write the rules of functions of one tensor."""
    return {
        function: OperationRule(module, name, tensors or ("x",))
        for function, name in names.items()
    }


def binary(names: Mapping[str, str]) -> dict[str, OperationRule]:
    """Write the rules of functions of two tensors."""
    return {
        name: OperationRule("numpy", kind, ("x", "y")) for name, kind in names.items()
    }


def reductions(names: Mapping[str, str]) -> dict[str, OperationRule]:
    """Write the rules of functions that reduce axes."""
    options = {"axis": "axis", "keepdims": "keepdims"}
    return {
        function: OperationRule("numpy", name, ("input_tensor",), options)
        for function, name in names.items()
    }


AXIS = {"axis": "axis"}
# The function of TensorFlow, by the name that Keras 2 wrote.
RULES: dict[str, OperationRule] = {
    **binary(
        {
            "__operators__.add": "Add",
            "math.add": "Add",
            "math.subtract": "Subtract",
            "math.multiply": "Multiply",
            "math.truediv": "TrueDivide",
            "math.divide": "TrueDivide",
            "math.divide_no_nan": "DivideNoNan",
            "math.floordiv": "FloorDivide",
            "math.floormod": "Mod",
            "math.pow": "Power",
            "math.maximum": "Maximum",
            "math.minimum": "Minimum",
            "math.greater": "Greater",
            "math.greater_equal": "GreaterEqual",
            "math.less": "Less",
            "math.less_equal": "LessEqual",
            "math.equal": "Equal",
            "math.not_equal": "NotEqual",
            "math.logical_and": "LogicalAnd",
            "math.logical_or": "LogicalOr",
        }
    ),
    **unary(
        "numpy",
        {
            "math.abs": "Absolute",
            "math.negative": "Negative",
            "math.square": "Square",
            "math.sqrt": "Sqrt",
            "math.exp": "Exp",
            "math.expm1": "Expm1",
            "math.log": "Log",
            "math.log1p": "Log1p",
            "math.sin": "Sin",
            "math.cos": "Cos",
            "math.tan": "Tan",
            "math.tanh": "Tanh",
            "nn.tanh": "Tanh",
            "math.sign": "Sign",
            "math.floor": "Floor",
            "math.ceil": "Ceil",
            "math.round": "Round",
            "math.reciprocal": "Reciprocal",
            "math.logical_not": "LogicalNot",
            "math.is_nan": "Isnan",
            "math.is_finite": "Isfinite",
        },
    ),
    **unary(
        "nn",
        {
            "math.sigmoid": "Sigmoid",
            "nn.sigmoid": "Sigmoid",
        },
    ),
    **unary(
        "nn",
        {
            "nn.relu": "Relu",
            "nn.relu6": "Relu6",
            "nn.selu": "Selu",
            "nn.elu": "Elu",
            "nn.softplus": "Softplus",
            "math.softplus": "Softplus",
            "nn.softsign": "Softsign",
        },
        "features",
    ),
    **unary("math", {"math.rsqrt": "Rsqrt", "math.erf": "Erf"}),
    **reductions(
        {
            "math.reduce_mean": "Mean",
            "math.reduce_sum": "Sum",
            "math.reduce_max": "Max",
            "math.reduce_min": "Min",
            "math.reduce_prod": "Prod",
            "math.reduce_any": "Any",
            "math.reduce_all": "All",
            "math.reduce_std": "Std",
            "math.reduce_variance": "Var",
        }
    ),
    "math.cumsum": OperationRule("numpy", "Cumsum", options=AXIS, defaults={"axis": 0}),
    "math.argmax": OperationRule(
        "numpy", "Argmax", ("input",), AXIS, defaults={"axis": 0}
    ),
    "math.argmin": OperationRule(
        "numpy", "Argmin", ("input",), AXIS, defaults={"axis": 0}
    ),
    "nn.softmax": OperationRule(
        "nn", "Softmax", ("logits",), AXIS, defaults={"axis": -1}
    ),
    "nn.log_softmax": OperationRule(
        "nn", "LogSoftmax", ("logits",), AXIS, defaults={"axis": -1}
    ),
    "nn.leaky_relu": OperationRule(
        "nn",
        "LeakyRelu",
        ("features",),
        {"alpha": "negative_slope"},
        defaults={"alpha": 0.2},
    ),
    "nn.gelu": OperationRule(
        "nn",
        "Gelu",
        ("features",),
        {"approximate": "approximate"},
        defaults={"approximate": False},
    ),
    "nn.silu": OperationRule("nn", "Silu", ("features",)),
    "nn.swish": OperationRule("nn", "Silu", ("features",)),
    "clip_by_value": OperationRule(
        "numpy", "Clip", ("t",), {"clip_value_min": "x_min", "clip_value_max": "x_max"}
    ),
    "where": OperationRule("numpy", "Where", ("condition", "x", "y")),
    "concat": OperationRule("numpy", "Concatenate", ("values",), AXIS),
    "stack": OperationRule("numpy", "Stack", ("values",), AXIS, defaults={"axis": 0}),
    "split": OperationRule(
        "numpy",
        "Split",
        ("value",),
        {"num_or_size_splits": "indices_or_sections", "axis": "axis"},
        defaults={"axis": 0},
    ),
    "expand_dims": OperationRule("numpy", "ExpandDims", ("input",), AXIS),
    "squeeze": OperationRule("numpy", "Squeeze", ("input",), AXIS),
    "transpose": OperationRule("numpy", "Transpose", ("a",), {"perm": "axes"}),
    "reshape": OperationRule("numpy", "Reshape", ("tensor",), {"shape": "newshape"}),
    "tile": OperationRule("numpy", "Tile", ("input",), {"multiples": "repeats"}),
    "repeat": OperationRule(
        "numpy", "Repeat", ("input",), {"repeats": "repeats", **AXIS}
    ),
    "linalg.matmul": OperationRule("numpy", "Matmul", ("a", "b")),
    # Keras bounds the norm from below, TensorFlow its square.
    "math.l2_normalize": OperationRule(
        "nn", "Normalize", ("x",), AXIS, {"order": 2, "epsilon": 1e-6}
    ),
    "cast": OperationRule("core", "Cast", ("x",), {"dtype": "dtype"}),
    "one_hot": OperationRule(
        "nn",
        "OneHot",
        ("indices",),
        {"depth": "num_classes"},
        {"axis": -1, "dtype": "float32"},
    ),
    "zeros_like": OperationRule("numpy", "ZerosLike", ("input",)),
    "ones_like": OperationRule("numpy", "OnesLike", ("input",)),
    "identity": OperationRule("numpy", "Copy", ("input",)),
    "stop_gradient": OperationRule("numpy", "Copy", ("input",)),
}
# The same functions by other names.
for alias, name in {
    "add": "math.add",
    "subtract": "math.subtract",
    "multiply": "math.multiply",
    "maximum": "math.maximum",
    "minimum": "math.minimum",
    "abs": "math.abs",
    "argmax": "math.argmax",
    "matmul": "linalg.matmul",
    "compat.v1.squeeze": "squeeze",
    "compat.v1.transpose": "transpose",
    "compat.v1.argmax": "math.argmax",
    "math.softmax": "nn.softmax",
}.items():
    RULES[alias] = RULES[name]
# Parameters that change no number, and the values with which others do not.
HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "axis": (None, -1),
    "epsilon": (1e-12,),
    "output_type": ("int64", "int32", None),
    "on_value": (None, 1, 1.0),
    "off_value": (None, 0, 0.0),
    "num": (None,),
}


def translate_operation(layer: Config, calls: list[Config]) -> Config:
    """Write a layer of TensorFlow's as the operation of Keras that means the same.

    Args:
        layer: As the file has it.
        calls: What it is called with, in the form of Keras 3.

    Raises:
        ModelError: No rule translates it.
    """
    function = str(layer["config"].get("function", layer["class_name"]))
    if layer["class_name"] == "SlicingOpLambda" or function == "__operators__.getitem":
        return write(layer, "numpy", "GetItem", {}, [slice_call(c) for c in calls])
    rule = RULES.get(function)
    if rule is None or len(calls) != 1:
        raise refuse(layer, "has no counterpart in Keras 3")
    (call,) = calls
    given = bind(rule, layer, call)
    tensors = [write_constants(given.pop(name)) for name in rule.tensors]
    if function.endswith("matmul") and given.pop("transpose_b", False):
        # The product with the last two axes of the second tensor exchanged.
        rule = OperationRule(
            "numpy", "Einsum", fixed={"subscripts": "...ij,...kj->...ik"}
        )
    options = {**rule.fixed}
    for name, meant in rule.options.items():
        value = given.pop(name, None)
        value = rule.defaults.get(name) if value is None else value
        if value is not None:
            options[meant] = value
    for name, value in given.items():
        if name != "name" and value not in HARMLESS.get(name, (None, False)):
            raise refuse(layer, f"has {name} = {value!r}, for which there is no rule")
    check_options(layer, options)
    nodes = [{"args": tensors, "kwargs": {}}]
    return write(layer, rule.module, rule.name, options, nodes)


def bind(rule: OperationRule, layer: Config, call: Config) -> Config:
    """Give the arguments of a call the names of the function's parameters.

    Raises:
        ModelError: A tensor is missing.
    """
    (first,) = call["args"]
    given = {rule.tensors[0]: first, **call["kwargs"]}
    if rule.tensors[0] == "values" and not isinstance(first, list):
        given["values"] = [first]
    if not set(rule.tensors) <= set(given):
        raise refuse(layer, "is called in a way that has no counterpart in Keras 3")
    return given


def check_options(layer: Config, options: Config) -> None:
    """Refuse options that are tensors, and sizes where Keras takes places.

    Raises:
        ModelError: There is one.
    """
    if "__keras_tensor__" in str(options):
        raise refuse(layer, "has an option that is computed; expected a number")
    sections = options.get("indices_or_sections")
    if isinstance(sections, list):
        # TensorFlow names the sizes of the parts, Keras where they end.
        options["indices_or_sections"] = np.cumsum(sections)[:-1].tolist()


def slice_call(call: Config) -> Config:
    """Write `x[...]` with its key as Keras 3 does."""
    key = call["kwargs"].get("slice_spec")
    return {"args": [*call["args"], write_key(key)], "kwargs": {}}


def write_key(key: Any) -> Any:
    """Write the key of a slice: a number, a slice, `...`, None, or several of them."""
    if isinstance(key, list):
        return [write_key(one) for one in key]
    if isinstance(key, dict) and "start" in key:
        return {"class_name": "__slice__", "config": key}
    if isinstance(key, dict):
        return {"class_name": "__ellipsis__", "config": {}}
    return key


def write_constants(value: Any) -> Any:
    """Write lists of numbers as arrays, for the shape and type Keras needs."""
    if not isinstance(value, list) or "__keras_tensor__" in str(value):
        return value
    dtype = "int32" if np.asarray(value).dtype.kind == "i" else "float32"
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}


def write(
    layer: Config, module: str, name: str, options: Config, nodes: list[Config]
) -> Config:
    """Write an operation of Keras as its configurations have it."""
    own = layer["name"]
    return {
        "module": f"keras.src.ops.{module}",
        "class_name": name,
        "registered_name": name,
        "config": {"name": own, **options},
        "name": own,
        "inbound_nodes": nodes,
    }


def refuse(layer: Config, why: str) -> ModelError:
    """Refuse an operation that no rule translates."""
    function = layer["config"].get("function")
    what = f"tf.{function}" if function else layer["class_name"]
    return ModelError(f"operation {layer['name']!r} ({what}) {why}. {REPLACE}")
