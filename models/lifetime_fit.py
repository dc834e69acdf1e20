"""The parameters of `models.lifetime` that make the purchases seen likeliest, and how likely they are.

Sums over customers are vectorised and have their gradients; a hundred thousand customers take a second or two. The
log-likelihoods are those of the papers that `models.lifetime` names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from models.lifetime import BgNbd, GammaGamma

Doubles = NDArray[np.float64]
Surface = Callable[[Doubles], tuple[float, Doubles]]

SMALLEST, LARGEST = -9.2, 9.2
"""Logarithms of parameters stay between these, times and amounts being measured by their means."""
MOST_R, MOST_A, MOST_B = math.log(20.0), math.log(20.0), math.log(1_000.0)
"""Who differs less than these say is alike for all purposes; so far predictions keep nine digits."""
LEAST_Q: Final = math.log(1.01)
"""At 1 the mean amount of all customers is no longer finite."""
LEAST_REPEATERS: Final = 10
MOST_CLIMBS: Final = 5


class Histories(msgspec.Struct, frozen=True):
    """Customers' purchases; arrays of one shape.

    Attributes
    ----------
    again
        Purchases after the first, whole numbers.
    last, age
        How long after the first purchase the last one was, and how long ago the first was.
    weight
        How many customers each stands for.
    """

    again: Doubles
    last: Doubles
    age: Doubles
    weight: Doubles


class Amounts(msgspec.Struct, frozen=True):
    """What customers paid: how many purchases, their mean amount (above zero), and how many customers it stands for."""

    purchases: Doubles
    mean: Doubles
    weight: Doubles


def fit_bg_nbd(seen: Histories, least_alpha: float = 0.0) -> BgNbd | None:
    """The likeliest BG/NBD model; None where fewer than `LEAST_REPEATERS` customers ever came again.

    Parameters
    ----------
    least_alpha
        The smallest `alpha` that the times can tell: about how finely they are counted.
    """
    if np.count_nonzero(seen.again > 0) < LEAST_REPEATERS or not seen.age.max(initial=0.0) > 0.0:
        return None
    unit = float(np.average(seen.age, weights=seen.weight))
    scaled = Histories(seen.again, seen.last / unit, seen.age / unit, seen.weight / seen.weight.sum())
    finest = max(SMALLEST, math.log(least_alpha / unit)) if least_alpha > 0.0 else SMALLEST
    bounds = [(SMALLEST, MOST_R), (finest, LARGEST), (SMALLEST, MOST_A), (SMALLEST, MOST_B)]
    logs = _climb(_BgNbdSurface(scaled), np.zeros(4), bounds)
    r, alpha, a, b = np.exp(logs).tolist()
    return BgNbd(r, alpha * unit, a, b)


def fit_gamma_gamma(seen: Amounts) -> GammaGamma | None:
    """The likeliest Gamma-Gamma model; None where fewer than `LEAST_REPEATERS` customers paid more than once."""
    if np.count_nonzero(seen.purchases > 1) < LEAST_REPEATERS:
        return None
    unit = float(np.average(seen.mean, weights=seen.weight))
    scaled = Amounts(seen.purchases, seen.mean / unit, seen.weight / seen.weight.sum())
    bounds = [(SMALLEST, LARGEST), (LEAST_Q, LARGEST), (SMALLEST, LARGEST)]
    logs = _climb(lambda found: _gamma_gamma(scaled, found), np.array([1.0, 1.0, 0.0]), bounds)
    p, q, v = np.exp(logs).tolist()
    return GammaGamma(p, q, v * unit)


def bg_nbd_likelihood(seen: Histories, model: BgNbd) -> float:
    """The log-likelihood of the purchases seen, the sum over all customers."""
    logs = np.log([model.r, model.alpha, model.a, model.b])
    return -_BgNbdSurface(seen)(logs)[0]


def gamma_gamma_likelihood(seen: Amounts, model: GammaGamma) -> float:
    """The log-likelihood of the mean amounts seen, the sum over all customers."""
    return -_gamma_gamma(seen, np.log([model.p, model.q, model.v]))[0]


def _climb(surface: Surface, start: Doubles, bounds: list[tuple[float, float]]) -> Doubles:
    """Where a surface is lowest; it gives its height and its slope.

    On a long ridge one climb may give up half way; another one from there, without its memory, goes on.
    """
    logs, height = start, math.inf
    for _ in range(MOST_CLIMBS):
        found = optimize.minimize(
            surface, logs, jac=True, bounds=bounds, method="L-BFGS-B",
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8, "maxcor": 20},
        )  # fmt: skip
        done = height - found.fun < 1e-9
        logs, height = found.x, found.fun
        if done:
            break
    return logs


class _BgNbdSurface:
    """The negative log-likelihood and its slope by the parameters' logarithms.

    Gamma functions are taken once of every number of purchases, as many customers have the same.
    """

    def __init__(self, seen: Histories) -> None:
        self._seen = seen
        self._counts, self._which = np.unique(seen.again, return_inverse=True)
        self._weights = np.bincount(self._which, seen.weight)
        self._repeats = seen.again > 0
        self._total = float(seen.weight.sum())

    def __call__(self, logs: Doubles) -> tuple[float, Doubles]:
        r, alpha, a, b = np.exp(logs)
        seen, counts, weights, weight = self._seen, self._counts, self._weights, self._seen.weight
        aged, lasted = np.log(alpha + seen.age), np.log(alpha + seen.last)
        again = np.maximum(counts, 1.0)  # whose chance to have left is not asked where nobody came again
        left = np.where(counts > 0, np.log(a) - np.log(b + again - 1.0), -np.inf)[self._which]
        stays, leaves = -(r + seen.again) * aged, left - (r + seen.again) * lasted
        either = np.logaddexp(stays, leaves)
        gone = weight * np.exp(leaves - either)
        here = weight - gone

        per_count = special.gammaln(r + counts) + special.gammaln(b + counts) - special.gammaln(a + b + counts)
        common = r * math.log(alpha) - special.gammaln(r) + special.gammaln(a + b) - special.gammaln(b)
        height = self._total * common + weights @ per_count + weight @ either

        gone_per_count = np.bincount(self._which, gone, minlength=len(counts))
        psi_ab, psi_abx = special.digamma(a + b), special.digamma(a + b + counts)
        by_r = self._total * (math.log(alpha) - special.digamma(r)) + weights @ special.digamma(r + counts)
        by_r -= here @ aged + gone @ lasted
        by_alpha = self._total * r / alpha
        by_alpha -= (here * (r + seen.again)) @ (1.0 / (alpha + seen.age))
        by_alpha -= (gone * (r + seen.again)) @ (1.0 / (alpha + seen.last))
        by_a = self._total * psi_ab - weights @ psi_abx + gone.sum() / a
        by_b = self._total * (psi_ab - special.digamma(b)) + weights @ (special.digamma(b + counts) - psi_abx)
        by_b -= (gone_per_count / (b + again - 1.0)).sum()
        slope = np.array([by_r * r, by_alpha * alpha, by_a * a, by_b * b])
        return -float(height), -slope


def _gamma_gamma(seen: Amounts, logs: Doubles) -> tuple[float, Doubles]:
    """The negative log-likelihood and its slope by the parameters' logarithms."""
    p, q, v = np.exp(logs)
    x, mean, weight = seen.purchases, seen.mean, seen.weight
    shape, sums = p * x, np.log(x * mean + v)
    heights = special.gammaln(shape + q) - special.gammaln(shape) - special.gammaln(q) + q * np.log(v)
    heights += (shape - 1.0) * np.log(mean) + shape * np.log(x) - (shape + q) * sums
    psi = special.digamma(shape + q)
    by_p = weight @ (x * (psi - special.digamma(shape) + np.log(x * mean) - sums))
    by_q = weight @ (psi - special.digamma(q) + np.log(v) - sums)
    by_v = weight @ (q / v - (shape + q) / (x * mean + v))
    return -float(weight @ heights), -np.array([by_p * p, by_q * q, by_v * v])
