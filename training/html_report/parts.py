"""Parts of a report: sections of text, tables and plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Code:
    """Text to copy, folded under a summary if it has one."""

    text: str
    summary: str = ""
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Bar:
    """A figure in a cell with a bar beside it.

    Args:
        text: The figure.
        share: Length of the bar, 0 to 1.
    """

    text: str
    share: float

    @property
    def width(self) -> int:
        """Length of the bar in percent."""
        return round(100 * min(1.0, max(0.0, self.share)))


@dataclass(frozen=True)
class Best:
    """A figure that no other one of its row beats."""

    text: str


Cell = str | Bar | Best
# Characters from which words of a column get more room on a phone.
LONG = 24


def is_long(cells: Iterable[Cell]) -> bool:
    """Return whether a column has long words."""
    return any(isinstance(cell, str) and len(cell) > LONG for cell in cells)


@dataclass(frozen=True)
class HtmlTable:
    """A table; the first `num_words` columns are words, all others figures."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    num_words: int = 1
    kind: ClassVar[str] = "table"

    @property
    def classes(self) -> list[str]:
        """The style sheet's class of each column."""
        cells = zip(*self.rows, strict=True) if self.rows else [()] * len(self.headings)
        return [
            "number" if k >= self.num_words else "word long" if is_long(c) else "word"
            for k, c in enumerate(cells)
        ]


# Begins the ids of a plot, until the page numbers its plots.
UNNUMBERED = "plot-#-"


@dataclass(frozen=True)
class Plot:
    """A picture with its caption.

    Args:
        svg: The picture, clean of scripts and styles; its ids begin with `UNNUMBERED`.
        caption: What it shows, and how to read it.
        is_wide: Whether it takes the whole width of the page.
    """

    svg: str
    caption: str
    is_wide: bool = False
    kind: ClassVar[str] = "plot"


Part = Text | Code | HtmlTable | Plot


class Section(NamedTuple):
    """A part of the page with a heading."""

    title: str
    parts: Sequence[Part]


def write_share(share: float) -> str:
    """Write a share in percent."""
    return f"{share:.1%}"
