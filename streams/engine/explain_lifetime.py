"""What a lifetime model knows of a customer, for whoever asks why a tag says what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from schemas.catalogue import Catalogue, Segment, Tag
from schemas.explanations import LifetimeExplanation
from schemas.lifetime import Fit, models_of
from schemas.records import Value
from schemas.values import iso


def explain_lifetimes(
    catalogue: Catalogue, item: Tag | Segment, fits: Mapping[str, Fit], value_of: Callable[[str], Value]
) -> list[LifetimeExplanation]:
    """The lifetime models that a tag or segment looks through and that have parameters, in the catalogue's order.

    Parameters
    ----------
    value_of
        The customer's value of a feature, as in `customer-tags`.
    """
    wanted = models_of(catalogue, item) & fits.keys()
    return [
        LifetimeExplanation(
            model=model.name,
            title=model.title,
            version=fits[model.name].version,
            at=iso(fits[model.name].at),
            customers=fits[model.name].customers,
            knows={name: value_of(name) for name in model.features},
        )
        for model in catalogue.lifetimes
        if model.name in wanted
    ]


def unfitted(catalogue: Catalogue, item: Tag | Segment, fits: Mapping[str, Fit]) -> str:
    """Why a tag can't be said yet: a lifetime model that it looks through has no parameters; else an empty text."""
    wanted = models_of(catalogue, item) - fits.keys() if isinstance(item, Tag) else set()
    return next((model.waits for model in catalogue.lifetimes if model.name in wanted), "")
