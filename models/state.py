"""All that a trainer keeps between two runs, as JSON: floats go out and in without losing a bit."""

from __future__ import annotations

import msgspec


class LearnerState(msgspec.Struct, frozen=True):
    """All that a learner knows; lists have one number for each feature, in their order."""

    features: list[str]
    counts: list[int]
    means: list[float]
    variances: list[float]
    weights: list[float]
    intercept: float
    iterations: int


class HistogramState(msgspec.Struct, frozen=True):
    """Counts of neighbouring buckets, from bucket number `first` to the last that is not empty."""

    first: int
    counts: list[int]


class ProgressState(msgspec.Struct, frozen=True):
    """All that the progressive metrics rest on: sums of losses and scores, and the logits by label."""

    loss: float
    scores: float
    negatives: HistogramState
    positives: HistogramState


class Counters(msgspec.Struct):
    """What a trainer has met.

    Attributes
    ----------
    questions, answers, positives
        Without repeats; answers that wait for their question's time to be over count as well. More of these are
        positives than of all in the end: the base rate is `Progress.base_rate`.
    learned
        The answers judged and learned from: all but those that wait.
    repeated, unasked
        Questions and answers met before, and answers to no question that is known.
    """

    questions: int = 0
    answers: int = 0
    positives: int = 0
    learned: int = 0
    repeated: int = 0
    unasked: int = 0


class Schedule(msgspec.Struct):
    """The times of a trainer, UTC ms of its examples; None before there is one.

    Attributes
    ----------
    now
        The latest time of an example.
    first_at
        Time of the first question.
    due
        When the next snapshot may be made; None before the first question.
    learned_at
        The latest moment at which an answer learned from was settled: at the end of its question's time, or when it
        was known where that was later; 0 before any.
    news
        Whether something was learned since the last snapshot.
    version
        Number of the last snapshot; 0 before any.
    """

    now: int = 0
    first_at: int | None = None
    due: int | None = None
    learned_at: int = 0
    news: bool = False
    version: int = 0


class TrainerState(msgspec.Struct, frozen=True):
    """All of a trainer but the questions that are not settled and the ids of those that are."""

    learner: LearnerState
    progress: ProgressState
    counters: Counters
    schedule: Schedule
