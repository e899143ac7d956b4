"""Figures as people read them, on the terminal, in Markdown and in pages alike."""

from __future__ import annotations


def format_figure(figure: float | None, *, keeps_zeros: bool = False) -> str:
    """Write a figure to four significant digits, large ones in full.

    Args:
        figure: None is written as a dash.
        keeps_zeros: Whether zeros at the end are written too, as in a sentence that
            compares two figures.
    """
    if figure is None:
        return "-"
    if 1000 <= abs(float(f"{figure:.4g}")) < 1e9:
        return f"{figure:,.0f}"
    return f"{figure:#.4g}" if keeps_zeros else f"{figure:.4g}"
