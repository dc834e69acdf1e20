"""Why a customer is said to be what is said: what `livetags explain` and the API hand out."""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.catalogue import Unit
from schemas.records import Value

SEGMENT: Final = "segment"
"""Beside the kinds of tags: what `Explained.kind` says of a segment."""


class Contribution(msgspec.Struct, frozen=True):
    """What one feature does to a score.

    Attributes
    ----------
    value
        The customer's, as in `customer-tags`; None is missing, which pushes nothing.
    usual
        The value that would push nothing: the mean of what the model learned from, back in the feature's unit
        (money in major units, durations in ms, of a boolean the share of yes). Of amounts, counts and durations it
        is the mean of logarithms, so a few huge ones hardly move it.
    push
        What it adds to the logit: above zero it makes the outcome likelier.
    """

    feature: str
    title: dict[str, str]
    unit: Unit
    value: Value
    usual: Value
    push: float


class ScoreExplanation(msgspec.Struct, frozen=True):
    """A target's probability for one customer, and where it comes from.

    Attributes
    ----------
    tags
        The tags that say it.
    logit
        `rest` plus every push; `probability` is `1 / (1 + exp(-logit))`.
    rest, usual_probability
        The logit and the probability of a customer with nothing but usual values.
    version
        Of the model, counted from 1.
    ready
        Whether the score may be acted on: the target's first horizon has passed.
    contributions
        In the order of the target's features.
    """

    target: str
    title: dict[str, str]
    tags: list[str]
    probability: float
    logit: float
    rest: float
    usual_probability: float
    version: int
    ready: bool
    contributions: list[Contribution]


class CutExplanation(msgspec.Struct, frozen=True):
    """Where the levels of a quantile tag begin.

    Attributes
    ----------
    version
        Of the cut-points, counted from 1.
    at
        The refresh that brought them, ISO 8601 in UTC.
    customers
        How many customers they divide.
    unit
        The feature's.
    falling
        Whether a level is for values up to its cut-point; otherwise from it on.
    cuts
        As in `customer-tags`: of level 2, of level 3, ...
    """

    version: int
    at: str
    customers: int
    feature: str
    unit: Unit
    falling: bool
    cuts: list[Value]


class LifetimeExplanation(msgspec.Struct, frozen=True):
    """The lifetime model that a tag or segment looks through, and what it knows of the customer.

    Attributes
    ----------
    model, title
        As the catalogue has it.
    version
        Of the parameters, counted from 1.
    at
        The refresh that brought them, ISO 8601 in UTC.
    customers
        How many customers they were learned from.
    knows
        The features that all it says rests on, by name, as in `customer-tags`: how many purchases, since the last one,
        since the first one, what they amount to.
    """

    model: str
    title: dict[str, str]
    version: int
    at: str
    customers: int
    knows: dict[str, Value]


class Reading(msgspec.Struct, frozen=True):
    """A feature or tag that a rule uses, with the customer's value; `unit` is None of a tag."""

    name: str
    title: dict[str, str]
    unit: Unit | None
    value: Value


class Explained(msgspec.Struct, frozen=True):
    """A tag or segment of one customer.

    Attributes
    ----------
    kind
        A tag's kind, or `SEGMENT`.
    value
        Of a segment whether the customer is in it.
    status
        `warming` or `frozen`, else empty.
    since, cause
        When (ISO 8601 in UTC) and why it last changed; None where it never did.
    text
        The rule as the catalogue has it.
    rule
        The same in words, a sentence a line; empty where they are not known.
    because
        What the rule uses, as it is now.
    decides
        Which conditions decide, and when it turns by itself; empty where that is not known for sure.
    cut_points
        Of a quantile tag that has some.
    lifetimes
        The lifetime models that it looks through, where these have parameters.
    """

    name: str
    title: dict[str, str]
    kind: str
    value: bool | str | None
    status: str
    since: str | None
    cause: str | None
    text: str
    rule: list[str]
    because: list[Reading]
    decides: list[str]
    cut_points: CutExplanation | None = None
    lifetimes: list[LifetimeExplanation] = []


class Dossier(msgspec.Struct, frozen=True):
    """All that is said about a customer and why; texts are in `language`, titles in every language.

    Attributes
    ----------
    at
        The customer's latest moment, ISO 8601 in UTC.
    scores
        Of the targets whose models are known.
    """

    customer_id: str
    at: str
    language: str
    catalogue: str
    timezone: str
    currency: str
    tags: list[Explained]
    segments: list[Explained]
    scores: list[ScoreExplanation]
