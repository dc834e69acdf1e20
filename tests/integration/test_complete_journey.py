"""`livetags replay` over the whole Complete Journey year ends where pandas ends, for every household.

The command runs once, as a user runs it; what it says of each household is compared with `journey.py`, which computes
the catalogue a second time from the package's own tables.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pandas as pd
import pytest

from schemas.lifetime import Fit
from streams.demo import dataset
from tests.integration.journey import DAY_MS, MONEY, STORE_OFFSET_MS, Journey, segments, tags

ROOT: Final = Path(__file__).parents[2]
CATALOGUE: Final = ROOT / "schemas" / "retail.yaml"
HOUSEHOLDS: Final = 2_469
RECORDS: Final = 801 + 6_589 + 1_469_307 + 2_102
RATIOS: Final = ("basket_value", "discount_share", "private_share", "fresh_share", "spend_trend")
WARMING: Final = {"coupon_response"}
FORETOLD: Final = {"alive_probability", "spend_12m_ahead"}
RANKED: Final = {"rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_code", "p_alive", "clv_12m", "clv_tier"}
"""These rest on all households: see `test_complete_journey_quantiles.py`, and below of the lifetime model."""
CLASSES: Final = {
    f"rfm_{who}_{what}" for who in ("important", "general") for what in ("value", "develop", "keep", "win_back")
} | {"slipping_away"}
ALLOWED_SKEW_MS: Final = 60_000
TOLERANCE: Final = 1e-12
SHOWN: Final = 20


class Said(msgspec.Struct):
    """What `customer-tags.ndjson` says of a household."""

    customer_id: str
    at: datetime.datetime
    tags: dict[str, bool | str | None]
    segments: dict[str, datetime.datetime]
    features: dict[str, bool | int | float | str | None]
    status: dict[str, str]


class _Change(msgspec.Struct):
    customer_id: str
    at: datetime.datetime


class Replayed(msgspec.Struct):
    """A replay's output, and the moments its lines speak of: `household` and `at` in UTC ms, a row per line; and which
    household's rank changed when; and the lifetime model's parameters.
    """

    summary: dict[str, Any]
    said: list[Said]
    moments: Any
    reranked: set[tuple[int, int]]
    fit: Fit


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """The year through the command."""
    out = tmp_path_factory.mktemp("journey")
    files = dataset.load("retail", ROOT / ".livetags").sources
    named = [option for name, file in files.items() for option in ("--source", f"{name}={file}")]
    command = [sys.executable, "-m", "streams.cli", "replay", str(CATALOGUE), *named, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    said = msgspec.json.Decoder(Said).decode_lines((out / "customer-tags.ndjson").read_bytes())
    moments = pd.DataFrame({"household": [int(s.customer_id) for s in said], "at": [_ms(s.at) for s in said]})
    (fit,) = msgspec.json.decode((out / "lifetime.json").read_bytes(), type=list[Fit])
    return Replayed(msgspec.json.decode((out / "summary.json").read_bytes()), said, moments, _reranked(out), fit)


def _reranked(out: Path) -> set[tuple[int, int]]:
    decode, found = msgspec.json.Decoder(_Change).decode, set[tuple[int, int]]()
    names = [f'"tag":"{name}"'.encode() for name in RANKED]
    with (out / "tag-changes.ndjson").open("rb") as lines:
        for change in (decode(line) for line in lines if any(name in line for name in names)):
            found.add((int(change.customer_id), _ms(change.at)))
    return found


@pytest.fixture(scope="module")
def journey() -> Journey:
    """The year from the package's tables."""
    return Journey()


@pytest.fixture(scope="module")
def features(replayed: Replayed, journey: Journey) -> pd.DataFrame:
    """Every household's features in pandas, at the moment its line speaks of."""
    return journey.features(replayed.moments)


def test_every_record_is_applied_and_every_household_has_a_line(replayed: Replayed, journey: Journey) -> None:
    summary = replayed.summary
    assert (summary["records"], summary["applied"]) == (RECORDS, RECORDS)
    assert (summary["duplicates"], summary["superseded"], summary["late_events"]) == (0, 0, 0)
    assert summary["dead_letters"] == {}
    assert sorted(replayed.moments["household"]) == sorted(journey.newest.index)
    assert len(replayed.said) == HOUSEHOLDS


def test_every_feature_of_every_household_equals_its_recomputation(replayed: Replayed, features: pd.DataFrame) -> None:
    assert _differences(replayed, "features", features, ignored=FORETOLD) == []


def test_every_probability_of_still_coming_is_the_papers_formula(
    replayed: Replayed, journey: Journey, features: pd.DataFrame
) -> None:
    """Equation 7 of the BG/NBD paper, in whole days of the stores' time, at the moment that each line speaks of."""
    at, fit = replayed.moments["at"], replayed.fit
    days = {name: (at - past + STORE_OFFSET_MS) // DAY_MS for name, past in features.items() if "since" in str(name)}
    began, today = days["since_first"], (at + STORE_OFFSET_MS) // DAY_MS
    again, last, age = features["baskets_ever"] - 1, days["since_purchase"] - began, today - began
    faded = ((fit.alpha + age) / (fit.alpha + last)) ** (fit.r + again)
    here = (1 / (1 + fit.a / (fit.b + again - 1) * faded)).where(again > 0, 1.0)
    said = pd.Series([one.features["alive_probability"] for one in replayed.said], dtype=float)
    assert len(said.dropna()) > HOUSEHOLDS - 10
    assert float((said - here).abs().max()) <= 1e-9
    assert (0.5 < fit.r < 2.0, 2 < fit.alpha < 20) == (True, True)
    opened = journey.purchases[journey.purchases["opens"]].groupby("household")["t"].min()
    # Parameters are of the refresh that last moved them, and of who had bought by then.
    assert HOUSEHOLDS - 10 < fit.customers == int((opened <= fit.at).sum())


def test_every_tag_of_every_household_equals_its_recomputation(replayed: Replayed, features: pd.DataFrame) -> None:
    assert _differences(replayed, "tags", tags(features), ignored=WARMING | RANKED) == []
    assert all(set(said.status) == WARMING for said in replayed.said)
    assert all(said.tags[name] is None for said in replayed.said for name in WARMING)


def test_every_segment_of_every_household_equals_its_recomputation(replayed: Replayed, features: pd.DataFrame) -> None:
    assert _differences(replayed, "segments", segments(tags(features)), ignored=CLASSES) == []
    assert set(replayed.summary["segments"]) == set(segments(tags(features))) | CLASSES


def test_a_household_was_in_its_segments_when_it_is_said_to_have_entered(replayed: Replayed, journey: Journey) -> None:
    entered = [
        (name, int(said.customer_id), _ms(since))
        for said in replayed.said
        for name, since in said.segments.items()
        if name not in CLASSES
    ]
    moments = pd.DataFrame(entered, columns=["segment", "household", "at"])
    member = segments(tags(journey.features(moments)))
    outside = [row for row, name in enumerate(moments["segment"]) if not member.loc[row, name]]
    assert moments.loc[outside].values.tolist() == []


def test_no_tag_or_segment_is_behind_the_watermark(replayed: Replayed, journey: Journey) -> None:
    """P4: a row whose line speaks of an earlier moment has nothing to say of the time since."""
    watermark = int(journey.newest.max()) - ALLOWED_SKEW_MS
    later = replayed.moments.assign(at=replayed.moments["at"].clip(lower=watermark))
    said = tags(journey.features(later))
    assert _differences(replayed, "tags", said, ignored=WARMING | RANKED) == []
    assert _differences(replayed, "segments", segments(said), ignored=CLASSES) == []


def test_a_line_speaks_of_the_newest_record_or_of_a_later_change(replayed: Replayed, journey: Journey) -> None:
    """P4: a timer that changes nothing leaves no trace."""
    newest = replayed.moments["household"].map(journey.newest)
    assert (replayed.moments["at"] >= newest).all()
    of_time = replayed.moments[replayed.moments["at"] > newest].reset_index(drop=True)
    said, before = (tags(journey.features(of_time.assign(at=of_time["at"] - ms))) for ms in (0, 1))
    changed = _differs(said, before) | _differs(segments(said), segments(before))
    changed |= pd.Series([(row.household, row.at) in replayed.reranked for row in of_time.itertuples()], dtype=bool)
    assert len(of_time) > HOUSEHOLDS // 10
    assert of_time[~changed].values.tolist() == []


def _differs(these: pd.DataFrame, those: pd.DataFrame) -> Any:
    return ((these != those) & ~(these.isna() & those.isna())).any(axis=1)


def _differences(
    replayed: Replayed, kind: str, expected: pd.DataFrame, ignored: frozenset[str] | set[str] = frozenset()
) -> list[str]:
    """The first few values in which the command and pandas differ, in words."""
    found: list[str] = []
    names, columns = set(expected), {name: expected[name].tolist() for name in expected}
    for row, said in enumerate(replayed.said):
        actual: dict[str, Any] = getattr(said, kind)
        if kind == "segments":
            actual = {name: name in actual for name in names | set(actual)}
        if set(actual) - ignored != names:
            found.append(f"household {said.customer_id}: {sorted((set(actual) - ignored) ^ names)} on one side only")
        for name, values in columns.items():
            if name in actual and not _equal(name, actual[name], values[row]):
                wanted = values[row]
                found.append(f"household {said.customer_id} at {said.at}: {name} {actual[name]!r}, pandas {wanted!r}")
        if len(found) >= SHOWN:
            return found
    return found


def _equal(name: str, actual: bool | int | float | str | None, wanted: Any) -> bool:
    """Exact, but for ratios; money is compared as the text that has exactly its cents."""
    if wanted is None or wanted != wanted:
        return actual is None
    if name in MONEY:
        return actual == str(Decimal(int(wanted)).scaleb(-2).quantize(Decimal("0.01")))
    if name in RATIOS:
        scale = 100 if name == "basket_value" else 1
        return isinstance(actual, float) and abs(actual - wanted / scale) <= TOLERANCE * max(1.0, abs(actual))
    if isinstance(wanted, float):  # a count of ms beside which others are missing
        return type(actual) is int and actual == wanted
    return type(actual) is type(wanted) and actual == wanted


def _ms(moment: datetime.datetime) -> int:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (moment - epoch) // datetime.timedelta(milliseconds=1)
