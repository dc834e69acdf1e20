"""What a replay that learns leaves behind: every example with its score, and the models of the end."""

from __future__ import annotations

import msgspec

from schemas.learning import ModelSnapshot, Pipeline
from schemas.model_reports import ModelReport
from schemas.records import Value


class ScoredExample(msgspec.Struct, frozen=True):
    """A question with what was foretold of it and what came: a line of `examples.ndjson`.

    Attributes
    ----------
    at, label_at
        When it was asked, and when its answer was known: ISO 8601 in UTC. None: it waits for its answer.
    model, model_version
        The champion of then, and the newest snapshot before the question (0: none yet).
    features
        By name, as JSON shows them elsewhere: money in major units, durations in ms; None is missing.
    score
        The probability that the champion gave, with all that it had learned until then.
    challenger_score
        That of the other of the target's models.
    label
        Whether the outcome came; None: that is not known yet.
    """

    customer_id: str
    target: str
    at: str
    model: Pipeline
    model_version: int
    features: dict[str, Value]
    score: float
    challenger_score: float
    label: bool | None = None
    label_at: str | None = None


class LearnedTarget(msgspec.Struct, frozen=True):
    """A target at the end of a replay: an entry of `models.json`.

    Attributes
    ----------
    snapshot
        In force: the newest whose first horizon is over; None before there is one.
    report
        Weights, calibration and metrics by week, of champion and challenger; None before any example.
    """

    target: str
    snapshot: ModelSnapshot | None
    report: ModelReport | None
