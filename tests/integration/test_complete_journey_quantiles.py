"""RFM levels of the whole Complete Journey year against exact quantiles in pandas, for every household.

With no tolerance, cut-points at a refresh are those of the households as they are then. So the year is replayed up to a
local midnight after it, and every household's level is compared with the one that exact quantiles of all households
give it. The engine counts in buckets of one per cent: who is within one of a cut-point may have the level next to it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
import pytest

from schemas.population import CutPoints
from schemas.records import CustomerTags
from streams.demo import dataset
from tests.integration.journey import DAY_MS, STORE_OFFSET_MS, Journey

ROOT: Final = Path(__file__).parents[2]
SETTINGS: Final = "levels: 5, refresh: 1d"
UNTIL: Final = "2018-01-03T05:00:00Z"  # midnight by New York's standard time
UNTIL_MS: Final = 1_514_955_600_000
LEVELS: Final = 5
BUCKET: Final = 0.01
RANKED: Final = {"rfm_recency": "since_purchase", "rfm_frequency": "baskets_90d", "rfm_monetary": "spend_90d"}


class Replayed(msgspec.Struct):
    """What the command said of every household at the end, and the cut-points in force."""

    said: list[CustomerTags]
    cuts: dict[str, CutPoints]
    causes: dict[str, int]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    out = tmp_path_factory.mktemp("quantiles")
    text = (ROOT / "schemas" / "retail.yaml").read_text(encoding="utf-8")
    assert text.count(SETTINGS) == len(RANKED) + 1  # clv_tier, of what is foretold
    exact = out / "retail.yaml"
    exact.write_text(text.replace(SETTINGS, f"{SETTINGS}, tolerance: 0"), encoding="utf-8")
    files = dataset.load("retail", ROOT / ".livetags").sources
    named = [option for name, file in files.items() for option in ("--source", f"{name}={file}")]
    command = [sys.executable, "-m", "streams.cli", "replay", str(exact), *named, "--out", str(out), "--until", UNTIL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    cuts = msgspec.json.decode((out / "cut-points.json").read_bytes(), type=list[CutPoints])
    said = msgspec.json.Decoder(CustomerTags).decode_lines((out / "customer-tags.ndjson").read_bytes())
    causes = msgspec.json.decode((out / "summary.json").read_bytes())["causes"]
    return Replayed(said, {one.tag: one for one in cuts}, causes)


@pytest.fixture(scope="module")
def features(replayed: Replayed) -> pd.DataFrame:
    """Every household's features at the last refresh, from the package's tables."""
    households = [int(one.customer_id) for one in replayed.said]
    return Journey().features(pd.DataFrame({"household": households, "at": UNTIL_MS}))


def exact_levels(values: pd.Series[Any], falling: bool) -> pd.Series[Any]:
    """Levels by exact quantiles of who has a value; NaN where there is none."""
    ranked = -values if falling else values
    cuts = [ranked.quantile(k / LEVELS, interpolation="higher") for k in range(1, LEVELS)]
    return (1 + sum((ranked >= cut).astype(int) for cut in cuts)).where(values.notna())


@pytest.mark.parametrize("tag", RANKED)
def test_every_household_has_the_level_of_exact_quantiles_but_near_a_cut(
    replayed: Replayed, features: pd.DataFrame, tag: str
) -> None:
    assert (UNTIL_MS + STORE_OFFSET_MS) % DAY_MS == 0
    values = features[RANKED[tag]].astype(float)
    wanted = exact_levels(values, falling=tag == "rfm_recency")
    said = pd.Series([float(one.tags[tag] or "nan") for one in replayed.said])
    other = ~((said == wanted) | (said.isna() & wanted.isna()))
    cuts = np.array(replayed.cuts[tag].cuts)
    near = np.min(np.abs(values.to_numpy()[:, None] - cuts) / np.maximum(np.abs(cuts), 1), axis=1) <= BUCKET
    assert values[other & ~near].tolist() == []
    assert int((said - wanted).abs().max()) <= 1
    assert int(other.sum()) <= len(said) // 50, "most households are nowhere near a cut-point"
    assert sorted(said.dropna().unique()) == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("tag", RANKED)
def test_the_cut_points_are_the_quantiles_to_within_a_bucket(
    replayed: Replayed, features: pd.DataFrame, tag: str
) -> None:
    values, points = features[RANKED[tag]].astype(float).dropna(), replayed.cuts[tag]
    assert points.customers == len(values)
    for k, cut in enumerate(points.cuts, start=1):
        share = 1 - k / LEVELS if tag == "rfm_recency" else k / LEVELS
        exact = values.quantile(share, interpolation="lower" if tag == "rfm_recency" else "higher")
        assert abs(cut - exact) <= BUCKET * exact


def test_the_code_and_its_segment_follow_from_the_levels(replayed: Replayed) -> None:
    classic = 0
    for one in replayed.said:
        levels = [one.tags[tag] for tag in RANKED]
        segments = [name for name in one.segments if name.startswith("rfm_")]
        if None in levels:
            assert (one.tags["rfm_code"], segments) == (None, [])
            continue
        assert one.tags["rfm_code"] == "".join(map(str, levels))
        important = "important" if levels[2] in ("4", "5") else "general"
        assert len(segments) == 1
        assert segments[0].startswith(f"rfm_{important}")
        classic += 1
    assert classic > 2_400


def test_changes_by_the_cut_and_by_the_household_are_told_apart(replayed: Replayed) -> None:
    assert 0 < replayed.causes["cut-point"] < min(replayed.causes["event"], replayed.causes["time"])
