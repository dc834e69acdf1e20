"""The lives behind the simulated bank, and the exact probability that a customer opens a deposit within 30 days.

A customer is awake, asleep (weeks or months of silence) or leaving for good; states change at the start of a day with
fixed odds per temper, whatever happened before. On a day awake two visible triggers may fall, independently: a surge (a
sudden large inflow) and a burst of looking at deposits. From the next day a trigger adds hazard `mass * KERNEL[j - 1]`
on day j = 1..30 after it, to a base hazard that depends on the profile, for as long as the customer stays awake; asleep
or leaving, there is none. With K the kernel's running sum, l days awake in a row from now on pass without a deposit
with probability

    exp(-H_l) * A_l,    H_l = sum over past triggers of mass * (K(age + l) - K(age)),
    A_l = exp(-l * base) * prod over kinds, n = 0..l-1 of (1 - rate * (1 - exp(-mass * K(n)))),

where A_l takes the mean over triggers still to come. Summing over the day the awake stretch ends gives the probability
in closed form: no sampling, no fit.

A value holds at the end of a day. At a moment within a day, the triggers count that have fallen by then, on the days
before and on its own; that one may still fall on the same day is left out (for the liveliest 2 in 100 times), and so is
a deposit on what is left of the day.
"""

from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.demo import DAY_MS, HOUR_MS, AppEvent, Bools, Draws, Floats, Ints

DAYS = 365
YEAR_START_MS = 1_735_660_800_000  # 2025-01-01T00:00:00+08:00
HORIZON = 30
GRID = np.arange(6, DAYS, 7)

KERNEL = np.exp(-np.arange(HORIZON) / 9.0)
KERNEL /= KERNEL.sum()
CUMULATED = np.r_[0.0, np.cumsum(KERNEL), np.ones(HORIZON)]  # K(0) .. K(60)
SURGE_MASS, VIEWS_MASS = 0.40, 0.34
BASE_DAILY = 0.00006
# A trigger: whose, when (UTC ms), what hazard it adds in all, and the probability of a deposit just before it.
FALLEN = np.dtype([("customer", "i4"), ("at", "i8"), ("mass", "f8"), ("before", "f8")])
NOTHING_FELL = np.empty(0, FALLEN)


class Occupation(IntEnum):
    """What a customer does for a living."""

    SALARIED, SELF_EMPLOYED, STUDENT, RETIRED, CIVIL_SERVANT = range(5)


class State(IntEnum):
    """Where a customer stands on a day."""

    AWAKE, ASLEEP, LEAVING = range(3)


# One row per temper: quiet, plain, mover. Odds per day; `activity` multiplies every habit: who moves money often comes
# often as well, so that what a customer does tells the temper.
TEMPERS = np.array(
    [
        (0.0002, 0.0003, 0.0022, 0.0004, 0.24),
        (0.0013, 0.0018, 0.0014, 0.0003, 0.85),
        (0.0080, 0.0105, 0.0005, 0.0002, 4.1),
    ],
    dtype=[("surge", "f8"), ("views", "f8"), ("sleep", "f8"), ("leave", "f8"), ("activity", "f8")],
)
WAKE = 1 / 60
# One row per occupation: median monthly income in CNY and its spread, years of birth, factor of the base hazard.
TRADES = np.array(
    [
        (8500, 0.55, 1965, 2001, 1.0),
        (7000, 0.80, 1960, 2000, 1.2),
        (1800, 0.40, 2000, 2007, 0.2),
        (4200, 0.35, 1940, 1965, 2.2),
        (9000, 0.35, 1966, 2001, 1.3),
    ],
    dtype=[("income", "f8"), ("spread", "f8"), ("born", "i8"), ("until", "i8"), ("hazard", "f8")],
)


class People(msgspec.Struct, frozen=True):
    """Customers, one array slot each; money in CNY."""

    occupation: Ints
    birth_year: Ints
    birth_month: Ints
    vip: Bools
    income: Floats
    wealth: Floats
    temper: Ints
    activity: Floats
    peak_hour: Floats

    @classmethod
    def draw(cls, count: int, seed: int) -> "People":
        """Customers as a retail bank in China might have them."""
        draws = Draws(seed, 1)
        occupation = draws.pick([0.45, 0.20, 0.12, 0.13, 0.10], count)
        trade = TRADES[occupation]
        income = draws.lognormal(trade["income"], trade["spread"], count)
        born = draws.whole(trade["born"], trade["until"], count)
        age = 2025 - born
        wealth = income * draws.lognormal(5 * np.clip(age / 40, 0.4, 1.6), 1.2, count)
        vip = wealth >= 300_000
        lively = vip | (occupation == Occupation.SELF_EMPLOYED)
        temper = draws.pick(np.where(lively[:, None], [0.35, 0.40, 0.25], [0.62, 0.30, 0.08]), count)
        activity = draws.lognormal(TEMPERS["activity"][temper], 0.25, count)
        peak = np.array([9, 12.5, 16, 20.5, 22.5])[draws.pick([0.2, 0.15, 0.1, 0.4, 0.15], count)]
        return cls(occupation, born, draws.whole(1, 12, count), vip, income, wealth, temper, activity, peak)

    @property
    def base_hazard(self) -> Floats:
        """Hazard of a deposit per day awake, without any trigger."""
        factor = TRADES["hazard"][self.occupation] * np.where(self.vip, 3.0, 1.0)
        hazard: Floats = BASE_DAILY * factor * np.where(self.birth_year < 1975, 1.5, 1.0)
        return hazard


class Life(msgspec.Struct, frozen=True):
    """What happens to each customer on each day; arrays of shape (customers, DAYS) unless said otherwise.

    Attributes
    ----------
    state
        A `State`.
    stretch
        Number of state changes so far: equal numbers, same awake stretch.
    energy
        1 awake, 0 asleep, fading from 1 to 0 over four to eight weeks when leaving.
    left_day, closed_day, loan_day
        Shape (customers,): first day of leaving, day the account is closed, day a loan is opened; DAYS where none.
    """

    state: NDArray[np.int8]
    stretch: NDArray[np.int16]
    energy: NDArray[np.float32]
    surges: Bools
    views: Bools
    deposits: Bools
    left_day: Ints
    closed_day: Ints
    loan_day: Ints


def live(people: People, seed: int) -> Life:
    """A year of every customer's life."""
    count = len(people.temper)
    draws = Draws(seed, 2)
    temper = TEMPERS[people.temper]
    state = _states(draws, temper)
    stretch = np.zeros((count, DAYS), np.int16)
    np.cumsum(state[:, 1:] != state[:, :-1], axis=1, out=stretch[:, 1:])
    awake = state == State.AWAKE
    leaving = state == State.LEAVING
    left_day = np.where(leaving.any(axis=1), leaving.argmax(axis=1), DAYS)
    fade = draws.whole(28, 56, count)
    age = np.arange(DAYS) - left_day[:, None]
    energy = np.where(leaving, np.maximum(0, 1 - age / fade[:, None]), awake).astype(np.float32)
    closed = left_day + fade + draws.whole(3, 25, count)
    closed = np.where(draws.chance(0.45, count) & (closed < DAYS), closed, DAYS)
    surges = draws.chance(temper["surge"][:, None], count, DAYS) & awake
    views = draws.chance(temper["views"][:, None], count, DAYS) & awake
    hazard = _hazard(people.base_hazard, surges, views, stretch)
    deposits = draws.chance(-np.expm1(-hazard), count, DAYS) & awake
    eager = np.array([1.0, 2.0, 1.0, 0.5, 0.5])[people.occupation]
    loans = draws.chance((0.00015 * eager)[:, None], count, DAYS) & awake
    loan_day = np.where(loans.any(axis=1), loans.argmax(axis=1), DAYS)
    return Life(state, stretch, energy, surges, views, deposits, left_day, closed, loan_day)


def _states(draws: Draws, temper: NDArray[Any]) -> NDArray[np.int8]:
    count = len(temper)
    state = np.empty((count, DAYS), np.int8)
    state[:, 0] = draws.chance(temper["sleep"] / (temper["sleep"] + WAKE), count)
    leave = temper["leave"]
    for day in range(1, DAYS):
        drawn = draws.uniform(count)
        stays = np.where(drawn < leave + temper["sleep"], State.ASLEEP, State.AWAKE)
        awake = np.where(drawn < leave, State.LEAVING, stays)
        asleep = np.where(drawn < WAKE, State.AWAKE, State.ASLEEP)
        state[:, day] = np.choose(state[:, day - 1], [awake, asleep, State.LEAVING])
    return state


def _hazard(base: Floats, surges: Bools, views: Bools, stretch: NDArray[np.int16]) -> Floats:
    """Hazard on each day, counting only triggers of the same awake stretch."""
    mass = SURGE_MASS * surges + VIEWS_MASS * views
    hazard = np.repeat(base[:, None], DAYS, axis=1)
    for later in range(1, HORIZON + 1):
        same = stretch[:, later:] == stretch[:, :-later]
        hazard[:, later:] += KERNEL[later - 1] * mass[:, :-later] * same
    return hazard


class Scene(msgspec.Struct, frozen=True):
    """Who lives how, and the random numbers of the part that is being drawn."""

    people: People
    life: Life
    draws: Draws

    def moment(self, customer: Ints, day: Ints) -> Ints:
        """UTC milliseconds on a day, mostly near the customer's own hour, before 23:36."""
        count = len(customer)
        habit = self.people.peak_hour[customer] + 1.3 * self.draws.normal(count)
        hour = np.where(self.draws.chance(0.75, count), habit, 7 + 16 * self.draws.uniform(count)) % 24
        into_day: Ints = (np.minimum(hour, 23.6) * HOUR_MS).astype(np.int64)
        return YEAR_START_MS + day * DAY_MS + into_day

    def days(self, rate: float, season: Floats | float = 1.0) -> tuple[Ints, Ints]:
        """Customers and days that something of this daily `rate` happens on, by how active they are."""
        shape = self.life.energy.shape
        odds = (rate * self.people.activity)[:, None] * season * self.life.energy
        who, day = np.nonzero(self.draws.chance(odds, *shape))
        return who, day

    def lively(self, customer: Ints, day: Ints) -> Bools:
        """Whether these days are within the year and not silent."""
        energy = self.life.energy[customer, np.minimum(day, DAYS - 1)].astype(np.float64)
        lively: Bools = (day < DAYS) & self.draws.chance(energy, len(customer))
        return lively

    def outings(self) -> tuple[Ints, Ints, Ints]:
        """Visits to the app: customer, day, and the product page that a visit is about (LOGIN where none)."""
        draws, life = self.draws, self.life
        eager = np.repeat(np.flatnonzero(life.loan_day < DAYS), 2)
        before = life.loan_day[eager] - draws.whole(1, 10, len(eager))
        kept = (before >= 0) & self.lively(eager, np.maximum(before, 0))
        kinds = (
            (self.days(0.028), AppEvent.LOGIN),
            (np.nonzero(life.views), AppEvent.VIEW_DEPOSIT),
            (self.days(0.0005), AppEvent.VIEW_LOAN),
            ((eager[kept], before[kept]), AppEvent.VIEW_LOAN),
        )
        who, day = (np.concatenate([outing[column] for outing, _ in kinds]) for column in (0, 1))
        return who, day, np.repeat([page.value for _, page in kinds], [len(outing[0]) for outing, _ in kinds])


class Truth(msgspec.Struct, frozen=True):
    """The true probability of a deposit within 30 days, and what came of it.

    Attributes
    ----------
    day
        Shape (days,): days since 2025-01-01; a value holds at the end of this local day, given everything up to then.
    p
        Shape (customers, days): probability of at least one deposit on days day+1 .. day+30; 0 for who is leaving.
    deposited
        Shape (customers, days): 1 when there was one, 0 when not, -1 where the 30 days end after the year.
    fallen
        Triggers by customer and time, as `FALLEN`: until then, on that day, the probability is `before`, not `p`.
    """

    day: Ints
    p: Floats
    deposited: NDArray[np.int8]
    fallen: NDArray[Any]

    def save(self, path: Path) -> None:
        """Write an .npz with all arrays, `p` in single precision; row k is of customer k."""
        p = self.p.astype(np.float32)
        np.savez_compressed(path, day=self.day, p=p, deposited=self.deposited, fallen=self.fallen)


def truth(people: People, life: Life, days: Ints = GRID, fallen: NDArray[Any] = NOTHING_FELL) -> Truth:
    """Exact probabilities on those days, by the formula at the top of this file.

    Parameters
    ----------
    days
        Once a week where none are named.
    fallen
        The triggers as `FALLEN`, in any order, with their customers, times and masses.
    """
    ending, asleep = _endings(people)
    p = np.zeros((len(asleep), len(days)))
    deposited = np.full(p.shape, -1, np.int8)
    for column, day in enumerate(days.tolist()):
        survived = _survived(ending, _masses(life, slice(None), day))
        p[:, column] = np.choose(life.state[:, day], [1 - survived, 1 - asleep, 0.0])
        if day + HORIZON < DAYS:
            deposited[:, column] = life.deposits[:, day + 1 : day + 1 + HORIZON].any(axis=1)
    return Truth(days, p, deposited, _just_before(life, ending, fallen))


def _masses(life: Life, who: Ints | slice, day: int) -> Floats:
    """Of the triggers of the last HORIZON days up to `day`, the oldest first; shape (customers, days)."""
    span = slice(max(0, day - HORIZON + 1), day + 1)
    same = life.stretch[who, span] == life.stretch[who, day, None]
    masses: Floats = (SURGE_MASS * life.surges[who, span] + VIEWS_MASS * life.views[who, span]) * same
    return masses


def _survived(ending: Floats, masses: Floats) -> Floats:
    """Probability of no deposit within the horizon, awake, after triggers of these masses on the last days."""
    reach, age = np.arange(HORIZON + 1), np.arange(masses.shape[1])[::-1, None]
    carried = CUMULATED[age + reach] - CUMULATED[age]  # hazard left within `reach` days, of a trigger `age` days old
    survived: Floats = (ending * np.exp(-(masses @ carried))).sum(axis=1)
    return survived


def _just_before(life: Life, ending: Floats, fallen: NDArray[Any]) -> NDArray[Any]:
    """The triggers by customer and time, with the probability just before each."""
    found = fallen[np.lexsort((fallen["at"], fallen["customer"]))]
    days = (found["at"] - YEAR_START_MS) // DAY_MS
    for day in np.unique(days).tolist():
        places = np.flatnonzero(days == day)
        who = found["customer"][places]
        masses = _masses(life, who, day)
        # Of this day's, only what fell earlier: the trigger before, where that is the same customer's.
        second = np.r_[False, who[1:] == who[:-1]]
        masses[:, -1] = np.where(second, np.r_[0.0, found["mass"][places][:-1]], 0.0)
        found["before"][places] = 1 - _survived(ending[who], masses)
    return found


def _endings(people: People) -> tuple[Floats, Floats]:
    """Weights of how the awake stretch may end within the horizon, without what past triggers carry.

    Returns
    -------
    Shape (customers, HORIZON + 1): entry l < HORIZON is the probability that exactly l more days are awake and no
    deposit comes in them nor after them; entry HORIZON that all are awake and none comes. Shape (customers,): the
    probability that who is asleep now opens none.
    """
    temper = TEMPERS[people.temper]
    sleep, leave = temper["sleep"][:, None], temper["leave"][:, None]
    length = np.arange(HORIZON + 1)
    fresh = np.exp(-people.base_hazard[:, None] * length)
    for rate, mass in (("surge", SURGE_MASS), ("views", VIEWS_MASS)):
        spared = 1 - temper[rate][:, None] * -np.expm1(-mass * CUMULATED[:HORIZON])
        fresh[:, 1:] *= np.cumprod(spared, axis=1)
    stay = (1 - sleep - leave) ** length
    asleep = np.ones((len(temper), HORIZON + 1))  # no deposit in m days, asleep now
    for days in range(1, HORIZON + 1):
        rest = asleep[:, :days][:, ::-1]  # entry l: asleep with days - 1 - l to go
        woken = stay[:, days - 1] * fresh[:, days]
        woken += (stay[:, : days - 1] * fresh[:, 1:days] * (sleep * rest[:, 1:] + leave)).sum(axis=1)
        asleep[:, days] = (1 - WAKE) * asleep[:, days - 1] + WAKE * woken
    ending = stay * fresh
    ending[:, :HORIZON] *= sleep * asleep[:, :HORIZON][:, ::-1] + leave
    return ending, asleep[:, HORIZON]
