"""Customers to try livetags on: a real supermarket chain and a simulated bank.

What both are made with: the records' shapes, a stream of records in time order written as JSON lines, local times as
text, and random numbers that are the same everywhere. Nothing here knows files, Kafka or the engine.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import ArrayLike, NDArray

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Objects = NDArray[np.object_]

DAYPARTS = np.array(["night", "morning", "afternoon", "evening"], dtype=object)


class Stream(msgspec.Struct, frozen=True):
    """One source's events in time order; records are made slice by slice: a year of them need not fit in memory.

    Attributes
    ----------
    name
        Name of the source.
    times_ms
        Shape (n,), UTC epoch milliseconds, never decreasing.
    records
        Makes the records of a slice of the n events.
    """

    name: str
    times_ms: NDArray[np.int64]
    records: Callable[[slice], Sequence[msgspec.Struct]]

    def lines(self, size: int = 100_000) -> Iterator[list[bytes]]:
        """All events as JSON objects without newline, in lists of at most `size`."""
        encode = msgspec.json.Encoder().encode
        for start in range(0, len(self.times_ms), size):
            yield [encode(record) for record in self.records(slice(start, start + size))]


def iso_times(
    times_ms: NDArray[np.int64], unit: Literal["s", "ms"], offset_ms: int = 0, suffix: str = "Z"
) -> list[str]:
    """ISO 8601 texts, precise to `unit`, of UTC epoch milliseconds; shown in the zone `offset_ms` east of UTC."""
    local = (times_ms + offset_ms).astype("datetime64[ms]")
    texts = np.datetime_as_string(local, unit=unit, casting="unsafe")
    return [f"{text}{suffix}" for text in texts.tolist()]


def dayparts(times_ms: NDArray[np.int64], offset_ms: int) -> list[str]:
    """Night (0-5), morning (6-11), afternoon (12-17), evening (18-23), by the hour `offset_ms` east of UTC."""
    quarter = (times_ms + offset_ms) // (6 * HOUR_MS) % 4
    names: list[str] = DAYPARTS[quarter].tolist()
    return names


def optional(known: ArrayLike, values: NDArray[Any]) -> Objects:
    """The values as Python objects, UNSET where not known: a field with UNSET is left out of the JSON."""
    objects = values.astype(object)
    objects[~np.asarray(known, np.bool_)] = UNSET
    return objects


class Draws:
    """Random numbers of one part of a simulation; parts do not disturb each other.

    All are made of uniform doubles of PCG64, whose stream changes neither with the platform nor with numpy's version.
    """

    def __init__(self, seed: int, part: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, part])))

    def uniform(self, *shape: int) -> Floats:
        """Doubles in [0, 1)."""
        return self._generator.random(shape)

    def chance(self, probability: Floats | float, *shape: int) -> Bools:
        """True with the given probability."""
        drawn: Bools = self.uniform(*shape) < probability
        return drawn

    def whole(self, low: ArrayLike, high: ArrayLike, count: int) -> Ints:
        """Integers from `low` to `high`, both included."""
        low = np.asarray(low, np.int64)
        drawn: Ints = low + np.floor(self.uniform(count) * (np.asarray(high) - low + 1)).astype(np.int64)
        return drawn

    def normal(self, count: int) -> Floats:
        """Standard normal numbers (Box and Muller 1958)."""
        radius = np.sqrt(-2 * np.log1p(-self.uniform(count)))
        normal: Floats = radius * np.cos(2 * np.pi * self.uniform(count))
        return normal

    def lognormal(self, median: Floats | float, spread: Floats | float, count: int) -> Floats:
        """Log-normal numbers with this median and standard deviation of the logarithm."""
        scattered: Floats = median * np.exp(spread * self.normal(count))
        return scattered

    def pick(self, weights: ArrayLike, count: int) -> Ints:
        """Positions drawn by weight: one row of `weights` for all, or one row each."""
        edges = np.cumsum(weights, axis=-1)
        drawn = self.uniform(count) * edges[..., -1]
        picked: Ints = (drawn[:, None] >= edges[..., :-1]).sum(axis=1, dtype=np.int64)
        return picked


class HouseholdProfile(msgspec.Struct, frozen=True):
    """What a household said about itself; what it did not say is left out."""

    household_id: str
    updated_at: str
    age: str | UnsetType
    income: str | UnsetType
    household_size: str | UnsetType
    kids_count: str | UnsetType
    home_ownership: str | UnsetType
    marital_status: str | UnsetType


class Contact(msgspec.Struct, frozen=True):
    """A household received a campaign."""

    contact_id: str
    household_id: str
    at: str
    campaign_type: str


class Purchase(msgspec.Struct, frozen=True):
    """One line of a receipt; amounts in US dollars."""

    line_id: str
    household_id: str
    at: str
    amount: float
    discount: float
    coupon: bool
    quantity: int
    basket_line: int
    department: str | UnsetType
    brand: str | UnsetType
    daypart: str


class Redemption(msgspec.Struct, frozen=True):
    """A household redeemed a campaign's coupon; only the day is known."""

    redemption_id: str
    household_id: str
    at: str
    campaign_id: int


class Type(IntEnum):
    """What a transaction is."""

    SALARY, TRANSFER, CARD, CASH, FEE, INTEREST, DEPOSIT, LOAN, WEALTH = range(9)


class Channel(IntEnum):
    """Where a transaction was made."""

    APP, WEB, BRANCH, ATM, POS = range(5)


class Party(IntEnum):
    """The kind of institution on the other side of a transaction."""

    OWN, BIG_FOUR, JOINT_STOCK, CITY_BANK, WALLET, MERCHANT, EMPLOYER, BROKER = range(8)


class AppEvent(IntEnum):
    """A step of a visit to the app."""

    LOGIN, VIEW_DEPOSIT, VIEW_LOAN, VIEW_WEALTH, TRANSFER, SERVICE_CALL, COMPLAINT, LOGOUT = range(8)


class AppChannel(IntEnum):
    """How the app is reached."""

    APP, WEB, MINI_PROGRAM = range(3)


class CustomerProfile(msgspec.Struct, frozen=True):
    """What the bank knows of a customer."""

    customer_id: str
    updated_at: str
    city: str
    birth_year: int
    birth_month: str
    vip: bool
    occupation: str
    consent: bool


class Transaction(msgspec.Struct, frozen=True):
    """Money that moved, in CNY; `balance` is what is left after it."""

    transaction_id: str
    customer_id: str
    occurred_at: str
    amount: float
    direction: str
    type: str
    channel: str
    counterparty: str
    balance: float


class Payload(msgspec.Struct, frozen=True):
    """Where in the app, and for how long."""

    seconds: float | UnsetType
    page: str


class AppLog(msgspec.Struct, frozen=True):
    """One step of a visit to the app."""

    event_id: str
    customer_id: str
    at: str
    event: str
    channel: str
    payload: Payload
    daypart: str


class Outcome(msgspec.Struct, frozen=True):
    """What the bank wants to foresee."""

    outcome_id: str
    customer_id: str
    at: str
    event: str
    amount: float | UnsetType
