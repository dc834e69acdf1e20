"""Small charts as SVG: lines over time, and what was foretold against what came. Colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from streams.web.markup import text

WIDTH, HEIGHT = 420, 170
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 8, 22
STEPS: Final = (1, 2, 2.5, 5, 10)
LEAST_SHARE: Final = 0.001


class Line(msgspec.Struct, frozen=True):
    """A line; None leaves a gap. `style` is its class."""

    name: str
    style: str
    values: list[float | None]


class Bubble(msgspec.Struct, frozen=True):
    """A point of a reliability plot: shares between 0 and 1, and what it says when pointed at."""

    foretold: float
    came: float
    about: str


def lines(labels: Sequence[str], drawn: Sequence[Line], about: str) -> str:
    """Lines over equally spaced moments; empty where there is nothing to draw.

    Parameters
    ----------
    labels
        Of the moments; the first, the middle one and the last are written below.
    about
        What the chart shows, for who can't see it.
    """
    known = [value for line in drawn for value in line.values if value is not None]
    if not known or len(labels) < 2:
        return ""
    ticks = _ticks(min(known), max(known))
    low, high = ticks[0], ticks[-1]

    def x(place: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * place / (len(labels) - 1)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    grid = "".join(_across(y(tick), _number(tick, high - low)) for tick in ticks)
    places = dict.fromkeys((0, (len(labels) - 1) // 2, len(labels) - 1))
    below = "".join(_below(x(place), labels[place], place, len(labels) - 1) for place in places)
    paths = "".join(_path(line, x, y) for line in drawn)
    return _svg(grid + below + paths, about)


def reliability(bubbles: Sequence[Bubble], foretold: str, came: str, about: str) -> str:
    """What came against what was foretold, both on logarithmic axes with the line where they are equal."""
    if not bubbles:
        return ""
    shares = [max(share, LEAST_SHARE) for bubble in bubbles for share in (bubble.foretold, bubble.came)]
    low, high = math.floor(math.log10(min(shares))), math.ceil(math.log10(max(shares)))
    high = max(high, low + 1)

    def at(share: float) -> float:
        return (math.log10(max(share, LEAST_SHARE)) - low) / (high - low)

    def x(share: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at(share)

    def y(share: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * at(share)

    powers = [10.0**power for power in range(low, high + 1)]
    grid = "".join(_across(y(power), _percent(power)) for power in powers)
    below = "".join(_below(x(power), _percent(power), place, len(powers) - 1) for place, power in enumerate(powers))
    equal = f'<line class="equal" x1="{x(powers[0])}" y1="{y(powers[0])}" x2="{x(powers[-1])}" y2="{y(powers[-1])}"/>'
    points = "".join(
        f'<circle cx="{x(one.foretold):.1f}" cy="{y(one.came):.1f}" r="4"><title>{text(one.about)}</title></circle>'
        for one in bubbles
    )
    names = (
        f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - BOTTOM - 6}" text-anchor="end">{text(foretold)}</text>'
        f'<text class="axis" x="{LEFT + 6}" y="{TOP + 10}">{text(came)}</text>'
    )
    return _svg(grid + below + equal + points + names, about)


def _svg(inner: str, about: str) -> str:
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(about)}">{inner}</svg>'


def _ticks(low: float, high: float) -> list[float]:
    """About four round numbers around these."""
    span = max(high - low, abs(high) * 0.02, 1e-6)
    size = 10.0 ** math.floor(math.log10(span / 3))
    step = next(size * factor for factor in STEPS if size * factor >= span / 3)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [number * step for number in range(first, last + 1)]


def _across(y: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{text(label)}</text>'
    )


def _below(x: float, label: str, place: int, last: int) -> str:
    anchor = "start" if place == 0 else "end" if place == last else "middle"
    return f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text(label)}</text>'


def _path(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    pieces: list[list[str]] = [[]]
    for place, value in enumerate(line.values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{x(place):.1f},{y(value):.1f}")
    drawn = (piece if len(piece) > 1 else piece * 2 for piece in pieces if piece)
    return "".join(
        f'<polyline class="{line.style}" points="{" ".join(piece)}"><title>{text(line.name)}</title></polyline>'
        for piece in drawn
    )


def _number(value: float, span: float) -> str:
    decimals = max(0, min(4, 1 - math.floor(math.log10(span)))) if span > 0 else 2
    return f"{value:.{decimals}f}"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
