"""A simulated Chinese retail bank in the year 2025: profiles, transactions, app logs and outcomes of its customers.

`bank_truth` decides what happens in a customer's life; this file turns it into the events that a bank sees: pay days
and month ends, card and cash by habit, surges, funds spreading out and gathering, visits to the app, silence. The same
seed gives the same bytes everywhere: money is whole cents and every sort is stable.

Shaped after the Czech bank of PKDD'99: 28 % of transactions on a month's last day, everyday credits up to 48,000, a
loan within 30 days for 0.4 % of those without one.
"""

from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from streams import demo
from streams.demo import AppChannel, AppEvent, Channel, Draws, Ints, Objects, Party, Stream, Type, iso_times, optional
from streams.demo.bank_truth import (
    DAYS,
    FALLEN,
    SURGE_MASS,
    VIEWS_MASS,
    YEAR_START_MS,
    Occupation,
    People,
    Scene,
    State,
    Truth,
    live,
    truth,
)

CUSTOMERS = 20_000
ZONE_MS = 8 * demo.HOUR_MS
MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
MONTH_LAST = np.cumsum(MONTH_DAYS) - 1
CITIES = np.array(
    ["Shanghai", "Beijing", "Guangzhou", "Shenzhen", "Hangzhou", "Chengdu", "Nanjing", "Wuhan", "Suzhou", "Xian"],
    object,
)
CITY_WEIGHTS = (0.2, 0.16, 0.12, 0.14, 0.11, 0.11, 0.08, 0.08)
PAGES = np.array([[f"{event.name.lower()}/{page}" for page in ("start", "details")] for event in AppEvent], object)

# `cents` is positive for money that comes in; `tenths` of a second, -1 where not measured;
# `burst` is the first page of a burst of looking at deposits.
MOVE = np.dtype([("customer", "i4"), ("at", "i8"), ("cents", "i8"), ("type", "i1"), ("channel", "i1"), ("party", "i1")])
STEP = np.dtype(
    [
        *(("customer", "i4"), ("at", "i8"), ("event", "i1"), ("channel", "i1"), ("tenths", "i4"), ("page", "i1")),
        ("burst", "?"),
    ]
)
OUTCOME = np.dtype([("customer", "i4"), ("at", "i8"), ("event", "i1"), ("cents", "i8")])
OUTCOMES = np.array(["deposit_opened", "loan_opened", "account_closed"], object)
Rows = NDArray[Any]

ORDINARY, SURGE = 48_000, 50_000  # CNY: the most that comes in by habit, the least of a surge
BANKS = (Party.BIG_FOUR, Party.JOINT_STOCK, Party.CITY_BANK, Party.WALLET)
MOBILE, OFFICE = (Channel.APP, Channel.APP, Channel.WEB), (Channel.APP, Channel.BRANCH)
# type, times a day, median as a share of the monthly income (negative: goes out), spread, other sides, channels
HABITS = (
    (Type.CARD, 0.0165, -0.03, 0.9, (Party.MERCHANT,), (Channel.POS, Channel.POS, Channel.APP)),
    (Type.CASH, 0.0030, -0.10, 0.6, (Party.OWN,), (Channel.ATM,)),
    (Type.CASH, 0.0006, 0.40, 0.6, (Party.OWN,), (Channel.ATM, Channel.BRANCH)),
    (Type.TRANSFER, 0.0050, -0.20, 0.9, (*BANKS, Party.OWN), MOBILE),
    (Type.TRANSFER, 0.0060, 1.60, 1.0, (*BANKS, Party.OWN, Party.MERCHANT), MOBILE),
    (Type.WEALTH, 0.0014, -0.80, 0.7, (Party.OWN, Party.BROKER), MOBILE),
    (Type.WEALTH, 0.0006, 1.00, 0.7, (Party.OWN, Party.BROKER), MOBILE),
)


class Simulation(msgspec.Struct, frozen=True):
    """Profiles, transactions, app logs and outcomes, in this order, and the truth about deposits, day by day."""

    streams: tuple[Stream, ...]
    truth: Truth


def simulate(customers: int = CUSTOMERS, seed: int = 7) -> Simulation:
    """A year of the bank's events and the exact probabilities behind its deposits."""
    people = People.draw(customers, seed)
    life = live(people, seed)
    ids = np.array([f"c{number:06d}" for number in range(customers)], object)
    scenes = [Scene(people, life, Draws(seed, part)) for part in (3, 4, 5, 6)]
    parts = (_monthly, _habitual, _upheavals, _products)
    moves, balance = _settled(np.concatenate([rows for part in parts for rows in part(scenes[0])]), people)
    drawn = _visits(scenes[1]), _outcomes(scenes[2], moves)
    logs, ends = (rows[np.lexsort((rows["customer"], rows["at"]))] for rows in drawn)
    records = _profiles(scenes[3], ids), _transactions(moves, balance, ids), _app_logs(logs, ids), _ends(ends, ids)
    return Simulation(records, truth(people, life, np.arange(DAYS), _fallen(moves, logs)))


def _moves(scene: Scene, who: Ints, day: Ints, amount: ArrayLike, kind: Type, via: ArrayLike, sides: ArrayLike) -> Rows:
    """Transactions of `amount` CNY at some moment of the days; channel and other side are drawn evenly."""
    count = len(who)
    moves = np.empty(count, MOVE)
    moves["customer"], moves["at"], moves["type"] = who, scene.moment(who, day), kind
    moves["cents"] = np.rint(np.asarray(amount) * 100)
    for name, choices in (("channel", np.atleast_1d(via)), ("party", np.atleast_1d(sides))):
        moves[name] = choices[scene.draws.whole(0, len(choices) - 1, count)]
    shut = np.abs((moves["at"] - YEAR_START_MS) % demo.DAY_MS - 13 * demo.HOUR_MS) > 4 * demo.HOUR_MS
    moves["channel"][shut & (moves["channel"] == Channel.BRANCH)] = Channel.APP
    return moves


def _monthly(scene: Scene) -> list[Rows]:
    """Salaries, pensions and allowances on pay days, the rent after them; interest and fees on a month's last day."""
    draws, people = scene.draws, scene.people
    count = len(people.income)
    payday = np.array([5, 10, 15, 20, 25, 31])[draws.pick([0.1, 0.3, 0.25, 0.15, 0.1, 0.1], count)]
    who, month = np.nonzero(draws.chance(0.72, count)[:, None] & np.ones(12, np.bool_))
    day = MONTH_LAST[month] + np.minimum(0, payday[who] - MONTH_DAYS[month])
    day -= np.maximum(0, (day + 2) % 7 - 4)  # a pay day at a weekend (day 0 is a Wednesday) comes on Friday
    employed = np.isin(people.occupation, [Occupation.SALARIED, Occupation.CIVIL_SERVANT, Occupation.RETIRED])[who]
    paid = scene.lively(who, day) & (people.occupation[who] != Occupation.SELF_EMPLOYED)
    pay = people.income[who] * (0.97 + 0.08 * draws.uniform(len(who)))
    rent_day = day + draws.whole(1, 3, len(who))
    rent = paid & scene.lively(who, rent_day) & draws.chance(0.8, len(who))
    spent = -people.income[who] * (0.6 + 0.3 * draws.uniform(len(who)))
    closing, ended = np.nonzero(draws.chance(0.6, count)[:, None] & np.ones(12, np.bool_))
    last = MONTH_LAST[ended]
    credited = scene.lively(closing, last)
    charged = scene.lively(closing, last) & (closing % 3 == 0)
    interest = np.maximum(0.01, people.wealth[closing] * 0.0015 / 12)
    wage, gift = paid & employed, paid & ~employed
    return [
        _moves(scene, who[wage], day[wage], pay[wage], Type.SALARY, Channel.WEB, Party.EMPLOYER),
        _moves(scene, who[gift], day[gift], pay[gift], Type.TRANSFER, MOBILE, BANKS),
        _moves(scene, who[rent], rent_day[rent], spent[rent], Type.TRANSFER, MOBILE, BANKS),
        _moves(scene, closing[credited], last[credited], interest[credited], Type.INTEREST, Channel.WEB, Party.OWN),
        _moves(scene, closing[charged], last[charged], -10.0, Type.FEE, Channel.WEB, Party.OWN),
    ]


def _habitual(scene: Scene) -> list[Rows]:
    """Cards, cash, transfers and wealth products, busier at the month's end."""
    season = np.where(np.isin(np.arange(DAYS), MONTH_LAST), 3.0, 1.0)
    rows = []
    for kind, rate, share, spread, parties, channels in HABITS:
        who, day = scene.days(rate, season)
        amount = share * scene.people.income[who] * scene.draws.lognormal(1.0, spread, len(who))
        rows.append(_moves(scene, who, day, np.minimum(amount, ORDINARY), kind, channels, parties))
    return rows


def _upheavals(scene: Scene) -> list[Rows]:
    """Surges; funds spreading out, gathering, and drained by who is leaving."""
    draws, people, life = scene.draws, scene.people, scene.life
    who, day = np.nonzero(life.surges)
    amount = SURGE + draws.lognormal(np.maximum(25_000, 3 * people.income[who]), 0.8, len(who))
    rows = [_moves(scene, who, day, amount, Type.TRANSFER, MOBILE, (Party.OWN, Party.BROKER, *BANKS[:2]))]
    left = np.flatnonzero(life.left_day < DAYS)
    for (start, begin), days, low, high in (
        (scene.days(0.0009), 2, -0.04, -0.12),
        (scene.days(0.0006), 3, 0.04, 0.14),
        ((left, life.left_day[left]), 14, -0.08, -0.18),
    ):
        episode = np.repeat(np.arange(len(start)), draws.whole(4, 8, len(start)))
        who, day = start[episode], begin[episode] + draws.whole(0, days, len(episode))
        kept = scene.lively(who, day)
        amount = np.clip(people.wealth[who] * (low + (high - low) * draws.uniform(len(who))), -200_000, ORDINARY)
        rows.append(_moves(scene, who[kept], day[kept], amount[kept], Type.TRANSFER, MOBILE, (*BANKS, Party.BROKER)))
    return rows


def _products(scene: Scene) -> list[Rows]:
    """Deposits opened; loans paid out and paid back month by month."""
    draws, people, life = scene.draws, scene.people, scene.life
    who, day = np.nonzero(life.deposits)
    sum_put_by = 1000 * np.ceil(draws.lognormal(10 + 0.0003 * people.wealth[who], 0.6, len(who)))
    borrower = np.flatnonzero(life.loan_day < DAYS)
    lent = 1000 * np.ceil(draws.lognormal(0.008 * people.income[borrower], 0.6, len(borrower)))
    payer, month = np.repeat(borrower, 12), np.tile(np.arange(1, 13), len(borrower))
    due = life.loan_day[payer] + np.rint(month * 30.4).astype(np.int64)
    kept = scene.lively(payer, due)
    return [
        _moves(scene, who, day, -sum_put_by, Type.DEPOSIT, OFFICE, Party.OWN),
        _moves(scene, borrower, life.loan_day[borrower], lent, Type.LOAN, OFFICE, Party.OWN),
        _moves(scene, payer[kept], due[kept], -np.repeat(lent, 12)[kept] / 23, Type.LOAN, Channel.APP, Party.OWN),
    ]


def _settled(moves: Rows, people: People) -> tuple[Rows, Ints]:
    """Transactions in time order and the balance in cents after each; who begins has enough never to be overdrawn."""
    moves = moves[moves["cents"] != 0]
    moves = moves[np.lexsort((moves["at"], moves["customer"]))]
    total = np.cumsum(moves["cents"])
    first = np.flatnonzero(np.r_[True, moves["customer"][1:] != moves["customer"][:-1]])
    since = total - np.repeat((total - moves["cents"])[first], np.diff(np.r_[first, len(moves)]))
    owned = np.rint(people.wealth[moves["customer"][first]] * 100).astype(np.int64)
    opening = np.maximum(owned, 10_000 - np.minimum.reduceat(since, first))
    balance = since + np.repeat(opening, np.diff(np.r_[first, len(moves)]))
    order = np.argsort(moves["at"], kind="stable")
    return moves[order], balance[order]


def _fallen(moves: Rows, logs: Rows) -> Rows:
    """When each trigger fell, that is, showed."""
    surges = moves[(moves["type"] == Type.TRANSFER) & (moves["cents"] >= 100 * SURGE)]
    shown = (surges, SURGE_MASS), (logs[logs["burst"]], VIEWS_MASS)
    fallen = [np.zeros(len(rows), FALLEN) for rows, _ in shown]
    for made, (rows, mass) in zip(fallen, shown, strict=True):
        made["customer"], made["at"], made["mass"] = rows["customer"], rows["at"], mass
    return np.concatenate(fallen)


def _visits(scene: Scene) -> Rows:
    """Every step of every visit; who is leaving calls and complains more."""
    draws = scene.draws
    who, day, about = scene.outings()
    steps = np.where(about == AppEvent.LOGIN, draws.whole(0, 2, len(who)), draws.whole(3, 5, len(who)))
    length = 1 + steps + draws.chance(0.5, len(who))  # one in two logs out
    visit = np.repeat(np.arange(len(who)), length)
    begin = np.cumsum(length) - length
    position = np.arange(len(visit)) - begin[visit]
    rows = np.empty(len(visit), STEP)
    rows["customer"] = who[visit]
    leaving = scene.life.state[who, day][visit] == State.LEAVING
    odds = np.where(leaving[:, None], [0, 0.02, 0.03, 0.15, 0.35, 0.25, 0.20], [0, 0.07, 0.08, 0.3, 0.43, 0.09, 0.03])
    event = np.where(about[visit] == AppEvent.LOGIN, draws.pick(odds, len(visit)), about[visit])
    event[position == 0] = AppEvent.LOGIN
    event[position > steps[visit]] = AppEvent.LOGOUT
    rows["event"] = event
    rows["burst"] = (about[visit] == AppEvent.VIEW_DEPOSIT) & (position == 1)
    wait = draws.whole(4_000, 60_000, len(visit))
    passed = np.cumsum(wait)
    rows["at"] = scene.moment(who, day)[visit] + passed - passed[begin][visit]
    favourite = draws.pick([0.6, 0.1, 0.3], len(scene.people.income))[who]
    rows["channel"] = np.where(draws.chance(0.85, len(who)), favourite, draws.whole(0, 2, len(who)))[visit]
    rows["tenths"] = np.where(draws.chance(0.9, len(visit)), wait // 100, -1)
    rows["page"] = draws.whole(0, 1, len(visit))
    return rows


def _outcomes(scene: Scene, moves: Rows) -> Rows:
    """Deposits and loans, two minutes before their money moves, and accounts closed in office hours.

    Were the money first, it would foretell the outcome: one in eight deposits was asked about in between.
    """
    opened = moves[(moves["type"] == Type.DEPOSIT) | ((moves["type"] == Type.LOAN) & (moves["cents"] > 0))]
    closing = np.flatnonzero(scene.life.closed_day < DAYS)
    rows = np.zeros(len(opened) + len(closing), OUTCOME)
    new, end = rows[: len(opened)], rows[len(opened) :]
    new["customer"], new["cents"] = opened["customer"], abs(opened["cents"])
    into_day = (opened["at"] - YEAR_START_MS) % demo.DAY_MS
    new["at"] = opened["at"] - np.minimum(2 * demo.MINUTE_MS, into_day)
    new["event"] = opened["type"] == Type.LOAN
    office = 9 * demo.HOUR_MS + np.floor(scene.draws.uniform(len(closing)) * 8 * demo.HOUR_MS).astype(np.int64)
    end["customer"], end["event"] = closing, 2
    end["at"] = YEAR_START_MS + scene.life.closed_day[closing] * demo.DAY_MS + office
    return rows


def _words(codes: type[IntEnum]) -> Objects:
    return np.array([code.name.lower() for code in codes], object)


def zoned(times_ms: Ints) -> list[str]:
    """Times as the bank's records hold them."""
    return iso_times(times_ms, "ms", ZONE_MS, "+08:00")


def _texts(letter: str, start: int, rows: Rows, ids: Objects) -> tuple[list[str], list[str], list[str]]:
    """Own id, customer's id and time of rows that begin at number `start`."""
    numbers = [f"{letter}{number:07d}" for number in range(start, start + len(rows))]
    return numbers, ids[rows["customer"]].tolist(), zoned(rows["at"])


def _profiles(scene: Scene, ids: Objects) -> Stream:
    """Everybody's profile as the year begins; one in six moves or changes the consent later."""
    draws, people = scene.draws, scene.people
    city, consent = draws.pick(CITY_WEIGHTS, len(ids)), draws.chance(0.85, len(ids))
    changed = np.flatnonzero(draws.chance(0.16, len(ids)))
    day = draws.whole(5, DAYS - 5, len(changed))
    kept = scene.lively(changed, day)
    changed, day = changed[kept], day[kept]
    moved = draws.chance(0.7, len(changed))
    cities = np.r_[city, np.where(moved, draws.pick(CITY_WEIGHTS, len(changed)), city[changed])]
    consents = np.r_[consent, consent[changed] ^ ~moved]
    who = np.r_[np.arange(len(ids)), changed]
    times = np.r_[np.full(len(ids), YEAR_START_MS), scene.moment(changed, day)]
    order = np.argsort(times, kind="stable")
    months, trades = np.array([f"{month:02d}" for month in range(13)], object), _words(Occupation)

    def records(part: slice) -> list[demo.CustomerProfile]:
        rows = order[part]
        slot = who[rows]
        born, month, vip = people.birth_year[slot], months[people.birth_month[slot]], people.vip[slot]
        columns = (ids[slot], CITIES[cities[rows]], born, month, vip, trades[people.occupation[slot]], consents[rows])
        first, *rest = (column.tolist() for column in columns)
        return list(map(demo.CustomerProfile, first, zoned(times[rows]), *rest))

    return Stream("profiles", times[order], records)


def _transactions(moves: Rows, balance: Ints, ids: Objects) -> Stream:
    types, channels, parties = _words(Type), _words(Channel), _words(Party)

    def records(part: slice) -> list[demo.Transaction]:
        rows = moves[part]
        words = types[rows["type"]], channels[rows["channel"]], parties[rows["party"]]
        amount, way = abs(rows["cents"]) / 100, np.where(rows["cents"] > 0, "in", "out")
        columns = (column.tolist() for column in (amount, way, *words, balance[part] / 100))
        return list(map(demo.Transaction, *_texts("t", part.start, rows, ids), *columns))

    return Stream("transactions", moves["at"], records)


def _app_logs(logs: Rows, ids: Objects) -> Stream:
    events, channels = _words(AppEvent), _words(AppChannel)

    def records(part: slice) -> list[demo.AppLog]:
        rows = logs[part]
        seconds = optional(rows["tenths"] >= 0, rows["tenths"] / 10)
        payload = map(demo.Payload, seconds.tolist(), PAGES[rows["event"], rows["page"]].tolist())
        kinds = events[rows["event"]].tolist(), channels[rows["channel"]].tolist()
        return list(
            map(demo.AppLog, *_texts("e", part.start, rows, ids), *kinds, payload, demo.dayparts(rows["at"], ZONE_MS))
        )

    return Stream("app_logs", logs["at"], records)


def _ends(outcomes: Rows, ids: Objects) -> Stream:
    def records(part: slice) -> list[demo.Outcome]:
        rows = outcomes[part]
        amount = optional(rows["cents"] > 0, rows["cents"] / 100)
        texts = _texts("o", part.start, rows, ids)
        return list(map(demo.Outcome, *texts, OUTCOMES[rows["event"]].tolist(), amount.tolist()))

    return Stream("outcomes", outcomes["at"], records)
