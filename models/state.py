"""All that a trainer keeps between two runs, as JSON: floats go out and in without losing a bit."""

from __future__ import annotations

import msgspec

from schemas.catalogue import Cross
from schemas.learning import Pipeline


class RegressionState(msgspec.Struct, frozen=True):
    """A logistic regression: a weight for each input, of the crossed one first the features' and then the products'."""

    weights: list[float]
    intercept: float
    iterations: int


class LearnerState(msgspec.Struct, frozen=True):
    """All that a learner knows; `counts`, `means` and `variances` have one number for each feature, in their order."""

    features: list[str]
    crosses: list[Cross]
    counts: list[int]
    means: list[float]
    variances: list[float]
    linear: RegressionState
    crossed: RegressionState


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


class TriedState(msgspec.Struct, frozen=True):
    """A second stage as it was measured from `since` on, UTC ms."""

    since: int
    slope: float
    intercept: float


class ComparisonState(msgspec.Struct, frozen=True):
    """What second stages were worth that were tried, whether they were in force or not.

    `answers`, `gains` and `squares` fade: how many, the sum of what log loss they would have saved, and of its squares.
    """

    tried: list[TriedState] = []
    answers: float = 0.0
    gains: float = 0.0
    squares: float = 0.0
    urgent: bool = False


class ReliabilityState(msgspec.Struct, frozen=True):
    """The second stage: `information` holds that of the slope, of both and of the offset.

    A state from before stages were compared lacks the `comparison`: it begins with nothing tried.
    """

    slope: float
    offset: float
    information: list[float]
    answers: int
    mending: bool
    comparison: ComparisonState = ComparisonState()


class TrialState(msgspec.Struct):
    """A test at work.

    Attributes
    ----------
    since, day
        Time of the first answer, UTC ms; number of the day that is not over.
    answers, difference
        Of that day: how many, and the sum of the differences in log loss.
    days, gains, squares
        Of the days that are over: how many, the sum of their means and of these squared.
    bets, bets_sum, bets_squares
        Of the days there was a bet on: how many, the sum of their bounded gains and of these squared.
    """

    since: int | None = None
    day: int = 0
    answers: int = 0
    difference: float = 0.0
    days: int = 0
    gains: float = 0.0
    squares: float = 0.0
    bets: int = 0
    bets_sum: float = 0.0
    bets_squares: float = 0.0
    log_evidence: float = 0.0


class BlockState(msgspec.Struct):
    """Examples of a day that is not over: `day` is its number in local time, lists have one number for each value."""

    counts: list[int]
    sums: list[float]
    squares: list[float]
    examples: int = 0
    day: int = 0


class SeriesState(msgspec.Struct):
    """Means of days since a level last changed, the oldest first; all lists are of the same length.

    Attributes
    ----------
    days, counts
        Numbers of the days in local time, and how many examples each had.
    means, squares
        Of the examples, and of their squares.
    reference
        The level that a change is told against; None before any cut.
    changed
        The first day of a change that was told; None before any.
    flows
        The first day on which a feature's values differed, so that records it is made of flow; None before.
    """

    days: list[int] = []
    counts: list[int] = []
    means: list[float] = []
    squares: list[float] = []
    reference: float | None = None
    changed: int | None = None
    flows: int | None = None

    def drop(self, count: int) -> None:
        """Forget the oldest days."""
        if count > 0:
            for column in (self.days, self.counts, self.means, self.squares):
                del column[:count]

    def mean_of(self, column: list[float]) -> float:
        """The mean of a column over all examples."""
        return sum(n * x for n, x in zip(self.counts, column, strict=True)) / sum(self.counts)


class WatchState(msgspec.Struct, frozen=True):
    """What is watched for drift, of the days that are not over."""

    asked: BlockState
    settled: BlockState


class TallyState(msgspec.Struct):
    """Predictions of a model for the questions of a week; `buckets` has the answers, negative and positive, by logit.

    Once the week is long past, `auc` is kept in the place of the buckets.
    """

    answers: int = 0
    positives: int = 0
    loss: float = 0.0
    scores: float = 0.0
    buckets: dict[int, list[int]] = {}
    auc: float | None = None


class WeekState(msgspec.Struct):
    """The questions of a week."""

    asked: int
    linear: TallyState
    crossed: TallyState


class JudgeState(msgspec.Struct, frozen=True):
    """What a model's predictions were worth, before and after its second stage."""

    raw: ProgressState
    shown: ProgressState
    reliability: ReliabilityState


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


class DeskState(msgspec.Struct):
    """What was decided about a target's models.

    Attributes
    ----------
    champion
        The model whose scores are shown.
    pinned
        Whether a former snapshot was put back, so that no new ones are made.
    order
        Id of the latest order followed.
    before
        Version in force before the latest promotion; None before any.
    events
        How many were told.
    drifts
        How many of these were changes of level.
    fresh
        By feature: when its values began to mean something else, UTC ms; older ones teach nothing.
    """

    champion: Pipeline = Pipeline.LINEAR
    pinned: bool = False
    order: str = ""
    before: int | None = None
    events: int = 0
    drifts: int = 0
    fresh: dict[str, int] = {}


class TrainerState(msgspec.Struct, frozen=True):
    """All of a trainer but what has entries of its own: questions that are not settled, ids of those that are, weeks,
    watched series, former snapshots.
    """

    learner: LearnerState
    linear: JudgeState
    crossed: JudgeState
    trial: TrialState
    watch: WatchState
    desk: DeskState
    counters: Counters
    schedule: Schedule
