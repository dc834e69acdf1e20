"""How windows are cut into tiles (P2), by hand-made expectations and by what must hold for every window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.durations import (
    DAY,
    HOUR,
    MINUTE,
    MOST_TILES,
    TILE_WIDTHS,
    WANTED_TILES,
    WindowError,
    cut_window,
    format_duration,
    nearest_window,
    parse_duration,
    tile_width,
)


@pytest.mark.parametrize(
    ("window", "tiles", "width"),
    [
        ("1m", 1, "1m"),
        ("10m", 10, "1m"),
        ("30m", 30, "1m"),
        ("1h", 30, "2m"),
        ("90m", 45, "2m"),
        ("2h", 24, "5m"),
        ("6h", 24, "15m"),
        ("12h", 24, "30m"),
        ("24h", 24, "1h"),
        ("1d", 24, "1h"),
        ("36h", 36, "1h"),
        ("3d", 24, "3h"),
        ("100h", 50, "2h"),
        ("7d", 28, "6h"),
        ("14d", 28, "12h"),
        ("28d", 28, "1d"),
        ("30d", 30, "1d"),
        ("31d", 31, "1d"),
        ("45d", 45, "1d"),
        ("60d", 30, "2d"),
        ("90d", 30, "3d"),
        ("120d", 24, "5d"),
        ("180d", 30, "6d"),
        ("365d", 73, "5d"),
    ],
)
def test_a_window_is_cut_by_the_widest_tile_that_leaves_24_p2(window: str, tiles: int, width: str) -> None:
    cut = cut_window(parse_duration(window) or 0)
    assert (cut.tiles, format_duration(cut.width_ms)) == (tiles, width)
    assert cut.length_ms == cut.tiles * cut.width_ms


@pytest.mark.parametrize(
    ("window", "tile", "tiles"),
    [
        ("90d", "6d", 15),
        ("7d", "1d", 7),
        ("1h", "5m", 12),
        ("30d", "1d", 30),
        ("2d", "1h", 48),
        ("96m", "1m", 96),
        ("1d", "1d", 1),
    ],
)
def test_a_tile_of_the_catalogue_overrides_p2(window: str, tile: str, tiles: int) -> None:
    assert cut_window(parse_duration(window) or 0, parse_duration(tile)).tiles == tiles


@pytest.mark.parametrize(
    ("window", "nearest"),
    [
        ("97m", "96m"),
        ("99m", "98m"),
        ("61s", "1m"),
        ("1s", "1m"),
        ("1000d", "672d"),
        ("101h", "100h"),
        ("97d", "96d"),
        ("0s", "1m"),
    ],
)
def test_an_illegal_window_names_the_nearest_legal_one_p2(window: str, nearest: str) -> None:
    with pytest.raises(WindowError, match="can't be cut into at most 96 equal tiles") as error:
        cut_window(parse_duration(window) or 0)
    assert error.value.suggestion == f"The nearest window that can is {nearest}."


@pytest.mark.parametrize(
    ("window", "tile", "suggestion"),
    [
        ("30d", "4d", "The nearest is 3d."),
        ("30d", "7d", "The nearest window that they cut is 28d."),
        ("90d", "12h", "The nearest window that they cut is 48d."),
        ("30m", "1h", "The nearest window that they cut is 1h."),
    ],
)
def test_an_illegal_tile_names_what_fits_p2(window: str, tile: str, suggestion: str) -> None:
    with pytest.raises(WindowError) as error:
        cut_window(parse_duration(window) or 0, parse_duration(tile))
    assert error.value.suggestion == suggestion


@given(st.integers(1, 700 * DAY))
def test_the_nearest_window_is_legal_and_none_is_nearer_p2(length_ms: int) -> None:
    near = nearest_window(length_ms)
    assert tile_width(near) is not None
    if tile_width(length_ms) is not None:
        assert near == length_ms
    lower, upper = length_ms - abs(near - length_ms), length_ms + abs(near - length_ms)
    for width in TILE_WIDTHS:
        first = lower // width * width + width
        assert not any(
            tile_width(c) and abs(c - length_ms) < abs(near - length_ms) for c in range(first, upper, width)[:50]
        )


@given(st.sampled_from(TILE_WIDTHS), st.integers(WANTED_TILES, MOST_TILES))
def test_no_wider_tile_of_the_list_would_leave_24_p2(width_ms: int, tiles: int) -> None:
    cut = cut_window(width_ms * tiles)
    assert WANTED_TILES <= cut.tiles <= MOST_TILES
    wider = [w for w in TILE_WIDTHS if w > cut.width_ms and cut.length_ms % w == 0]
    assert all(cut.length_ms // w < WANTED_TILES for w in wider)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("14d", 14 * DAY),
        ("90s", 90_000),
        ("1_000ms", 1_000),
        ("2w", 14 * DAY),
        ("30m", 30 * MINUTE),
        ("36h", 36 * HOUR),
        ("0d", 0),
    ],
)
def test_durations_are_read(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "14", "d", "14 d", "1.5h", "-3d", "3mo", "14D", "１４d", "1d12h", " 14d"])
def test_anything_else_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@given(st.integers(0, 10**13))
def test_a_duration_is_read_back_as_it_was_written(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms
