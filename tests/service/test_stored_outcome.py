"""Outcomes come back from their stored form bit for bit."""

import numpy as np
import pytest

from service.engine.result_codec import decode_outcome, encode_outcome
from service.engine.rows import Outcome

OUTPUTS = {
    "probabilities": np.array([[0.1, 0.9], [1 / 3, 2 / 3]], "float32"),
    "surprise": np.array([0.5, 1e-30], "float32"),
    "count": np.array([3, 4], "int64"),
    "deep": np.arange(12, dtype="float64").reshape(2, 3, 2),
    "flag": np.array([True, False]),
}
OUTCOMES = [
    Outcome(OUTPUTS, True, 2**40, expires_at=1_700_000_000.125, version=3),
    Outcome(OUTPUTS, False, 2, version=1),
    Outcome(OUTPUTS, True, 9, version=2, migrated_from=1, is_reset=True),
]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_comes_back_as_it_was(outcome):
    back = decode_outcome(encode_outcome(outcome, is_last_only=False))

    assert back.replace(outputs={}) == outcome.replace(outputs={}, is_replayed=True)
    assert list(back.outputs) == list(OUTPUTS)
    for name, output in OUTPUTS.items():
        assert back.outputs[name].dtype == output.dtype
        assert back.outputs[name].tobytes() == output.tobytes()
        assert back.outputs[name].shape == output.shape


def test_only_the_last_timestep_is_kept_where_no_other_is_shown():
    back = decode_outcome(encode_outcome(OUTCOMES[0], is_last_only=True))

    assert (
        back.outputs["probabilities"].tolist() == OUTPUTS["probabilities"][-1:].tolist()
    )
    assert back.outputs["surprise"].tolist() == OUTPUTS["surprise"].tolist()


def test_an_answer_of_sixteen_labels_takes_little_over_a_hundred_bytes():
    outputs = {"probabilities": np.zeros((1, 16), "float32")}

    content = encode_outcome(Outcome(outputs, True, 9), is_last_only=True)

    assert len(content) == 16 * 4 + 67
