"""Parameters of lifetime models, found of the partitions' samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Catalogue
from schemas.durations import DAY
from schemas.lifetime import Fit, Sample, definition_of, fit_key, models_in_use, sample_key
from streams.engine.population import moved
from streams.gathering import Follower, Kinds, Maker

LEAST_ALPHA = 0.5
"""Days are counted, so that nothing finer can be told."""
DIGITS = 6
"""Parameters are told with so many: another processor's last bits are no other parameters."""


class Fitter(Maker[Sample, Fit]):
    """Finds the parameters that make the purchases of every partition's newest sample likeliest.

    They go out only where a model had none, or where one of them is off by more than the model's tolerance.
    """

    def __init__(self, catalogue: Catalogue, together: bool = True) -> None:
        self._models = models_in_use(catalogue)
        definitions = {name: definition_of(catalogue, model) for name, model in self._models.items()}
        super().__init__(definitions, together)

    def _made(self, name: str, parts: Sequence[Sample], held: Fit | None) -> Fit | None:
        model, customers = self._models[name], sum(one.customers for one in parts)
        found = _parameters(parts, model.after_ms / DAY) if customers >= model.least else None
        if found is None or (held is not None and not moved(held.parameters, found, model.tolerance)):
            return None
        version = held.version + 1 if held is not None else 1
        return Fit(name, self.definitions[name], version, max(one.at for one in parts), customers, *found)


def _parameters(parts: Sequence[Sample], least_age: float) -> list[float] | None:
    """The parameters in the order of `Fit`; None where too few bought again, or are known for `least_age` days."""
    from models import lifetime_fit as fits  # late: it brings scipy along, which most workers never need

    count = _column([one.purchases for one in parts])
    last, today = _column([one.last_day for one in parts]), _column([one.today for one in parts])
    mean = _column([one.mean for one in parts])
    sizes = [len(one.purchases) for one in parts]
    weight = np.repeat([one.customers / max(1, size) for one, size in zip(parts, sizes, strict=True)], sizes)
    if not len(today) or np.average(today, weights=weight) < least_age:
        return None
    coming = fits.fit_bg_nbd(fits.Histories(count - 1.0, last, today, weight), LEAST_ALPHA)
    if coming is None:
        return None
    paid = mean > 0.0
    paying = fits.fit_gamma_gamma(fits.Amounts(count[paid], mean[paid], weight[paid]))
    found = [coming.r, coming.alpha, coming.a, coming.b]
    found += [0.0, 0.0, 0.0] if paying is None else [paying.p, paying.q, paying.v]
    return [float(f"{one:.{DIGITS}g}") for one in found]


def _column(lists: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    return np.concatenate([np.array(one, dtype=np.float64) for one in lists])


class FollowedFits(Follower[Sample, Fit]):
    """Samples and parameters of an app as the control topic has them; one of all workers fits."""

    def __init__(self, catalogue: Catalogue, group: str, together: bool = True) -> None:
        super().__init__(Fitter(catalogue, together), Kinds(Sample, Fit, sample_key, fit_key, _check), group)


def _check(sample: Sample) -> None:
    """Raise ValueError where the sample can be none."""
    columns = (sample.purchases, sample.last_day, sample.today, sample.mean)
    rows = list(zip(*columns, strict=True))  # raises it where they differ in length
    if sample.customers < len(rows) or not all(n >= 1 and 0 <= on <= now and paid >= 0.0 for n, on, now, paid in rows):
        raise ValueError("purchases that can't be")
