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

MOST_TERMS: Final = 400_000
ENOUGH: Final = 1e-17
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


def expected(
    comes: float, again: float, age: float, ahead: float, discount: float, r: float, alpha: float, a: float, b: float
) -> float:
    """The purchases to expect from now until `ahead`, later ones counting less.

    Parameters
    ----------
    comes
        The probability that the customer still comes (`alive`); other arguments as there.
    discount
        By which share a purchase counts less a year later. Where it is above zero times are in days, and every 30 days
        count as of their end.

    Notes
    -----
    Equation 10 of the paper, after Euler's transformation of its 2F1, which makes the series short, and with its first
    term taken apart: so neither `a = 1` nor `a + b + again = 1`, where the paper divides by zero, is a special case.
    With C = a + b + again - 1 and z = ahead / (alpha + age + ahead) it is C (1 - (1 - z)^(a-1)) / (a - 1) less
    (1 - z)^(a-1) times the sum over n >= 1 of (a)_(n-1) (a+b-1-r)_n / (C+1)_(n-1) z^n / n!.
    """
    power, upper, lower = a - 1.0, a + b - 1.0 - r, a + b + again - 1.0
    found, before, until = 0.0, 0.0, 0.0
    while until < ahead and comes > 0.0:
        until = min(ahead, until + PERIOD_DAYS) if discount > 0.0 else ahead
        share = until / (alpha + age + until)
        logarithm = math.log1p(-share)
        head = -logarithm if power == 0.0 else -math.expm1(power * logarithm) / power
        term = upper * share
        total = term
        for n in range(1, MOST_TERMS):
            term *= (power + n) * (upper + n) / ((lower + n) * (n + 1.0)) * share
            total += term
            if abs(term) <= ENOUGH * abs(total) and n > -upper:
                break
        made = max(0.0, lower * head - math.exp(power * logarithm) * total)
        found += (made - before) * math.exp(-math.log1p(discount) * until / YEAR_DAYS) if discount > 0.0 else made
        before = made
    return comes * found


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
