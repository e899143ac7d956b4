"""Messages of libraries: what is repeated, and what is cut off."""

from __future__ import annotations

import errno

import pytest

from training.errors import OperationFailed, during, quote, shorten

KERAS = """Exception encountered when calling Cell.call().

\x1b[1mDimensions must be equal, but are 3 and 4.\x1b[0m

Arguments received by Cell.call():
  \u2022 inputs=tf.Tensor(shape=(1, 3), dtype=float32)"""
TENSORFLOW = """Graph execution error:

Detected at node cell/MatMul defined at (most recent call last):
  File "/somebody/model.py", line 3, in <module>
Matrix size-incompatible
\t [[{{node cell/MatMul}}]]"""


def test_message_of_keras_is_one_line_without_colours_and_arguments():
    said = quote(ValueError(KERAS))

    assert said == (
        "Exception encountered when calling Cell.call(). "
        "Dimensions must be equal, but are 3 and 4."
    )


def test_places_in_code_are_left_out_of_a_message_of_tensorflow():
    assert quote(ValueError(TENSORFLOW)) == "Matrix size-incompatible"


def test_long_message_is_cut():
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "abc..."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "full"), "no space left"),
        (ValueError("write failed: ENOSPC"), "no space left"),
        (NameError("name 'a' is not defined"), "Import or define it inside"),
        (ValueError(KERAS), r"ValueError \(Exception .* are 3 and 4\.\)\. Try again\."),
        (ValueError(), r"ValueError\. Try again\."),
    ],
)
def test_failure_is_one_sentence_with_a_way_out(error, words):
    with (
        pytest.raises(OperationFailed, match=rf"^Work failed.*{words}") as caught,
        during("Work", "Try again."),
    ):
        raise error

    assert "\n" not in str(caught.value)


def test_refusal_is_handed_on_unchanged():
    with pytest.raises(KeyError), during("Work", "Try again.", (KeyError,)):
        raise KeyError("refused")


def test_where_tensorflow_failed_is_left_out_of_a_sentence():
    error = ValueError(
        "{{function_node __wrapped__AddV2_device_/job:a}} Incompatible shapes: "
        "[3] vs. [5] [Op:AddV2] name: "
    )

    assert quote(error) == "Incompatible shapes: [3] vs. [5]"
