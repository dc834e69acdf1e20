"""How the demo's tables look, and figures in them that may be missing."""

from __future__ import annotations

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from streams.web import formats
from streams.web.words import Language

EN: Final = Language.EN


def table(*columns: str, numbers: int = 0, title: str) -> Table:
    """A table whose last `numbers` columns are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        made.add_column(column, justify="right" if place >= len(columns) - numbers else "left")
    return made


def decimals(value: float | None, places: int) -> str:
    """A number with so many decimals; a dash where there is none."""
    return formats.MISSING if value is None else f"{value:.{places}f}"


def percent(value: float | None) -> str:
    """A share in percent with two decimals; a dash where there is none."""
    return formats.MISSING if value is None else f"{100 * value:.2f} %"
