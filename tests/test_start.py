"""Imports of the tests' processes, TensorFlow's among them or not."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = """
import sys
import keras
kept = [name for name in ("sklearn", "matplotlib") if name in sys.modules]
import sklearn.base, matplotlib.pyplot
print(kept, sklearn.base.__name__, matplotlib.pyplot.__name__)
"""


@pytest.mark.tensorflow
def test_keras_goes_without_what_everyone_else_can_import():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[] sklearn.base matplotlib.pyplot\n"
