"""What learning writes and reads: questions, their answers, and the models that came of them (DESIGN section 7)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

# None of these can be part of a circle, so the garbage collector need not look at them (`gc=False`).


class Question(msgspec.Struct, frozen=True, gc=False, tag="question", tag_field="kind"):
    """A customer's features at a moment, for a model to say what comes.

    Attributes
    ----------
    at
        UTC ms of the customer's event after which it was asked.
    features
        The target's features in its order, as the engine computes them: money in minor units, durations in ms,
        booleans 0 and 1; None is missing.
    """

    id: str
    customer_id: str
    target: str
    at: int
    features: list[float | None]


class Answer(msgspec.Struct, frozen=True, gc=False, tag="answer", tag_field="kind"):
    """What came after a question: whether the outcome did, and when (UTC ms) that was known.

    It is told as soon as it is known; a trainer learns from it when the time of its question (`at`) is over.
    """

    id: str
    customer_id: str
    target: str
    at: int
    label: bool
    known_at: int


Example = Question | Answer


class Decile(msgspec.Struct, frozen=True):
    """About a tenth of the judged predictions, by rising score: what was foretold of them, and what came."""

    answers: int
    positives: int
    mean_score: float


class Pipeline(StrEnum):
    """The two models of a target: logistic regression on its features, and the same with products of them."""

    LINEAR, CROSSED = "linear", "crossed"


CROSS_LIMIT = 3.0
"""No product of two scaled inputs counts for more, either way: rare values would spoil a model in one step."""


class CrossWeight(msgspec.Struct, frozen=True, gc=False):
    """What a product of two features adds: `weight` times the product of both, 0 where one is missing.

    Each of the two is its distance from its mean in spreads (0 where it has none), and the product is held between
    -CROSS_LIMIT and CROSS_LIMIT. A feature crossed with itself bends its effect.
    """

    first: str
    second: str
    weight: float


class Calibration(msgspec.Struct, frozen=True, gc=False):
    """The second stage of a model: the log odds it gives are `slope * logit + intercept`; (1, 0) changes nothing."""

    slope: float = 1.0
    intercept: float = 0.0


class ModelSnapshot(msgspec.Struct, frozen=True):
    """A model as plain numbers: `score = 1 / (1 + exp(-(bias + sum(weights * inputs) + crosses)))`.

    Attributes
    ----------
    version
        Counts the snapshots of a target from 1.
    at
        UTC ms: the latest moment at which an answer it has learned from was settled, that is at the end of its
        question's time, or when it was known where that was later.
    questions, answers, positives
        How many were met. Those that wait for their question's time to be over are among the answers, and more of
        these are positives than of all in the end: for a base rate take the positives and answers of `deciles`.
    learned
        How many of the answers it was judged by and has learned from: all but those that wait.
    ready
        Whether scores may be shown: the first horizon has passed.
    features
        The target's features, in order; all lists have one number for each.
    means, weights
        Of the transformed features; a missing input counts as its mean. `weights` are folded: w / sd.
    bias
        Folded: intercept - sum(means * weights).
    log_loss, auc
        Progressive: of the predictions judged, `learned` of them; None before there is any (auc: of either label).
    deciles
        Calibration of the same predictions, from the lowest scores to the highest.
    model
        Which of the target's models it is; the figures are its own.
    spreads, crosses
        Of the crossed model, else none: standard deviations of the transformed features, and its products.
    calibration
        The second stage, for showing: bias, weights and crosses have it in them already.
    slope
        What came, regressed on the log odds foretold before the second stage, lately: 1 is calibrated.
    in_large
        Positives over those foretold, of the newest weeks whose answers are there: 1 is calibrated.
    evidence
        The e-value of the other model's test (`schemas.model_reports.Trial`).
    drifts
        How many changes of level were told (`schemas.model_reports.Drift`).
    pinned
        Whether it was put back by hand (`ModelOrder`), so that no later one follows until another order.
    """

    target: str
    version: int
    at: int
    questions: int
    answers: int
    positives: int
    learned: int
    ready: bool
    features: list[str]
    means: list[float]
    weights: list[float]
    bias: float
    log_loss: float | None = None
    auc: float | None = None
    deciles: list[Decile] = []
    model: Pipeline = Pipeline.LINEAR
    spreads: list[float] = []
    crosses: list[CrossWeight] = []
    calibration: Calibration = Calibration()
    slope: float | None = None
    in_large: float | None = None
    evidence: float | None = None
    drifts: int = 0
    pinned: bool = False


def question_id(customer: str, target: str, at_ms: int) -> str:
    """The id of a question and of its answer: the same on every replay; plain, as its record names the customer too."""
    return f"{target}/{at_ms}/{customer}"


def model_key(group: str, target: str) -> str:
    """The key of a target's snapshots on the control topic, which apps share."""
    return f"model/{group}/{target}"
