"""The v2 dialect's outputs: which of a model's are asked for, and in which form."""

from __future__ import annotations

from collections.abc import Sequence

from service.api.v2.body import no_shared_memory
from service.api.v2.input_plan import plan_of
from service.api.v2.parameters import read
from service.api.v2.schema import Form, OutputForm, Parameters, Remembering, Wanted
from service.errors import InvalidRequest
from service.registry.catalog import Model


def choose_outputs(form: Form, memory: Remembering, model: Model) -> Sequence[Wanted]:
    """Return the outputs that are asked for; all of them unless some are named."""
    names = plan_of(model).outputs
    is_binary = False
    if "binary_data_output" in form.parameters:
        is_binary = bool(read(form.parameters, "binary_data_output", False))
    if not form.outputs:
        return [Wanted(name, is_binary) for name in names]
    wanted: list[Wanted] = []
    for output in form.outputs:
        wanted.append(choose_output(output, names, is_binary, memory))
    return wanted


def choose_output(
    output: OutputForm, names: Sequence[str], is_binary: bool, memory: Remembering
) -> Wanted:
    """Check one output that is asked for."""
    if output.name not in names:
        raise InvalidRequest(
            f"output {output.name[:80]!r} is not one of this model's; its outputs are "
            f"{', '.join(names)}.",
            error=f"unexpected inference output '{output.name[:80]}'",
        )
    wanted = read_wanted(output.name, output.parameters, is_binary=is_binary)
    if wanted.num_classes and not memory.is_last_only:
        raise InvalidRequest(
            'classification names the classes after the last event; it and "return": '
            '"all" exclude each other.'
        )
    return wanted


def read_wanted(name: str, parameters: Parameters, *, is_binary: bool) -> Wanted:
    """Read in which form an output is wanted."""
    if not parameters:
        return Wanted(name, is_binary)
    if len(parameters) == 1 and parameters.get("binary_data") is True:
        return Wanted(name, True)  # as Triton's clients ask
    if "shared_memory_region" in parameters:
        raise no_shared_memory(name)
    num_classes = int(read(parameters, "classification", 0))
    if num_classes < 0:
        raise InvalidRequest(
            f"classification of output {name!r} is {num_classes}; expected 1 or more."
        )
    is_binary = bool(read(parameters, "binary_data", is_binary))
    return Wanted(name, is_binary, num_classes)
