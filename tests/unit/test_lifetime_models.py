"""BG/NBD and Gamma-Gamma: the published numbers of CDNOW, and formulas that hold for all parameters and customers."""

from __future__ import annotations

import csv
import datetime
import importlib.util
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special

from models.lifetime import BgNbd, GammaGamma, alive, expected, spend
from models.lifetime_fit import (
    Amounts,
    Histories,
    bg_nbd_likelihood,
    fit_bg_nbd,
    fit_gamma_gamma,
    gamma_gamma_likelihood,
)

Doubles = NDArray[np.float64]
PACKAGE = importlib.util.find_spec("lifetimes")  # found, never imported: only its data are wanted
cdnow = pytest.mark.skipif(PACKAGE is None, reason="needs the package lifetimes, which has the CDNOW data")
WEEK = 7.0


def data(name: str) -> Path:
    assert PACKAGE is not None
    assert PACKAGE.origin is not None
    return Path(PACKAGE.origin).parent / "datasets" / name


def column(rows: list[dict[str, str]], name: str) -> Doubles:
    return np.array([float(row[name]) for row in rows])


@pytest.fixture(scope="module")
def sample() -> Histories:
    """The 1/10 sample of the paper: 2,357 customers, 39 weeks."""
    with data("cdnow_customers_summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    again, last, age = (column(rows, name) for name in ("frequency", "recency", "T"))
    return Histories(again, last, age, np.ones(len(rows)))


@pytest.fixture(scope="module")
def model(sample: Histories) -> BgNbd:
    found = fit_bg_nbd(sample)
    assert found is not None
    return found


@cdnow
def test_bg_nbd_of_cdnow_is_the_papers(sample: Histories, model: BgNbd) -> None:
    published = (0.243, 4.414, 0.793, 2.426)
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx(published, rel=0.005)
    assert bg_nbd_likelihood(sample, model) == pytest.approx(-9582.43, abs=0.01)


@cdnow
def test_gamma_gamma_of_cdnow_is_the_notes() -> None:
    with data("cdnow_customers_summary_with_transactions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if float(row["x"]) > 0]
    seen = Amounts(column(rows, "x"), column(rows, "zbar"), np.ones(len(rows)))
    found = fit_gamma_gamma(seen)
    assert found is not None
    assert len(rows) == 946
    assert (found.p, found.q, found.v) == pytest.approx((6.25, 3.74, 15.44), rel=0.005)
    # The mean over all customers, as the note has it.
    assert spend(0, 0.0, found.p, found.q, found.v) == pytest.approx(35.20, abs=0.1)


@cdnow
def test_the_customer_of_the_papers_example_is_expected_to_buy_as_often(model: BgNbd) -> None:
    """Customer 1: two purchases again, the last after 30.43 weeks of 38.86; 1.226 more in 39 weeks."""
    now = alive(2, 30.43, 38.86, model.r, model.alpha, model.a, model.b)
    ahead = expected(now, 2, 38.86, 39.0, 0.0, model.r, model.alpha, model.a, model.b)
    assert (now, ahead) == pytest.approx((0.7266, 1.226), abs=0.001)


def purchases() -> Iterator[tuple[str, int]]:
    """Customer and day of every purchase of the whole data, a customer's several on one day being one."""
    seen = set[tuple[str, int]]()
    for line in data("CDNOW_master.txt").read_text().splitlines():
        who, day, *_ = line.split() or ("", "")
        if who.isdigit():
            bought = who, datetime.date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal()
            if bought not in seen:
                seen.add(bought)
                yield bought


@cdnow
def test_who_comes_back_is_ranked_better_than_by_recency_alone() -> None:
    half = datetime.date(1997, 9, 30).toordinal()
    days: dict[str, list[int]] = {}
    for who, day in purchases():
        days.setdefault(who, []).append(day)
    assert len(days) == 23_570
    known = {who: [day for day in some if day <= half] for who, some in days.items()}
    known = {who: sorted(some) for who, some in known.items() if some}
    again = np.array([len(some) - 1.0 for some in known.values()])
    last = np.array([(some[-1] - some[0]) / WEEK for some in known.values()])
    age = np.array([(half - some[0]) / WEEK for some in known.values()])
    later = np.array([sum(day > half for day in days[who]) for who in known])
    came = later > 0
    found = fit_bg_nbd(Histories(again, last, age, np.ones(len(age))))
    assert found is not None
    r, alpha, a, b = found.r, found.alpha, found.a, found.b
    cache: dict[tuple[float, float, float], float] = {}
    for one in zip(again.tolist(), last.tolist(), age.tolist(), strict=True):
        if one not in cache:
            cache[one] = expected(alive(*one, r, alpha, a, b), one[0], one[2], 39.0, 0.0, r, alpha, a, b)
    foretold = np.array([cache[one] for one in zip(again.tolist(), last.tolist(), age.tolist(), strict=True)])
    ranked = {"BG/NBD": foretold, "recency": last - age, "frequency": again}
    auc = {name: area(score, came) for name, score in ranked.items()}
    caught = {name: best_tenth(score, later) for name, score in ranked.items()}
    print(f"CDNOW, {len(known):,} customers, {came.mean():.1%} came back within 39 weeks")
    print("AUC: " + ", ".join(f"{name} {found:.3f}" for name, found in auc.items()))
    print("purchases of the best tenth: " + ", ".join(f"{name} {found:.1%}" for name, found in caught.items()))
    print(f"purchases foretold {foretold.sum():,.0f}, made {later.sum():,}")
    assert auc["BG/NBD"] > max(auc["recency"], auc["frequency"])
    assert caught["BG/NBD"] > caught["recency"] + 0.03
    assert foretold.sum() == pytest.approx(later.sum(), rel=0.15)


def area(score: Doubles, came: NDArray[np.bool_]) -> float:
    """The chance that one who came is ranked before one who did not; ties count half."""
    values, place = np.unique(score, return_inverse=True)
    of, others = (np.bincount(place[who], minlength=len(values)) for who in (came, ~came))
    below = np.cumsum(others) - others
    return float((of * (below + others / 2)).sum() / of.sum() / others.sum())


def best_tenth(score: Doubles, later: NDArray[np.int64]) -> float:
    """The share of all purchases that the tenth ranked highest made."""
    best = np.argsort(-score, kind="stable")[: len(score) // 10]
    return float(later[best].sum() / later.sum())


PARAMETERS = (
    (0.243, 4.414, 0.793, 2.426),
    (0.8, 20.0, 1.0, 2.0),
    (2.5, 60.0, 1.0 + 1e-9, 0.4),
    (0.5, 3.0, 0.3, 0.7),
    (6.0, 15.0, 0.05, 40.0),
    (0.1, 0.5, 4.0, 1.5),
)
CUSTOMERS = ((0, 0, 0), (0, 0, 200), (1, 0, 0), (1, 12, 300), (7, 90, 91), (40, 300, 340), (300, 364, 365))


def integral(again: float, age: float, ahead: float, r: float, alpha: float, a: float, b: float) -> float:
    """What who still comes will buy: the mean of (1 - (1 + p t / (alpha + T))^-(r+x)) / p over p ~ Beta(a, b + x)."""
    tau, rate, other = ahead / (alpha + age), r + again, b + again

    def height(logit: float) -> float:
        share = special.expit(logit)
        bought = -math.expm1(-rate * math.log1p(share * tau)) / share if share > 1e-300 else rate * tau
        logs = a * special.log_expit(logit) + other * special.log_expit(-logit) - special.betaln(a, other)
        return float(bought * math.exp(logs))

    edges = [*np.arange(-45.0 / min(a, 0.9), -40.0, 16.0), *np.arange(-40.0, 65.0, 8.0)]
    parts = (integrate.quad(height, *pair, epsabs=0.0, epsrel=1e-13, limit=200) for pair in itertools.pairwise(edges))
    return float(sum(part[0] for part in parts))


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_expected_purchases_are_the_integral_over_all_who_may_be_alive(parameters: tuple[float, ...]) -> None:
    for (again, _, age), ahead in itertools.product(CUSTOMERS, (1.0, 365.0)):
        exact = integral(again, age, ahead, *parameters)
        assert expected(1.0, again, age, ahead, 0.0, *parameters) == pytest.approx(exact, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("parameters", [PARAMETERS[0], PARAMETERS[5]])
def test_expected_purchases_are_the_papers_equation_in_scipys_hypergeometric_function(
    parameters: tuple[float, ...],
) -> None:
    r, alpha, a, b = parameters
    for again, _, age in CUSTOMERS[:5]:
        z = 365.0 / (alpha + age + 365.0)
        power = special.hyp2f1(r + again, b + again, a + b + again - 1, z) * (1 - z) ** (r + again)
        paper = (a + b + again - 1) / (a - 1) * (1 - power)
        assert expected(1.0, again, age, 365.0, 0.0, r, alpha, a, b) == pytest.approx(paper, rel=1e-9)


def test_silence_lowers_the_chance_and_who_never_came_again_counts_as_here() -> None:
    r, alpha, a, b = PARAMETERS[0]
    falling = [alive(5, 30, age, r, alpha, a, b) for age in range(30, 400, 10)]
    assert all(before > after for before, after in itertools.pairwise(falling))
    assert 0.0 < falling[-1] < 0.01
    assert alive(0, 0, 500, r, alpha, a, b) == 1.0
    assert alive(5_000, 10, 1e9, r, alpha, a, b) == 0.0


def test_later_purchases_count_less_by_the_discount() -> None:
    r, alpha, a, b = 0.8, 20.0, 0.5, 5.0
    plain = expected(0.9, 9, 90.0, 360.0, 0.0, r, alpha, a, b)
    known = [expected(0.9, 9, 90.0, 30.0 * n, 0.0, r, alpha, a, b) for n in range(13)]
    steps = [(after - before) / 1.1 ** (30 * n / 365) for n, (before, after) in enumerate(itertools.pairwise(known), 1)]
    assert expected(0.9, 9, 90.0, 360.0, 0.1, r, alpha, a, b) == pytest.approx(sum(steps), rel=1e-12)
    assert sum(steps) < plain == pytest.approx(known[-1], rel=1e-12)


def test_a_mean_amount_is_drawn_to_everybodys_the_less_the_more_it_rests_on() -> None:
    p, q, v = 6.25, 3.74, 15.44
    everybody = p * v / (q - 1)
    assert spend(0, 0.0, p, q, v) == pytest.approx(everybody)
    one, many = spend(1, 100.0, p, q, v), spend(1_000, 100_000.0, p, q, v)
    assert everybody < one < many < 100.0
    assert many == pytest.approx(100.0, rel=0.01)


def customers(count: int, seed: int) -> tuple[Histories, Amounts]:
    """Customers drawn from the models themselves."""
    draw = np.random.default_rng(seed)
    rate, leaves = draw.gamma(0.8, 1 / 20.0, count), draw.beta(0.8, 2.5, count)
    age, now = draw.uniform(1.0, 400.0, count), np.zeros(count)
    again, last, comes = np.zeros(count), np.zeros(count), np.arange(count)
    while len(comes):
        now[comes] += draw.exponential(1.0 / rate[comes])
        comes = comes[now[comes] <= age[comes]]
        again[comes], last[comes] = again[comes] + 1, now[comes]
        comes = comes[draw.random(len(comes)) > leaves[comes]]
    each = draw.gamma(6.0 * (again + 1)) / (draw.gamma(3.7, 1 / 15.0, count) * (again + 1))
    weight = np.ones(count)
    return Histories(again, last, age, weight), Amounts(again + 1, each, weight)


def test_parameters_that_made_many_customers_are_found_again() -> None:
    seen, paid = customers(20_000, 7)
    found, worth = fit_bg_nbd(seen), fit_gamma_gamma(paid)
    assert found is not None
    assert worth is not None
    assert (found.r, found.alpha, found.a, found.b) == pytest.approx((0.8, 20.0, 0.8, 2.5), rel=0.1)
    assert (worth.p, worth.q, worth.v) == pytest.approx((6.0, 3.7, 15.0), rel=0.15)


def test_no_parameters_a_little_off_make_what_was_seen_likelier() -> None:
    seen, paid = customers(2_000, 3)
    found, worth = fit_bg_nbd(seen), fit_gamma_gamma(paid)
    assert found is not None
    assert worth is not None
    best, best_worth = bg_nbd_likelihood(seen, found), gamma_gamma_likelihood(paid, worth)
    for share, place in itertools.product((0.98, 1.02), range(4)):
        moved = [one * (share if n == place else 1) for n, one in enumerate((found.r, found.alpha, found.a, found.b))]
        assert bg_nbd_likelihood(seen, BgNbd(*moved)) < best
    for share, place in itertools.product((0.98, 1.02), range(3)):
        moved = [one * (share if n == place else 1) for n, one in enumerate((worth.p, worth.q, worth.v))]
        assert gamma_gamma_likelihood(paid, GammaGamma(*moved)) < best_worth


def test_a_weight_counts_as_so_many_customers_and_the_unit_of_time_only_scales_alpha() -> None:
    seen, _ = customers(500, 11)
    twice = Histories(*(np.concatenate([part, part]) for part in (seen.again, seen.last, seen.age, seen.weight)))
    weighed = Histories(seen.again, seen.last, seen.age, 2 * seen.weight)
    weeks = Histories(seen.again, seen.last / WEEK, seen.age / WEEK, seen.weight)
    one, other, slow = fit_bg_nbd(twice), fit_bg_nbd(weighed), fit_bg_nbd(weeks)
    assert one is not None
    assert other is not None
    assert slow is not None
    assert (one.r, one.alpha, one.a, one.b) == pytest.approx((other.r, other.alpha, other.a, other.b), rel=1e-4)
    assert slow.alpha * WEEK == pytest.approx(one.alpha, rel=1e-4)
    assert bg_nbd_likelihood(twice, one) == pytest.approx(bg_nbd_likelihood(weighed, one), rel=1e-12)


def test_too_few_who_came_again_make_no_model() -> None:
    zeros, ones = np.zeros(50), np.ones(50)
    assert fit_bg_nbd(Histories(zeros, zeros, 30 * ones, ones)) is None
    assert fit_gamma_gamma(Amounts(ones, 10 * ones, ones)) is None
    assert fit_bg_nbd(Histories(zeros[:0], zeros[:0], zeros[:0], zeros[:0])) is None
