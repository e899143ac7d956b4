"""Graphs about any layer: what `model.predict` says over HTTP, or a sentence.

A few graphs of fixed seeds; `make random-graphs` tries 2,000, and others with SEED.
Those about layers that people use on sequences are in test_plausible_graphs.py.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

from models import layer_kinds  # noqa: E402
from tests.models.graph_trials import try_kind  # noqa: E402
from tests.models.random_graphs import draw_graph, find_subjects  # noqa: E402
from tests.models.random_layers import NOT_DRAWN, find_layers  # noqa: E402

# Far below what is measured (docs/how-to/bring-a-keras-model.md).
MIN_SHARE = 0.25


def test_every_layer_of_keras_has_a_kind():
    kinds = [layer_kinds.ALONE, layer_kinds.REMEMBERS, layer_kinds.FOLDS]
    known = {*layer_kinds.PARTS, *layer_kinds.REFUSED}.union(*kinds)

    missing = set(find_layers()) - known

    assert not missing, f"say in models/layer_kinds.py what {missing} do with timesteps"


def test_no_layer_is_left_out_without_a_reason():
    assert set(NOT_DRAWN) <= set(find_layers())
    assert all(NOT_DRAWN.values())


@pytest.mark.parametrize("start", range(8))
def test_every_layer_is_placed_in_a_graph(start):
    subjects = find_subjects()
    # Seeds of graphs about one layer are odd, a layer after another.
    for seed in range(2 * start + 1, 2 * len(subjects), 16):
        graph = draw_graph(seed)
        subject = subjects[seed // 2 * 37 % len(subjects)]
        assert subject in graph.names


def test_graphs_about_any_layer_equal_predict_or_are_refused(tmp_path, say):
    assert try_kind(1, tmp_path, say) >= MIN_SHARE
