"""Fixtures of the tests of training."""

from __future__ import annotations

import pytest


@pytest.fixture
def op_by_op():
    """Run without graphs, of which each takes seconds to trace."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
