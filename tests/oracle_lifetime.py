"""The oracle with lifetime models: what they say by parameters that are given, and whether these are right.

Parameters come from outside of a partition, so the oracle is told them, at which refresh each came. What they say of a
customer is computed anew from its raw purchases, as an integral and by the papers' equations as they stand there: the
engine's series and its order of terms are not known here, so doubles agree to nine digits only. That parameters are the
likeliest is checked against the likelihood of all raw purchases.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np

from schemas.catalogue import Catalogue, Quantiles
from schemas.durations import DAY
from schemas.lifetime import Fit
from schemas.outlook import Gives, Lifetime, Outlook
from schemas.population import CutPoints
from schemas.records import Cause, Value
from tests.oracle import OracleOutcome, Row
from tests.oracle_population import CountingOracle, played
from tests.oracle_rules import Record, evaluate, features_of
from tests.oracle_time import midnight

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
LEAST_REPEATERS: Final = 10
OFF: Final = (0.95, 1.05)


class History(msgspec.Struct, frozen=True):
    """A customer's purchases: how many, the days of the last and of now, counted from the first, and their sum."""

    purchases: int
    last: int
    age: int
    total: int


class LifetimeOracle(CountingOracle):
    """An oracle that is told which parameters and cut-points every refresh brought."""

    def __init__(self, catalogue: Catalogue, told: Iterable[CutPoints | Fit]) -> None:
        some = list(told)
        super().__init__(catalogue, [one for one in some if isinstance(one, CutPoints)])
        self.told_fits = [one for one in some if isinstance(one, Fit)]
        self.stored = msgspec.structs.replace(
            catalogue, features=tuple(one for one in catalogue.features if one.sources)
        )
        used = {feature.outlook.model for feature in catalogue.features if feature.outlook is not None}
        self.lifetimes = [model for model in catalogue.lifetimes if model.name in used]

    # ---------------------------------------------------------------------------------------------------- refreshes

    def reach(self, now: int | None) -> None:
        """Every refresh due by now, parameters before cut-points; of several of a model or tag the last."""
        if now is None:
            return
        due: dict[int, list[Lifetime | str]] = {}
        rules = {name: self.catalogue.tag(name).rule for name in self.catalogue.tag_order}
        every: list[tuple[Lifetime | str, str, int]] = [(m, f"model {m.name}", m.refresh_ms) for m in self.lifetimes]
        every += [(name, name, rule.refresh_ms) for name, rule in rules.items() if isinstance(rule, Quantiles)]
        for thing, key, refresh_ms in every:
            last = now - (now + self.catalogue.offset_ms) % refresh_ms
            if key in self.next and now >= self.next[key]:
                due.setdefault(last, []).append(thing)
            self.next[key] = max(last + refresh_ms, self.next.get(key, 0))
        for at in sorted(due):
            for model in (one for one in due[at] if isinstance(one, Lifetime)):
                self.fit(at, model)
            self.refresh(at, [one for one in due[at] if isinstance(one, str)])

    def fit(self, at: int, model: Lifetime) -> None:
        """Time passes to the refresh; then the model's new parameters, if it has some, are checked and taken."""
        for row in self.rows.values():
            self.pass_time(row, at)
        new = next((one for one in self.told_fits if (one.model, one.at) == (model.name, at)), None)
        seen = [found for row in self.rows.values() if (found := self.history(model.features, row, at)) is not None]
        check_fit(model, seen, self.fits.get(model.name), new)
        if new is None:
            return
        self.told_fits.remove(new)
        self.fits[model.name] = new
        for row in self.rows.values():
            if row.now is not None:
                row.passed = max(row.now, at)
                self.say(row, max(row.now, at), Cause.SCORE, f"{model.name}/{new.version}")

    def history(self, named: Sequence[str], row: Row, at: int) -> History | None:
        """A customer's purchases as of a moment, in whole local days; None of who has made none."""
        frequency, last, first, *value = named
        days = {name: [self.day(f.time or 0) for f in row.facts if name in f.features] for name in (last, first)}
        count = sum(frequency in fact.features for fact in row.facts)
        if not count or not days[last] or not days[first]:
            return None
        began, ended, total = min(days[first]), max(days[last]), 0
        if value:
            paid = self.catalogue.feature(value[0]).field or ""
            total = sum(int((fact.fields or {}).get(paid) or 0) for fact in row.facts if value[0] in fact.features)
        return History(count, ended - began, max(ended, self.day(at)) - began, total)

    def day(self, at: int) -> int:
        """The number of the local day of a moment."""
        return (at + self.catalogue.offset_ms) // DAY

    # ------------------------------------------------------------------------------------------------------- values

    def features(self, row: Row, now: int) -> dict[str, Value]:
        """Every feature at a moment: those of records, then what rests on them."""
        known = {source.name: row.of(source.name) for source in self.catalogue.sources if source.profile}
        profiles = {name: facts[-1] for name, facts in known.items() if facts}
        values = features_of(self.stored, row.facts, profiles, now)
        found: dict[str, Value] = {}
        for feature in self.catalogue.features:
            if feature.outlook is not None:
                found[feature.name] = self.outlook(feature.outlook, row, now)
            elif feature.compute is not None:
                found[feature.name] = evaluate(feature.compute, found)
            else:
                found[feature.name] = values[feature.name]
        return found

    def outlook(self, outlook: Outlook, row: Row, now: int) -> float | None:
        """What a model says of a customer."""
        fit, seen = self.fits.get(outlook.model), self.history(outlook.rests_on, row, now)
        return None if fit is None or seen is None else foretold(fit, outlook, seen)

    def next_moment(self, row: Row, last: int, limit: int) -> int | None:
        """Also at every midnight, where a model has parameters."""
        first = super().next_moment(row, last, limit)
        found = [] if first is None else [first]
        found += [midnight(last, self.catalogue.offset_ms)] if self.fits else []
        return min((moment for moment in found if last < moment <= limit), default=None)


@functools.cache
def foretold(fit: Fit, outlook: Outlook, seen: History) -> float | None:
    """What a model says of purchases."""
    again = seen.purchases - 1
    here = 1.0
    if again:
        faded = ((fit.alpha + seen.age) / (fit.alpha + seen.last)) ** (fit.r + again)
        here = 1.0 / (1.0 + fit.a / (fit.b + again - 1) * faded)
    if outlook.gives is Gives.ALIVE:
        return here
    ahead = outlook.within_ms / DAY
    steps = [*np.arange(30.0, ahead, 30.0), ahead] if outlook.discount else [ahead]
    made = [0.0, *(bought(fit, again, seen.age, until) for until in steps)]
    worth = [(1 + outlook.discount) ** (-until / 365.0) if outlook.discount else 1.0 for until in steps]
    more = here * sum(share * (b - a) for share, (a, b) in zip(worth, itertools.pairwise(made), strict=True))
    if outlook.gives is Gives.TRANSACTIONS:
        return more
    if not fit.q:
        return None
    mean = fit.p * fit.v / (fit.q - 1)  # of all customers
    own = max(0, seen.total) / seen.purchases
    trust = fit.p * seen.purchases / (fit.p * seen.purchases + fit.q - 1)
    return more * ((1 - trust) * mean + trust * own)


def bought(fit: Fit, again: int, age: float, ahead: float) -> float:
    """What who still comes buys: the integral of (1 - (1 + p t / (alpha + T))^-(r + x)) / p over p ~ Beta(a, b + x)."""
    tau, rate, other = ahead / (fit.alpha + age), fit.r + again, fit.b + again
    beta = math.lgamma(fit.a) + math.lgamma(other) - math.lgamma(fit.a + other)
    # In the logit of p the integrand is smooth; its tails fall as e^(a u) below and e^(-other u) above.
    low, high = -45.0 / min(fit.a, 1.0), 45.0 / min(other, 1.0)
    edges = np.unique(
        np.concatenate([np.arange(low, -40.0, 3.0), np.arange(-40.0, 41.0, 1.0), np.arange(41.0, high, 3.0)])
    )
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    logit = (middle[:, None] + half[:, None] * NODES).ravel()
    weight = (half[:, None] * WEIGHTS).ravel()
    log_share, log_rest = -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
    share = np.exp(log_share)
    rises = np.where(share > 1e-200, -np.expm1(-rate * np.log1p(share * tau)) / np.maximum(share, 1e-300), rate * tau)
    return float((weight * rises * np.exp(fit.a * log_share + other * log_rest - beta)).sum())


# ----------------------------------------------------------------------------------------------------------- likelihood


def check_fit(model: Lifetime, seen: Sequence[History], held: Fit | None, new: Fit | None) -> None:
    """Fail where parameters came that are not the likeliest, or did not come where there were none."""
    if len(seen) < model.least or sum(one.purchases > 1 for one in seen) < LEAST_REPEATERS:
        assert new is None, "too few customers were counted"
        return
    if sum(one.age for one in seen) < model.after_ms / DAY * len(seen):
        assert new is None, "customers were not known for long enough"
        return
    assert held is not None or new is not None, "there were no parameters, and none came"
    if new is None:
        return
    assert (new.customers, new.version) == (len(seen), held.version + 1 if held else 1)
    best = likelihood(seen, (new.r, new.alpha, new.a, new.b))
    for place, share in itertools.product(range(4), OFF):
        moved = [one * (share if n == place else 1.0) for n, one in enumerate((new.r, new.alpha, new.a, new.b))]
        inside = min(moved) > 1e-2 and moved[1] > 0.5 and max(moved[0], moved[2]) < 20.0 and moved[3] < 1_000.0
        assert not inside or likelihood(seen, moved) <= best + 2e-3, "other parameters are likelier"
    if new.q:
        amounts = [one for one in seen if one.total > 0]
        best = likelihood_of_amounts(amounts, (new.p, new.q, new.v))
        for place, share in itertools.product(range(3), OFF):
            moved = [one * (share if n == place else 1.0) for n, one in enumerate((new.p, new.q, new.v))]
            inside = 1e-2 < moved[0] < 5_000.0 and 1.02 < moved[1] < 5_000.0 and moved[2] > 10.0
            # Samples bear amounts to three digits.
            room = 0.01 * len(amounts)
            assert not inside or likelihood_of_amounts(amounts, moved) <= best + room, "other amounts are likelier"


def likelihood(seen: Sequence[History], parameters: Sequence[float]) -> float:
    """The log-likelihood of purchases, equation 6 of the BG/NBD paper."""
    r, alpha, a, b = parameters
    total = 0.0
    for one in seen:
        x = one.purchases - 1
        beta = math.lgamma(b + x) + math.lgamma(a + b) - math.lgamma(b) - math.lgamma(a + b + x)
        here = beta - (r + x) * math.log(alpha + one.age)
        total += math.lgamma(r + x) - math.lgamma(r) + r * math.log(alpha)
        if x:
            gone = beta + math.log(a / (b + x - 1)) - (r + x) * math.log(alpha + one.last)
            total += max(here, gone) + math.log1p(math.exp(-abs(here - gone)))
        else:
            total += here
    return total


def likelihood_of_amounts(seen: Sequence[History], parameters: Sequence[float]) -> float:
    """The log-likelihood of mean amounts, equation 1 of the Gamma-Gamma note."""
    p, q, v = parameters
    total = 0.0
    for one in seen:
        n, mean = one.purchases, one.total / one.purchases
        total += math.lgamma(p * n + q) - math.lgamma(p * n) - math.lgamma(q) + q * math.log(v)
        total += (p * n - 1) * math.log(mean) + p * n * math.log(n) - (p * n + q) * math.log(n * mean + v)
    return total


def replay(
    catalogue: Catalogue, records: Iterable[Record], told: Iterable[CutPoints | Fit], until: int | None = None
) -> OracleOutcome:
    """As `tests.oracle.replay`, with what refreshes brought; all of it must have been."""
    oracle = LifetimeOracle(catalogue, told)
    outcome = played(oracle, records, until)
    assert (oracle.told, oracle.told_fits) == ([], []), "something came at a moment that is no refresh"
    return outcome
