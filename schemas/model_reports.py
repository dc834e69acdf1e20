"""What trainers say of their models: reports and orders on `control`, decisions on `model-events`."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.catalogue import Unit
from schemas.learning import Calibration, Decile, Pipeline
from schemas.records import Value


class ModelRole(StrEnum):
    """The champion's scores are shown; the challenger foretells the same questions and is judged beside it."""

    CHAMPION, CHALLENGER = "champion", "challenger"


class Quality(msgspec.Struct, frozen=True):
    """What predictions were worth, each as it was made at its question; None before there is such a figure.

    Attributes
    ----------
    mean_score
        Mean of the probabilities foretold; over the base rate (positives / answers) it is calibration in the large.
    slope
        Of a logistic regression of what came on the log odds foretold: 1 is calibrated, below 1 too extreme.
    """

    answers: int
    positives: int
    mean_score: float | None = None
    log_loss: float | None = None
    auc: float | None = None
    slope: float | None = None


class FeatureWeight(msgspec.Struct, frozen=True):
    """A feature's part in a model.

    Attributes
    ----------
    weight
        What is added to the log odds for one standard deviation more of what the model takes in.
    usual, higher
        The feature at the mean of what the model takes in, and one standard deviation above: going from one to the
        other adds `weight`. As JSON shows values of `unit`; None where it is beyond all numbers.
    """

    feature: str
    unit: Unit
    weight: float
    usual: Value
    higher: Value


class CrossedWeight(msgspec.Struct, frozen=True):
    """A product's part in a model: what is added where both features are one standard deviation above their means."""

    first: str
    second: str
    weight: float


class Standing(msgspec.Struct, frozen=True):
    """A model of a target.

    Attributes
    ----------
    raw
        Of all predictions, before the second stage: what River's own progressive validation gives.
    shown
        Of the predictions as they would have been shown, after the second stage.
    deciles
        Of the latter.
    calibration
        The second stage in force.
    """

    model: Pipeline
    role: ModelRole
    raw: Quality
    shown: Quality
    calibration: Calibration
    deciles: list[Decile]
    weights: list[FeatureWeight]
    crosses: list[CrossedWeight]


class Trial(msgspec.Struct, frozen=True):
    """The test of a challenger: whether its log loss is lower than the champion's, on means of days.

    Attributes
    ----------
    evidence
        An e-value: were the challenger no better, it would ever reach `needed` with a probability of 1 / `needed` at
        most, however often one looks.
    days
        Days with answers since the test began (or the last promotion).
    gain
        Mean over these days of the champion's log loss less the challenger's, nats an answer.
    since
        ISO 8601 in UTC; None before the first day.
    """

    champion: Pipeline
    challenger: Pipeline
    evidence: float
    needed: float
    days: int
    gain: float | None
    since: str | None


class Series(StrEnum):
    """What is watched for drift, as means of days."""

    BASE_RATE, LOG_LOSS, MEAN, MISSING = "base rate", "log loss", "mean", "missing"


class Drift(msgspec.Struct, frozen=True):
    """A change that was found.

    Attributes
    ----------
    series, feature
        What changed; the feature of MEAN and MISSING, else empty.
    began
        The first day of the new level, ISO 8601 in UTC.
    before, after
        The levels: shares, nats, and of MEAN what the model takes in (log of money, counts and days).
    spreads
        How far that is, in standard deviations of the daily means.
    examples
        How many examples have come since `began`, until it was found.
    """

    series: Series
    feature: str
    began: str
    before: float
    after: float
    spreads: float
    examples: int


class Watched(msgspec.Struct, frozen=True):
    """A series now: the mean of its days since it last changed, and when that was (None: not yet)."""

    series: Series
    feature: str
    days: int
    mean: float | None
    latest: float | None
    changed: str | None


class Cohort(msgspec.Struct, frozen=True):
    """The questions of a week: what was foretold of them by each model, as shown, and what came.

    Attributes
    ----------
    week
        Its first moment (Monday in the catalogue's standard offset), ISO 8601 in UTC.
    asked
        Questions; those that are not in `models` yet wait for their answers.
    """

    week: str
    asked: int
    models: dict[Pipeline, Quality]


class Former(msgspec.Struct, frozen=True):
    """A snapshot that was published and can be put back."""

    version: int
    at: str
    model: Pipeline
    log_loss: float | None
    auc: float | None


class ModelReport(msgspec.Struct, frozen=True):
    """All that there is to see of a target's models; under `report_key` on `control`, replaced as learning goes on.

    Attributes
    ----------
    at
        Time of the newest example, ISO 8601 in UTC.
    version
        Of the newest snapshot; 0 before the first.
    waiting, settling
        Questions without an answer; answers that wait until their question's time is over.
    models
        The champion first.
    weeks
        The oldest first.
    formers
        The newest first.
    pinned
        Whether an older snapshot was put back and stays.
    """

    target: str
    at: str
    version: int
    ready: bool
    pinned: bool
    waiting: int
    settling: int
    models: list[Standing]
    trial: Trial
    automatic: bool
    watched: list[Watched]
    weeks: list[Cohort]
    formers: list[Former]


class Happening(StrEnum):
    """What is told on `model-events`."""

    PROMOTED, ROLLED_BACK, REFUSED = "promoted", "rolled-back", "refused"
    CALIBRATED, UNCALIBRATED = "calibrated", "uncalibrated"
    DRIFTED, RECENTRED = "drifted", "recentred"


class ModelEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision about a target's models, with the numbers it rests on; its id is the same if it is told again.

    Attributes
    ----------
    at
        Time of the example that led to it, or of the order, ISO 8601 in UTC.
    model
        The champion from now on; of calibration the model it is of.
    version
        The newest snapshot's when it happened.
    by
        The order's id, or `test`, or `drift`, or `reliability`.
    trial
        The test as it stood, of PROMOTED and ROLLED_BACK.
    quality, calibration
        What the second stage rests on and is from now on, of CALIBRATED and UNCALIBRATED.
    drift
        Of DRIFTED, and of RECENTRED: inputs are read around their new mean from now on, and examples from before no
        longer teach that feature.
    why
        Of REFUSED: why an order could not be followed.
    """

    id: str
    target: str
    at: str
    what: Happening
    model: Pipeline
    version: int
    by: str
    trial: Trial | None = None
    quality: Quality | None = None
    calibration: Calibration | None = None
    drift: Drift | None = None
    why: str = ""


class Order(StrEnum):
    """What can be ordered by hand."""

    PROMOTE, ROLL_BACK = "promote", "roll-back"


class ModelOrder(msgspec.Struct, frozen=True):
    """An order to a target's trainer, under `order_key` on `control`; the newest one counts, each is followed once.

    PROMOTE makes `model` the champion (None: the challenger) and lets snapshots follow it again. ROLL_BACK puts the
    snapshot `version` back (None: the one in force before the latest promotion, else the one before the newest), under
    a new version, until the next order.

    Attributes
    ----------
    id
        Any text that no other order has.
    at
        ISO 8601 in UTC.
    """

    id: str
    target: str
    order: Order
    at: str
    model: Pipeline | None = None
    version: int | None = None


def report_key(group: str, target: str) -> str:
    """The key of a target's report on the control topic."""
    return f"model-report/{group}/{target}"


def order_key(group: str, target: str) -> str:
    """The key of the newest order to a target's trainer on the control topic."""
    return f"model-order/{group}/{target}"
