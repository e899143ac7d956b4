"""Plausible graphs: what `model.predict` says over HTTP, or a sentence.

Apart from test_random_graphs.py, so that two processes of the tests share the work.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

from tests.models.graph_trials import try_kind  # noqa: E402

# Far below what is measured (docs/how-to/bring-a-keras-model.md).
MIN_SHARE = 0.5


def test_plausible_graphs_equal_predict_or_are_refused(tmp_path, say):
    assert try_kind(0, tmp_path, say) >= MIN_SHARE
