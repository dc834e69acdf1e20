"""What a customer's purchases foretell: whether it still comes, how often it will, and what that will be worth.

BG/NBD [1]_: while a customer comes, purchases are a Poisson process whose rate differs between customers as a gamma
distribution (r, alpha); after each purchase it leaves for good with a probability that differs as a beta distribution
(a, b). Gamma-Gamma [2]_: the amounts of a customer's purchases are gamma distributed about its own mean, and means
differ between customers (p, q, v).

Times are in any one unit, amounts in another. The functions use plain arithmetic only, so that the kernel runs them as
they are; `models.lifetime_fit` finds the parameters.

References
----------
.. [1] Fader, Hardie, Lee (2005). "Counting your customers" the easy way: an alternative to the Pareto/NBD model.
   Marketing Science 24(2), 275-284.
.. [2] Fader, Hardie (2013). The Gamma-Gamma model of monetary value. brucehardie.com/notes/025
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

MOST_TERMS: Final = 200_000
PERIOD_DAYS: Final = 30.0
"""Future value is discounted in steps of this."""
YEAR_DAYS: Final = 365.0


class BgNbd(msgspec.Struct, frozen=True):
    """The parameters of a BG/NBD model; `alpha` is a time."""

    r: float
    alpha: float
    a: float
    b: float


class GammaGamma(msgspec.Struct, frozen=True):
    """The parameters of a Gamma-Gamma model; `v` is an amount, `q` above 1."""

    p: float
    q: float
    v: float


def alive(again: float, last: float, age: float, r: float, alpha: float, a: float, b: float) -> float:
    """The probability that a customer still comes.

    Parameters
    ----------
    again
        Purchases after the first.
    last, age
        How long after the first purchase the last one was, and how long ago the first was.

    Notes
    -----
    Equation 7 of the paper. Who never came again has had no purchase to leave after, so for it the model says 1.
    """
    if again <= 0.0:
        return 1.0
    odds = math.log(a) - math.log(b + again - 1.0) + (r + again) * (math.log(alpha + age) - math.log(alpha + last))
    return 1.0 / (1.0 + math.exp(odds)) if odds < 700.0 else 0.0


def expected_while_alive(again: float, age: float, ahead: float, r: float, alpha: float, a: float, b: float) -> float:
    """The purchases to expect of who still comes, from now until `ahead`; other arguments as of `alive`.

    Notes
    -----
    Equation 10 of the paper, after Euler's transformation of its 2F1, which makes the series short, and with its first
    term taken apart: so neither `a = 1` nor `a + b + again = 1`, where the paper divides by zero, is a special case.
    With C = a + b + again - 1 and z = ahead / (alpha + age + ahead) it is C (1 - (1 - z)^(a-1)) / (a - 1) less
    (1 - z)^(a-1) times the sum over n >= 1 of (a)_(n-1) (a+b-1-r)_n / (C+1)_(n-1) z^n / n!.
    """
    share = ahead / (alpha + age + ahead)
    power, upper, lower = a - 1.0, a + b - 1.0 - r, a + b + again - 1.0
    logarithm = math.log1p(-share)
    head = -logarithm if power == 0.0 else -math.expm1(power * logarithm) / power
    term = upper * share
    total = term
    for n in range(1, MOST_TERMS):
        term *= (power + n) * (upper + n) / ((lower + n) * (n + 1.0)) * share
        total += term
        if abs(term) <= 1e-17 * abs(total) and n > -upper:
            break
    return max(0.0, lower * head - math.exp(power * logarithm) * total)


def expected(
    again: float, last: float, age: float, ahead: float, r: float, alpha: float, a: float, b: float
) -> float:  # fmt: skip
    """The purchases to expect from now until `ahead`; arguments as of `alive`."""
    if ahead <= 0.0:
        return 0.0
    comes = alive(again, last, age, r, alpha, a, b)
    return comes * expected_while_alive(again, age, ahead, r, alpha, a, b) if comes > 0.0 else 0.0


def spend(purchases: float, total: float, p: float, q: float, v: float) -> float:
    """The mean amount to expect of a customer's purchases to come.

    Parameters
    ----------
    purchases, total
        Those whose amounts are known, and what they amount to together; with none it is the mean of all customers.

    Notes
    -----
    Equation 5 of the note: the customer's own mean, drawn towards everybody's the more the fewer purchases it rests on.
    """
    return p * (v + total) / (p * purchases + q - 1.0)


def discounted(
    again: float, last: float, age: float, ahead: float, discount: float, r: float, alpha: float, a: float, b: float
) -> float:  # fmt: skip
    """The purchases to expect from now until `ahead`, later ones counting less; times in days.

    Parameters
    ----------
    discount
        By which share a purchase counts less a year later; each step of 30 days counts as of its end.
    """
    if discount <= 0.0:
        return expected(again, last, age, ahead, r, alpha, a, b)
    total, before, done = 0.0, 0.0, 0.0
    while done < ahead:
        done = min(ahead, done + PERIOD_DAYS)
        until = expected(again, last, age, done, r, alpha, a, b)
        total += (until - before) * math.exp(-math.log1p(discount) * done / YEAR_DAYS)
        before = until
    return total
