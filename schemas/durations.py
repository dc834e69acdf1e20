"""Durations, and how a window is cut into tiles (P2)."""

from __future__ import annotations

import re
from typing import Final

import msgspec

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

UNITS_MS: Final = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_DURATION: Final = re.compile(r"^([0-9][0-9_]*)(ms|s|m|h|d|w)$")

TILE_WIDTHS: Final = tuple(
    [n * MINUTE for n in (1, 2, 5, 10, 15, 30)]
    + [n * HOUR for n in (1, 2, 3, 6, 12)]
    + [n * DAY for n in (1, 2, 3, 5, 6, 7)]
)
WANTED_TILES: Final = 24
MOST_TILES: Final = 96


class Window(msgspec.Struct, frozen=True):
    """A window of `tiles` tiles of `width_ms` each; `length_ms` is their product."""

    length_ms: int
    width_ms: int
    tiles: int


class WindowError(ValueError):
    """A window that can't be cut into tiles; `suggestion` names the nearest legal one."""

    def __init__(self, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.suggestion = suggestion


def parse_duration(text: str) -> int | None:
    """Milliseconds of a text such as `14d` or `90s`; None where it is no duration."""
    match = _DURATION.match(text)
    return int(match[1].replace("_", "")) * UNITS_MS[match[2]] if match else None


def format_duration(ms: int) -> str:
    """The shortest text that `parse_duration` reads back as `ms`."""
    for unit in ("d", "h", "m", "s"):
        if ms and ms % UNITS_MS[unit] == 0:
            return f"{ms // UNITS_MS[unit]}{unit}"
    return f"{ms}ms"


def tile_width(length_ms: int) -> int | None:
    """The tile width that P2 gives a window, or None where none cuts it into at most 96 tiles."""
    fits = [w for w in TILE_WIDTHS if length_ms % w == 0 and length_ms // w >= WANTED_TILES]
    width = max(fits, default=MINUTE)
    legal = length_ms > 0 and length_ms % width == 0 and length_ms // width <= MOST_TILES
    return width if legal else None


def nearest_window(length_ms: int) -> int:
    """The legal window closest to `length_ms`; of two as close, the shorter."""
    legal = {c for w in TILE_WIDTHS for c in range(w, MOST_TILES * w + 1, w) if tile_width(c) is not None}
    return min(legal, key=lambda c: (abs(c - length_ms), c))


def cut_window(length_ms: int, override_ms: int | None = None) -> Window:
    """The window cut into tiles; `override_ms` is the catalogue's `tile:`.

    Raises
    ------
    WindowError
        Where no width of the list gives at most 96 tiles.
    """
    if override_ms is not None:
        return _cut_by(length_ms, override_ms)
    width = tile_width(length_ms)
    if width is None:
        raise WindowError(
            f"a window of {format_duration(length_ms)} can't be cut into at most {MOST_TILES} equal tiles",
            f"The nearest window that can is {format_duration(nearest_window(length_ms))}.",
        )
    return Window(length_ms, width, length_ms // width)


def _cut_by(length_ms: int, width_ms: int) -> Window:
    length, width = format_duration(length_ms), format_duration(width_ms)
    if width_ms not in TILE_WIDTHS:
        nearest = min(TILE_WIDTHS, key=lambda w: (abs(w - width_ms), w))
        every = " ".join(format_duration(w) for w in TILE_WIDTHS)
        raise WindowError(f"a tile is {every} wide, not {width}", f"The nearest is {format_duration(nearest)}.")
    if length_ms % width_ms or not 0 < length_ms // width_ms <= MOST_TILES:
        tiles = min(max(1, round(length_ms / width_ms)), MOST_TILES)
        near = format_duration(tiles * width_ms)
        raise WindowError(
            f"tiles of {width} don't cut a window of {length} into 1 to {MOST_TILES} equal parts",
            f"The nearest window that they cut is {near}.",
        )
    return Window(length_ms, width_ms, length_ms // width_ms)
