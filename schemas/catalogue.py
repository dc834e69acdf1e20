"""The types of a tag catalogue: what flows in, what is remembered, what is said (DESIGN section 5).

A `Catalogue` exists only checked: `schemas.loading.load` makes one from a file or says every mistake. All times
and durations are integer milliseconds, money literals are already in minor units.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.durations import DAY, Window
from schemas.rules import Expr


class FieldKind(StrEnum):
    """What a field of a record holds."""

    MONEY, COUNT, NUMBER, TEXT, BOOLEAN, TIME, ENUM = "money", "count", "number", "text", "boolean", "time", "enum"


class Unit(StrEnum):
    """What a number in a rule means; money never meets a duration."""

    MONEY, COUNT, RATIO, DURATION, TIME = "money", "count", "ratio", "duration", "time"
    CATEGORY, TEXT, BOOLEAN = "category", "text", "boolean"


class Aggregation(StrEnum):
    """How a feature is computed."""

    COUNT, SUM, MIN, MAX, MEAN, DAYS = "count", "sum", "min", "max", "mean", "days"
    DISTINCT, TOP, LAST, FIRST = "distinct", "top", "last", "first"
    SINCE_LAST, SINCE_FIRST, COMPUTE = "since last", "since first", "compute"


class TagKind(StrEnum):
    """The five kinds of tags that teams speak of."""

    STATIC, BEHAVIOUR, VALUE = "static", "behaviour", "value"
    LIFECYCLE, PREDICTED = "lifecycle", "predicted"


class Field(msgspec.Struct, frozen=True):
    """A field of a source; `path` is where it stands in the record's JSON."""

    name: str
    kind: FieldKind
    path: tuple[str, ...]
    values: tuple[str, ...] = ()
    other: bool = False
    optional: bool = False
    minor: bool = False
    decimals: int | None = None

    @property
    def all_values(self) -> tuple[str, ...]:
        """The values of an enum, `other` included where it may stand for the rest."""
        return (*self.values, "other") if self.other else self.values


class Source(msgspec.Struct, frozen=True):
    """A topic of events or profiles and the shape of its records."""

    name: str
    topic: str
    key: str
    time: str
    fields: tuple[Field, ...]
    profile: bool = False
    id: str | None = None
    allowed_skew_ms: int = 60_000
    accept_late_ms: int = 86_400_000
    max_ahead_ms: int = 300_000
    stall_after_ms: int | None = None
    open: str = ""
    rekey: bool = False

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(field for field in self.fields if field.name == name)


class Feature(msgspec.Struct, frozen=True):
    """A number computed from a row. `window` None means ever; `sources` is empty for a computed one."""

    name: str
    aggregation: Aggregation
    unit: Unit
    title: dict[str, str]
    sources: tuple[str, ...] = ()
    field: str | None = None
    where: Expr | None = None
    window: Window | None = None
    compute: Expr | None = None
    values: tuple[str, ...] = ()
    decimals: int = 0


class When(msgspec.Struct, frozen=True, tag=True):
    """A boolean tag."""

    rule: Expr


class Levels(msgspec.Struct, frozen=True, tag=True):
    """The first level whose condition holds; None is `otherwise`."""

    names: tuple[str, ...]
    rules: tuple[Expr | None, ...]


class Category(msgspec.Struct, frozen=True, tag=True):
    """A tag that says the value of a category feature."""

    of: str
    values: tuple[str, ...]


class Quantiles(msgspec.Struct, frozen=True, tag=True):
    """Equal parts of the population by a feature, 1 the lowest; a value at a cut-point belongs to the level above.

    Attributes
    ----------
    refresh_ms
        Cut-points are looked at this often, at multiples of it in local time (a day: at midnight).
    falling
        Whether small values are the high ones, as for the time since something.
    population
        Who is counted and has a level; None: everybody whose feature is known.
    missing_lowest
        Whether customers without a value are counted and have level 1; otherwise they have none.
    least
        Customers that the population needs to have cut-points.
    tolerance
        Cut-points move only when one of them is off by more than this share of itself.
    """

    of: str
    levels: int
    refresh_ms: int
    falling: bool = False
    population: Expr | None = None
    missing_lowest: bool = False
    least: int = 100
    tolerance: float = 0.02


class Score(msgspec.Struct, frozen=True, tag=True):
    """Levels over a target's probability; thresholds fall, `margin` is the hysteresis."""

    target: str
    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    margin: float


class Code(msgspec.Struct, frozen=True, tag=True):
    """The values of several tags or features in one word, such as 545; missing where one of them is."""

    of: tuple[str, ...]
    values: tuple[str, ...]


Rule = When | Levels | Category | Quantiles | Score | Code


class Tag(msgspec.Struct, frozen=True):
    """What is said about a customer, by whom, for whom, and how fresh it has to be."""

    name: str
    kind: TagKind
    rule: Rule
    title: dict[str, str]
    about: dict[str, str]
    owner: str
    text: str
    used_for: tuple[str, ...] = ()
    freshness_ms: int | None = None
    hold_ms: int = 0

    @property
    def boolean(self) -> bool:
        """Whether the tag is on or off."""
        return isinstance(self.rule, When)

    @property
    def values(self) -> tuple[str, ...]:
        """The names of the values, in the order of their codes."""
        match self.rule:
            case When():
                return ("false", "true")
            case Quantiles(levels=levels):
                return tuple(str(n + 1) for n in range(levels))
            case rule:
                return rule.names if isinstance(rule, Levels | Score) else rule.values

    @property
    def waits(self) -> str:
        """Why the tag can't be said yet (`warming`), or an empty text."""
        match self.rule:
            case Quantiles(least=least):
                return f"its first cut-points wait for {least:,} customers and a refresh"
            case Score():
                return "its target's model has yet to be learned: outcomes take their horizon to come"
        return ""


class Segment(msgspec.Struct, frozen=True):
    """A boolean over tags and features."""

    name: str
    rule: Expr
    title: dict[str, str]
    about: dict[str, str]
    text: str


class Label(msgspec.Struct, frozen=True):
    """The outcome a target waits for: `where` of `source` within the horizon, or nothing of `absent`."""

    within_ms: int
    source: str | None = None
    where: Expr | None = None
    arrives_within_ms: int = 0
    absent: tuple[str, ...] = ()

    @property
    def settled_ms(self) -> int:
        """How long after a question its answer is known at the latest, by the outcome source's watermark."""
        return self.within_ms + self.arrives_within_ms


class Cross(msgspec.Struct, frozen=True):
    """Two features of a target whose product its second model takes in; one crossed with itself is squared."""

    first: str
    second: str


class Promotion(msgspec.Struct, frozen=True):
    """When a challenger takes the champion's place.

    Attributes
    ----------
    evidence
        The e-value that the test has to reach: 20 promotes one that is no better once in 20 times at most.
    automatic
        Whether it is promoted then; else by hand only.
    """

    evidence: float = 20.0
    automatic: bool = True


class Target(msgspec.Struct, frozen=True):
    """What a model predicts.

    Attributes
    ----------
    example_every_ms
        A customer is asked about at most this often.
    refresh_ms
        A new state of the model is published at most this often.
    prior
        The share of positive answers to expect before any is known, above 0 and below 1.
    crosses
        What its second model takes in besides the features.
    """

    name: str
    title: dict[str, str]
    label: Label
    features: tuple[str, ...]
    example_every_ms: int
    refresh_ms: int = DAY
    prior: float = 0.02
    crosses: tuple[Cross, ...] = ()
    promotion: Promotion = Promotion()


class Crossing(StrEnum):
    """Which way a customer crosses a segment's border."""

    ENTER, LEAVE = "enter", "leave"


class Cap(msgspec.Struct, frozen=True):
    """At most `most` requests within any `per_ms`."""

    most: int
    per_ms: int


class QuietHours(msgspec.Struct, frozen=True):
    """From `start_minute` of the local day to before `end_minute`; over midnight where the end is the smaller."""

    start_minute: int
    end_minute: int


class Trigger(msgspec.Struct, frozen=True):
    """The policy that turns a segment's change into an outreach request.

    Attributes
    ----------
    consent
        The boolean feature or tag that says whether the customer agreed; None for service messages, which need none.
    expires_ms
        How long after the change a request may still be carried out.
    holdout
        The share of customers who get none, so that the effect can be measured.
    """

    name: str
    title: dict[str, str]
    segment: str
    change: Crossing
    channel: str
    consent: str | None
    expires_ms: int = 86_400_000
    cooldown_ms: int = 0
    cap: Cap | None = None
    quiet: QuietHours | None = None
    holdout: float = 0.0


class Catalogue(msgspec.Struct, frozen=True):
    """A checked catalogue. `offset_ms` is the timezone's standard offset, `tag_order` the order of evaluation."""

    name: str
    version: int
    title: dict[str, str]
    timezone: str
    offset_ms: int
    currency: str
    exponent: int
    sources: tuple[Source, ...]
    features: tuple[Feature, ...]
    tags: tuple[Tag, ...]
    segments: tuple[Segment, ...]
    targets: tuple[Target, ...]
    triggers: tuple[Trigger, ...]
    tag_order: tuple[str, ...]

    def source(self, name: str) -> Source:
        """The source of that name."""
        return next(source for source in self.sources if source.name == name)

    def feature(self, name: str) -> Feature:
        """The feature of that name."""
        return next(feature for feature in self.features if feature.name == name)

    def tag(self, name: str) -> Tag:
        """The tag of that name."""
        return next(tag for tag in self.tags if tag.name == name)

    def trigger(self, name: str) -> Trigger:
        """The trigger of that name."""
        return next(trigger for trigger in self.triggers if trigger.name == name)
