"""Loop of a recurrent cell over a chunk of timesteps, for compiled programs.

What a cell makes of the events alone is one product for the chunk; the rest runs in a
loop. A compiler packs the weights once for each step that is laid out: a chunk without
a loop does not fit in a processor's caches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from models.gates import Tensor
from models.tracing import MEMORIES, TWINS, project

# From inputs of one timestep and states to output and states.
Step = Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, list[Tensor]]]
# Steps of an iteration, of one loop after the other. An iteration costs half a step;
# four copies of the weights of 128 units take 1 MB.
ITERATIONS = (4, 1)


class ChunkLoop(keras.layers.RNN):
    """A recurrent layer without a loop for one timestep, and with one for more.

    Args:
        cell: As `keras.layers.RNN` takes it.
        unroll: False makes it that layer, for any number of timesteps.
        is_prefix: Whether the mask is true up to a length and false after it. A batch
            of one row then ends there; outputs after it are zeros.
        kwargs: Others of that layer.
    """

    def __init__(
        self, cell: Any, *, unroll: bool, is_prefix: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(cell, unroll=unroll, **kwargs)
        self.is_prefix = is_prefix

    def inner_loop(
        self,
        sequences: Tensor,
        initial_state: Any,
        mask: Tensor,
        training: bool = False,
    ) -> Any:
        """Run the cell over the timesteps; return last output, outputs and states."""
        timesteps = sequences.shape[1]
        if not self.unroll or timesteps == 1:
            return super().inner_loop(sequences, initial_state, mask, training)
        states = list(keras.tree.flatten(initial_state))
        inputs, step = part_cell(self.cell, sequences)
        size = getattr(self.cell, "output_size", None) or states[0].shape[-1]
        if self.is_prefix and sequences.shape[0] == 1:
            count = ops.sum(ops.cast(mask[0], "int32"))
            outputs, states = run_loop(step, [inputs], states, count, size)
            return outputs[:, -1], outputs, states
        begin = ops.zeros((sequences.shape[0], size), states[0].dtype)
        # As numbers: LiteRT takes no part of what is true or false.
        is_event = ops.cast(mask[..., None], "int32")
        outputs, (_, *states) = run_loop(
            hold_masked(step), [inputs, is_event], [begin, *states], timesteps, size
        )
        if self.zero_output_for_mask:
            outputs = ops.where(mask[..., None], outputs, 0.0)
        return outputs[:, -1], outputs, states


def part_cell(cell: Any, sequences: Tensor) -> tuple[Tensor, Step]:
    """Part a cell in what it makes of the events alone, and the step that is left.

    A cell of a kind that is not known is left whole.
    """
    if type(cell) not in TWINS:

        def call(inputs: Sequence[Tensor], states: Sequence[Tensor]) -> Any:
            output, after = cell(inputs[0], list(states))
            return output, list(keras.tree.flatten(after))

        return sequences, call
    twin, _ = TWINS[type(cell)]

    def step(inputs: Sequence[Tensor], states: Sequence[Tensor]) -> Any:
        trace = twin(cell, inputs[0], states)
        after = [trace[name] for name in MEMORIES if name in trace]
        return after[0], after

    return project(cell, sequences), step


def hold_masked(step: Step) -> Step:
    """Have a step repeat output and states where its last input is 0.

    The output before it is the first of the states.
    """

    def masked_step(inputs: Sequence[Tensor], states: Sequence[Tensor]) -> Any:
        *inputs, is_event = inputs
        output, after = step(inputs, states[1:])
        kept = [
            ops.where(is_event > 0, new, old)
            for new, old in zip([output, *after], states, strict=True)
        ]
        return kept[0], kept

    return masked_step


def run_loop(
    step: Step,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    count: Any,
    size: int,
) -> tuple[Tensor, list[Tensor]]:
    """Run a step over the first timesteps of a chunk.

    Args:
        step: One timestep.
        inputs: Of shape (batch, timesteps, ...).
        states: Before the first.
        count: How many timesteps, at most those there are.
        size: Of an output.

    Returns:
        Outputs, of shape (batch, timesteps, size), and the states after the last.
    """
    batch, timesteps = inputs[0].shape[:2]
    outputs = ops.zeros((batch, timesteps, size), states[0].dtype)
    t = ops.convert_to_tensor(0, "int32")
    for number in ITERATIONS:

        def is_left(t: Tensor, *_: Tensor, number: int = number) -> Tensor:
            return t + number <= count

        def iterate(
            t: Tensor, outputs: Tensor, *states: Tensor, number: int = number
        ) -> Any:
            after, found = list(states), []
            for now in zip(*(take(x, t, number) for x in inputs), strict=True):
                output, after = step(now, after)
                found.append(output[:, None])
            found = ops.concatenate(found, axis=1)
            return t + number, ops.slice_update(outputs, (0, t, 0), found), *after

        t, outputs, *states = ops.while_loop(is_left, iterate, (t, outputs, *states))
    return outputs, list(states)


def take(x: Tensor, t: Tensor, number: int) -> list[Tensor]:
    """Take a number of timesteps from one on, each of shape (batch, ...)."""
    batch, rest = x.shape[0], x.shape[2:]
    part = ops.slice(x, (0, t, *[0] * len(rest)), (batch, number, *rest))
    steps = ops.split(part, number, axis=1) if number > 1 else [part]
    return [ops.reshape(one, (batch, *rest)) for one in steps]
