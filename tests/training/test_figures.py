"""Figures as people read them: one rule for terminal, Markdown, page and sentence."""

import pytest

from training.figures import format_figure


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.5, "0.5"),
        (1 / 3, "0.3333"),
        (-12.3456, "-12.35"),
        (999.94, "999.9"),
        (999.96, "1,000"),
        (-1234.5, "-1,234"),
        (123_456.7, "123,457"),
        (2e9, "2e+09"),
        (1.5e-7, "1.5e-07"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_figures_have_four_digits_and_large_ones_are_written_in_full(figure, text):
    assert format_figure(figure) == text


@pytest.mark.parametrize(
    ("figure", "text"), [(0.5, "0.5000"), (35, "35.00"), (999.96, "1,000")]
)
def test_figures_of_a_sentence_have_as_many_digits_as_each_other(figure, text):
    assert format_figure(figure, keeps_zeros=True) == text
