"""What a trainer would say of two targets: one at work for half a year, one that warms up."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.catalogue import Unit
from schemas.learning import Calibration, Decile, Pipeline
from schemas.model_reports import (
    Cohort,
    CrossedWeight,
    Drift,
    FeatureWeight,
    Former,
    Happening,
    ModelEvent,
    ModelReport,
    ModelRole,
    Quality,
    Series,
    Standing,
    Trial,
    Watched,
)

MONDAY: Final = datetime(2025, 1, 6, tzinfo=UTC)
WEEKS: Final = 26
DRIFT: Final = Drift(Series.BASE_RATE, "", "2025-05-05T00:00:00.000Z", 0.031, 0.062, 4.2, 1_904)


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"


def _quality(answers: int, rate: float, auc: float, slope: float, tilt: float = 1.0) -> Quality:
    loss = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate)) * (1.25 - auc / 2)
    return Quality(answers, round(answers * rate), rate * tilt, loss, auc, slope)


def _deciles(answers: int) -> list[Decile]:
    means = (0.002, 0.004, 0.007, 0.011, 0.016, 0.024, 0.036, 0.055, 0.094, 0.262)
    return [Decile(answers // 10, round(answers / 10 * mean * (0.9 + 0.02 * n)), mean) for n, mean in enumerate(means)]


WEIGHTS: Final = [
    FeatureWeight("deposit_views_7d", Unit.COUNT, 0.612, 0.41, 1.9),
    FeatureWeight("balance_kept", Unit.MONEY, 0.384, 8_204.5, 40_120.0),
    FeatureWeight("since_first", Unit.DURATION, -0.207, 9_504_000_000, 21_600_000_000),
    FeatureWeight("inflow_30d", Unit.MONEY, 0.198, 6_120.0, 21_977.4),
    FeatureWeight("deposits_opened", Unit.COUNT, -0.051, 0.2, 0.9),
]


def _standing(model: Pipeline, role: ModelRole, auc: float, slope: float) -> Standing:
    crosses = [CrossedWeight("deposit_views_7d", "balance_kept", 0.121)] if model is Pipeline.CROSSED else []
    calibration = Calibration(1.08, 0.21) if model is Pipeline.CROSSED else Calibration()
    quality = _quality(41_208, 0.0481, auc, slope, 1.02)
    return Standing(model, role, quality, quality, calibration, _deciles(41_208), WEIGHTS, crosses)


def _week(number: int) -> Cohort:
    week = _iso(MONDAY + timedelta(weeks=number))
    if number >= WEEKS - 4:
        return Cohort(week, 1_610, {})
    rate = 0.031 if number < 17 else 0.062
    auc = 0.58 + 0.27 * (1 - math.exp(-number / 4)) + 0.008 * math.sin(number)
    models = {
        Pipeline.LINEAR: _quality(1_580, rate, auc, 1.0),
        Pipeline.CROSSED: _quality(1_580, rate, auc + 0.006, 1.0),
    }
    return Cohort(week, 1_580, models)


def _watched(series: Series, feature: str, mean: float, changed: str | None = None) -> Watched:
    return Watched(series, feature, 112, mean, mean * 1.04, changed)


DEPOSIT: Final = ModelReport(
    target="deposit", at="2025-07-06T09:12:00.000Z", version=25, ready=True, pinned=False, waiting=6_440, settling=318,
    models=[
        _standing(Pipeline.LINEAR, ModelRole.CHAMPION, 0.8412, 1.02),
        _standing(Pipeline.CROSSED, ModelRole.CHALLENGER, 0.8467, 0.97),
    ],
    trial=Trial(Pipeline.LINEAR, Pipeline.CROSSED, 6.8, 20.0, 112, 0.00041, "2025-03-16T00:00:00.000Z"),
    automatic=True,
    watched=[
        _watched(Series.BASE_RATE, "", 0.062, DRIFT.began), _watched(Series.LOG_LOSS, "", 0.171),
        _watched(Series.MEAN, "inflow_30d", 8.9),
        _watched(Series.MISSING, "balance_kept", 0.02, "2025-03-31T00:00:00.000Z"),
    ],
    weeks=[_week(number) for number in range(WEEKS)],
    formers=[Former(24 - n, f"2025-06-{28 - 7 * n:02}T00:00:00.000Z", Pipeline.LINEAR, 0.152, 0.84) for n in range(4)],
)  # fmt: skip
CHURN: Final = ModelReport(
    target="churn", at="2025-07-06T09:12:00.000Z", version=0, ready=False, pinned=False, waiting=812, settling=14,
    models=[
        Standing(Pipeline.LINEAR, ModelRole.CHAMPION, Quality(0, 0), Quality(0, 0), Calibration(), [], [], []),
        Standing(Pipeline.CROSSED, ModelRole.CHALLENGER, Quality(0, 0), Quality(0, 0), Calibration(), [], [], []),
    ],
    trial=Trial(Pipeline.LINEAR, Pipeline.CROSSED, 1.0, 20.0, 0, None, None), automatic=False, watched=[],
    weeks=[Cohort("2025-06-30T00:00:00.000Z", 826, {})], formers=[],
)  # fmt: skip
REPORTS: Final = [DEPOSIT, CHURN]
EVENTS: Final = [
    ModelEvent(
        "deposit/drift/1", "deposit", "2025-05-17T00:00:00.000Z", Happening.DRIFTED, Pipeline.LINEAR, 9, "drift",
        drift=DRIFT,
    ),
    ModelEvent(
        "deposit/order/2", "deposit", "2025-06-01T08:00:00.000Z", Happening.REFUSED, Pipeline.LINEAR, 12, "order-1",
        why="no model has been published yet",
    ),
]  # fmt: skip
