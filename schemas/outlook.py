"""The types of lifetime models in a catalogue, and of what a feature takes from one."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.durations import DAY, format_duration


class Gives(StrEnum):
    """What a lifetime model says of a customer."""

    ALIVE, TRANSACTIONS, VALUE = "alive", "transactions", "value"


class Lifetime(msgspec.Struct, frozen=True):
    """A model of how long customers come, how often, and for how much (`models.lifetime`).

    Attributes
    ----------
    frequency, last, first
        The features that count a customer's purchases and say how long ago the last and the first one was.
    value
        The feature that adds up their amounts; None where they have none.
    refresh_ms
        Parameters are looked at this often, at multiples of it in local time.
    least, after_ms
        Customers it takes to have parameters, and how long they have to be known on average.
    tolerance
        Parameters move only when one of them is off by more than this share of itself.
    """

    name: str
    title: dict[str, str]
    frequency: str
    last: str
    first: str
    value: str | None
    refresh_ms: int
    least: int = 100
    after_ms: int = 30 * DAY
    tolerance: float = 0.02

    @property
    def waits(self) -> str:
        """Why what rests on it can't be said yet."""
        known = format_duration(self.after_ms)
        return f"its lifetime model's first fit waits for {self.least:,} customers, known for {known} on average"

    @property
    def features(self) -> tuple[str, ...]:
        """The features it rests on."""
        named = (self.frequency, self.last, self.first)
        return named if self.value is None else (*named, self.value)


class Outlook(msgspec.Struct, frozen=True):
    """What a feature takes from a lifetime model.

    Attributes
    ----------
    model
        The model's name.
    rests_on
        The features that the model rests on.
    within_ms
        How far ahead it looks; 0 where it says what is now.
    discount
        By which share what comes a year later counts less.
    """

    model: str
    gives: Gives
    rests_on: tuple[str, ...]
    within_ms: int = 0
    discount: float = 0.0
